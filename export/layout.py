"""What a pipeline file takes and gives, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from kws_stream.config import FrontendConfig
from kws_stream.errors import ModelError
from kws_stream.metadata import ModelMetadata


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

    @classmethod
    def of(cls, metadata: ModelMetadata) -> Layout:
        """The layout for a model; ModelError for a streaming one, which keeps its own states, and when its contexts do
        not overlap, so that nothing could be kept."""
        if metadata.streaming:
            raise ModelError(
                "expected a network that sees windows, got a streaming one; no pipeline is made of those yet"
            )
        if metadata.stride_frames >= metadata.context_frames:
            raise ModelError(
                f"expected a context longer than the stride of {metadata.stride_frames} frames, "
                f"got {metadata.context_frames} frames; such a network needs no pipeline with a memory"
            )
        return cls(metadata.frontend, metadata.context_frames, metadata.stride_frames)

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
    def parts(self) -> dict[str, int]:
        """Values in each part of the state, in order: the samples that the next frames begin with, the frames that
        the next context begins with (`(frames, bins)`, row by row), and the strides heard, counted up to `fill`."""
        return {
            "tail": self.frontend.window - self.frontend.hop,
            "past": (self.context - self.stride) * self.frontend.bins,
            "heard": 1,
        }

    @property
    def state(self) -> int:
        """Values in the state."""
        return sum(self.parts.values())
