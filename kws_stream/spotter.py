"""Samples in, events out: no files, no threads, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.decoder import PosteriorDecoder
from kws_stream.events import KeywordEvent
from kws_stream.frontend import to_float
from kws_stream.gate import Span, SpeechGate
from kws_stream.hearing import Answer, Due, Hearing
from kws_stream.model import KeywordModel, States
from kws_stream.near_miss import NearMisses

Floats = NDArray[np.float32]
LONGEST_MS = 1000
"""Longer pushes are cut, so that memory does not grow with them; nothing is gained by longer pieces (ADR 9)."""


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
        self._hearing = Hearing(metadata)
        self._stride = metadata.stride_frames
        rate = self._config.sample_rate
        self._longest = LONGEST_MS * rate // 1000
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
        self._gate.reset()
        self._decoder.reset()
        self._spans: list[Span] = []
        self._origin: int = 0  # samples in front of the last loss
        self._position: int = 0  # samples since then
        self._hearing.reset()
        self._next = self.model.metadata.context_frames  # frames up to the next inference
        self.states: States = self.model.initial
        """What the network goes on from."""
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
        for due in self.hear(to_float(samples), samples):
            for batch in batches([(self, run) for run in due]):
                for _, fell in infer(self.model, batch):
                    events += fell
        return events

    def hear(self, signal: Floats, samples: NDArray[np.generic]) -> Iterator[list[Due]]:
        """The first half of `push`: `(n,)` samples, and the same as floats in [-1, 1) -> the runs of the network that
        they make due, a second at a time.

        `SpotterPool` makes those of many streams at once. All must be taken, and handed to `decide` in their order.
        """
        for start in range(0, len(signal), self._longest):
            piece = signal[start : start + self._longest]
            self._position += len(piece)
            self._hearing.push(piece)
            self._spans += self._gate.push(samples[start : start + self._longest])
            due = self._hearing.due(self._wanted())
            self._hearing.forget(self._next)
            if due:
                yield due

    def decide(self, due: Due, posteriors: Floats, states: States) -> list[KeywordEvent]:
        """The second half: what a run gave, `(answers, labels)`, and the states it left -> the events that fell."""
        answers = due.answers
        posteriors = posteriors[-len(answers) :]
        self.posteriors = posteriors[-1]
        self.states = states
        self.inferences += len(answers)
        decided = [answer.decided for answer in answers]
        events = self._decoder.push(posteriors, [answer.end for answer in answers], decided)
        if self._near is not None:
            self.near_misses += self._near.push(self._decoder.scores, decided, events)
        return events

    def skip(self, samples: int) -> None:
        """So many samples were lost: the clock goes on, the context is empty again."""
        origin = self._origin + self._position + samples
        inferences = self.inferences
        self.reset()
        self._origin, self.inferences = origin, inferences

    def _wanted(self) -> list[Answer]:
        """The answers that can be had and that the gate lets through; others that it never will are given up."""
        wanted = []
        stride = self._stride * self._config.hop
        while self._next <= self._hearing.frames:
            end = self._config.samples(self._next)
            while self._spans and self._spans[0].stop < end:
                self._spans.pop(0)
            if self._spans and self._spans[0].start < end:
                decided = max(end, self._spans[0].known_at)
                wanted.append(Answer(self._next, self._origin + end, self._origin + decided))
            elif not self._spans and self._position < end + self._gate.delay + stride:
                break  # a look-back may still reach it
            self._next += self._stride
        return wanted


def batches(waiting: Sequence[tuple[KeywordSpotter, Due]]) -> Iterator[list[tuple[KeywordSpotter, Due]]]:
    """Runs that the network can make together: of equal length, and those of one stream after each other where one may
    go on from what the other leaves."""
    if len(waiting) == 1:  # a stream alone, in real time
        yield list(waiting)
        return
    turns: Counter[KeywordSpotter] = Counter()
    groups: dict[tuple[int, int], list[tuple[KeywordSpotter, Due]]] = {}
    for spotter, due in waiting:
        groups.setdefault((turns[spotter], len(due.features)), []).append((spotter, due))
        if spotter.states:
            turns[spotter] += 1
    for turn in sorted(groups):
        yield groups[turn]


def infer(
    model: KeywordModel, batch: Sequence[tuple[KeywordSpotter, Due]]
) -> Iterator[tuple[KeywordSpotter, list[KeywordEvent]]]:
    """One call of the network; each spotter decides on its row, and the events that fell."""
    for (spotter, due), (posteriors, states) in zip(batch, answer(model, batch), strict=True):
        yield spotter, spotter.decide(due, posteriors, states)


def answer(model: KeywordModel, batch: Sequence[tuple[KeywordSpotter, Due]]) -> Iterator[tuple[Floats, States]]:
    """One call of the network: of each run the posteriors `(answers, labels)`, and the states that it leaves."""
    rows = [due.features[None] for _, due in batch]
    features = rows[0] if len(rows) == 1 else np.concatenate(rows)  # (batch, frames, bins)
    states = [model.initial if due.fresh else spotter.states for spotter, due in batch]
    return zip(*model.answer(features, states), strict=True)
