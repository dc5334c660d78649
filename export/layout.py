"""What a pipeline file takes and gives, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from kws_stream.config import FrontendConfig
from kws_stream.errors import ModelError
from kws_stream.model import KeywordModel


@dataclass(frozen=True)
class Layout:
    """The sizes of a pipeline. Its strides end where the contexts of `KeywordSpotter` end.

    The first context is no whole number of strides. So a host begins a stream with `lead` zeros: `fill` strides then
    end where the first context ends, and no context reaches back to the zeros.
    """

    frontend: FrontendConfig
    context: int
    """frames that the network sees"""

    stride: int
    """frames between two inferences"""

    states: tuple[tuple[int, ...], ...] = ()
    """shapes of what a streaming network keeps of one stream"""

    lead_frames: int = 0
    """frames of zeros in front of the context with which a streaming network begins"""

    renewal: int | None = None
    """strides after which a streaming network begins anew"""

    lead_in: int = 0
    """frames in front of the context that it hears first then"""

    @classmethod
    def of(cls, model: KeywordModel) -> Layout:
        """The layout for a model; ModelError when its contexts do not overlap, so that nothing could be kept."""
        metadata = model.metadata
        if metadata.stride_frames >= metadata.context_frames:
            raise ModelError(
                f"expected a context longer than the stride of {metadata.stride_frames} frames, "
                f"got {metadata.context_frames} frames; such a network needs no pipeline with a memory"
            )
        return cls(
            metadata.frontend,
            metadata.context_frames,
            metadata.stride_frames,
            tuple(state.shape for state in model.initial),
            metadata.lead_frames,
            metadata.streaming.renewal_strides if metadata.streaming else None,
            metadata.streaming.lead_in_strides * metadata.stride_frames if metadata.streaming else 0,
        )

    @property
    def samples(self) -> int:
        """Samples in a stride."""
        return self.stride * self.frontend.hop

    @property
    def lead(self) -> int:
        """Zeros in front of a stream."""
        return -self.frontend.samples(self.context) % self.samples

    @property
    def fill(self) -> int:
        """Strides until the context is filled with real frames."""
        return (self.frontend.samples(self.context) + self.lead) // self.samples

    @property
    def most(self) -> int:
        """The count of strides that is not exceeded, so that it stays exact: of a network that sees windows it stops
        there, and of one that goes on behind its beginning; of one that is renewed it goes back to `renewed`."""
        if self.renewal:
            return self.renewed + self.renewal - 1
        return self.fill + 1 if self.states else self.fill

    @property
    def renewed(self) -> int:
        """The count at which a streaming network begins anew; at `fill` it begins, and has no lead-in yet."""
        return self.fill + (self.renewal or 0)

    @property
    def history(self) -> int:
        """Frames with which a run begins."""
        return self.context + self.lead_in

    @property
    def parts(self) -> dict[str, int]:
        """Values in each part of the state, in order: the samples that the next frames begin with, the frames that
        the next run may begin with (`(frames, bins)`, row by row), what a streaming network keeps, and the strides
        heard, counted up to `most`."""
        return {
            "tail": self.frontend.window - self.frontend.hop,
            "past": (self.history - self.stride) * self.frontend.bins,
            **{f"state_{index}": prod(shape) for index, shape in enumerate(self.states)},
            "heard": 1,
        }

    @property
    def state(self) -> int:
        """Values in the state."""
        return sum(self.parts.values())
