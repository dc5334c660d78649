"""From posteriors to events: each word once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import DecoderConfig
from kws_stream.events import KeywordEvent
from kws_stream.metadata import NO_KEYWORDS

Floats = NDArray[np.float32]


class PosteriorDecoder:
    """Smoothing, hysteresis and refractory, each label for itself.

    The posteriors of the last `smoothing_ms` are averaged (Chen, Parada, Heigold 2014, equation 2). A keyword fires
    when its average reaches its threshold, and not again before the average fell below its release and its refractory
    time went by. Positions without posteriors (the gate was closed there) count as silence: they clear the average and
    wake every keyword.
    """

    def __init__(
        self, labels: Sequence[str], stride: int, config: DecoderConfig | None = None, sample_rate: int = 16_000
    ) -> None:
        """`stride`: samples from one row of posteriors to the next while the gate is open."""
        self.labels = tuple(labels)
        self.config = config or DecoderConfig()
        self._stride = stride
        self._sample_rate = sample_rate
        self._keywords = np.array([i for i, label in enumerate(self.labels) if label not in NO_KEYWORDS])
        values = [self.config.of(self.labels[i]) for i in self._keywords]
        self._threshold = np.array([value.threshold for value in values])
        self._release = np.array([value.release for value in values])
        self._refractory = np.array([value.refractory_ms * sample_rate / 1000 for value in values])
        self._count = max(1, round(self.config.smoothing_ms * sample_rate / 1000 / stride))
        self.reset()

    def reset(self) -> None:
        """As good as new."""
        self._recent: deque[Floats] = deque(maxlen=self._count)
        self._last_end: int = 0
        self._asleep: NDArray[np.bool_] = np.zeros(len(self._keywords), bool)
        self._last_event: NDArray[np.float64] = np.full(len(self._keywords), -np.inf)

    def push(self, posteriors: Floats, ends: Sequence[int], decided: Sequence[int] | None = None) -> list[KeywordEvent]:
        """Posteriors `(rows, labels)`, each with the sample position where its context ends -> the events they cause.

        `decided`: the positions that had been heard when a row could be computed, where that was later than its end.
        """
        events = []
        for row, end, at in zip(posteriors, ends, ends if decided is None else decided, strict=True):
            if end - self._last_end > self._stride:
                self._recent.clear()
                self._asleep[:] = False
            self._last_end = end
            self._recent.append(row[self._keywords])
            score: Floats = np.add.reduce(list(self._recent)) / np.float32(
                len(self._recent)
            )  # (keywords,); cheaper than mean
            self._asleep &= score >= self._release
            resting = self._asleep | (at - self._last_event < self._refractory)
            margin = np.where(resting, -1.0, score - self._threshold)
            best = int(np.argmax(margin))
            if margin[best] >= 0:
                self._asleep[best] = True
                self._last_event[best] = at
                label = self.labels[self._keywords[best]]
                events.append(KeywordEvent(label, float(score[best]), at / self._sample_rate))
        return events
