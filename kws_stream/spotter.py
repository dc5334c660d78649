"""Samples in, events out: no files, no threads, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.decoder import PosteriorDecoder
from kws_stream.events import KeywordEvent
from kws_stream.frontend import StreamingLogMel, to_float
from kws_stream.gate import Span, SpeechGate
from kws_stream.model import KeywordModel
from kws_stream.near_miss import NearMisses

Floats = NDArray[np.float32]
LONGEST_MS = 1000
"""Longer pushes are cut, so that memory does not grow with them; nothing is gained by longer pieces (ADR 9)."""


class Due(NamedTuple):
    """An inference that is to be made."""

    context: Floats
    """`(frames, bins)` that the network shall see"""

    end: int
    """position where the context ends, in samples since the stream began"""

    decided: int
    """position at which it was known that the inference will be made"""


class KeywordSpotter:
    """Keyword events of one stream.

    The events, and their times, depend on the samples alone and not on how they were cut into pushes.
    """

    def __init__(
        self,
        model: KeywordModel,
        *,
        gate: GateConfig | None = None,
        decoder: DecoderConfig | None = None,
        near_miss: float | None = None,
    ) -> None:
        """`gate` and `decoder` replace what the model's file says. `near_miss`: score from which on a keyword that did
        not fire is found in `near_misses`."""
        self.model = model
        metadata = model.metadata
        self._config = metadata.frontend
        self._context = metadata.context_frames
        self._stride = metadata.stride_frames
        rate = self._config.sample_rate
        self._longest = LONGEST_MS * rate // 1000
        self._frontend = StreamingLogMel(self._config)
        self._gate = SpeechGate(gate or metadata.gate, rate)
        self._decoder = PosteriorDecoder(
            metadata.labels, self._stride * self._config.hop, decoder or metadata.decoder, rate
        )
        self._near = None if near_miss is None else NearMisses(metadata.keywords, near_miss, rate)
        self.reset()

    def reset(self) -> None:
        """As good as new."""
        if self._near is not None:
            self._near.reset()
        self.near_misses: list[KeywordEvent] = []
        """That the last push showed to be over; `time` is that of their highest score."""
        self._frontend.reset()
        self._gate.reset()
        self._decoder.reset()
        self._spans: list[Span] = []
        self._origin: int = 0  # samples in front of the last loss
        self._position: int = 0  # samples since then
        self._features: Floats = np.empty((0, self._config.bins), np.float32)
        self._dropped = 0  # frames that came before the first of _features
        self._next = self._context  # frames up to the next inference
        self.inferences: int = 0
        """Inferences since the stream began."""
        self.posteriors = np.zeros(len(self.model.metadata.labels), np.float32)
        """The last ones, `(labels,)`."""

    @property
    def seconds(self) -> float:
        """Audio since the stream began, losses included."""
        return float((self._origin + self._position) / self._config.sample_rate)

    @property
    def listening(self) -> bool:
        """Whether the gate is open now."""
        return any(span.start < self._position <= span.stop for span in self._spans)

    def push(self, samples: NDArray[np.generic]) -> list[KeywordEvent]:
        """`(n,)` float32 in [-1, 1) or int16, at the model's sample rate, mono -> the events that fell.

        Raises AudioError for other shapes and types and for NaN; nothing of such a block is heard.
        """
        events: list[KeywordEvent] = []
        self.near_misses = []
        for due in self.hear(to_float(samples)):
            events += self.decide(due, self.model.predict(np.stack([inference.context for inference in due])))
        return events

    def hear(self, signal: Floats) -> Iterator[list[Due]]:
        """The first half of `push`: `(n,)` samples in [-1, 1) -> the inferences that they make due, a second at a time.

        `SpotterPool` makes those of many streams at once. All must be taken, and handed to `decide` in their order.
        """
        for start in range(0, len(signal), self._longest):
            piece = signal[start : start + self._longest]
            self._position += len(piece)
            self._features = np.concatenate((self._features, self._frontend.push(piece)))
            self._spans += self._gate.push(piece)
            due = self._due()
            self._forget()
            if due:
                yield due

    def decide(self, due: Sequence[Due], posteriors: Floats) -> list[KeywordEvent]:
        """The second half: what came of the inferences, `(inferences, labels)` -> the events that fell."""
        self.posteriors = posteriors[-1]
        self.inferences += len(due)
        decided = [inference.decided for inference in due]
        events = self._decoder.push(posteriors, [inference.end for inference in due], decided)
        if self._near is not None:
            self.near_misses += self._near.push(self._decoder.scores, decided, events)
        return events

    def skip(self, samples: int) -> None:
        """So many samples were lost: the clock goes on, the context is empty again."""
        origin = self._origin + self._position + samples
        inferences = self.inferences
        self.reset()
        self._origin, self.inferences = origin, inferences

    def _due(self) -> list[Due]:
        """The inferences that can be made and that the gate lets through; others that it never will are given up."""
        due = []
        stride = self._stride * self._config.hop
        frames = self._dropped + len(self._features)
        while self._next <= frames:
            end = self._config.samples(self._next)
            while self._spans and self._spans[0].stop < end:
                self._spans.pop(0)
            if self._spans and self._spans[0].start < end:
                stop = self._next - self._dropped  # frames, in _features
                context = self._features[stop - self._context : stop]
                decided = max(end, self._spans[0].known_at)
                due.append(Due(context, self._origin + end, self._origin + decided))
            elif not self._spans and self._position < end + self._gate.delay + stride:
                break  # a look-back may still reach it
            self._next += self._stride
        return due

    def _forget(self) -> None:
        """Drop the frames that no later inference needs."""
        needless = self._next - self._context - self._dropped
        if needless > 0:
            self._features = self._features[needless:]
            self._dropped += needless
