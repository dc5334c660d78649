"""From posteriors to events: each word once."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import DecoderConfig
from kws_stream.events import KeywordEvent
from kws_stream.metadata import UNKNOWN, keywords_of

Floats = NDArray[np.float32]
BEFORE_MS = (2000, 480)
"""of the ends of contexts: where `alone` looks for other speech, in front of the word itself"""
SURE = 1e-7
"""how far scores stay from 0 and 1 where log-odds are taken: what float32 can tell from 1"""


@dataclass
class Scores:
    """What a decoder goes by, row by row."""

    rows: Sequence[Sequence[float]]
    """smoothed posteriors of the keywords"""

    fresh: Sequence[bool]
    """whether the gate was closed in front of the row"""

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """The rows as an array, `(rows, keywords)`."""
        return np.array(self.rows, np.float64)


class Scorer:
    """Smoothed posteriors of the keywords: the mean over the last `smoothing_ms` (Chen, Parada, Heigold 2014,
    equation 2), begun anew behind a gap; lower behind other speech where a command has to stand alone."""

    def __init__(self, labels: Sequence[str], stride: int, config: DecoderConfig, sample_rate: int = 16_000) -> None:
        """`stride`: samples from one row of posteriors to the next while the gate is open."""
        self.keywords = keywords_of(labels)
        self._columns = [labels.index(keyword) for keyword in self.keywords]
        self._stride = stride
        self._count = max(1, round(config.smoothing_ms * sample_rate / 1000 / stride))
        self._alone = config.alone if UNKNOWN in labels else 0.0
        self._unknown = labels.index(UNKNOWN) if UNKNOWN in labels else -1
        self._far, self._near = (round(ms * sample_rate / 1000) for ms in BEFORE_MS)
        self.reset()

    def reset(self) -> None:
        """As good as new."""
        self._recent: deque[list[float]] = deque(maxlen=self._count)  # posteriors of the keywords since the last gap
        self._last_end: int = 0
        self._speech: deque[tuple[int, float]] = deque()  # end and posterior of unknown, of what `_far` still reaches

    def push(self, posteriors: Floats, ends: Sequence[int]) -> Scores:
        """Posteriors `(rows, labels)`, each with the sample position where its context ends."""
        before = (self._last_end, *ends)
        fresh = [end - last > self._stride for last, end in zip(before, ends, strict=False)]
        # Numbers of Python: a call of numpy costs as much as adding up the few keywords of a row.
        rows = [self._score(*row) for row in zip(posteriors.tolist(), ends, fresh, strict=True)]
        self._last_end = before[-1]
        return Scores(rows, fresh)

    def _score(self, posteriors: list[float], end: int, fresh: bool) -> list[float]:
        """One for each keyword."""
        if fresh:
            self._recent.clear()
        self._recent.append([posteriors[column] for column in self._columns])
        count = len(self._recent)
        scores = [sum(course) / count for course in zip(*self._recent, strict=True)]
        if self._alone and (speech := self._speech_before(end, posteriors[self._unknown])):
            return lowered(scores, self._alone * speech)
        return scores

    def _speech_before(self, end: int, unknown: float) -> float:
        """Mean posterior of unknown words in front of the word that may end at `end`; where the gate was closed, 0."""
        self._speech.append((end, unknown))
        while self._speech[0][0] <= end - self._far:
            self._speech.popleft()
        total = sum(value for at, value in self._speech if at <= end - self._near)
        return total * self._stride / (self._far - self._near)


class Trigger:
    """Hysteresis and refractory, each keyword for itself.

    A keyword fires when its score reaches its threshold, and not again before the score fell below its release and its
    refractory time went by. A gap wakes every keyword.
    """

    def __init__(self, keywords: Sequence[str], config: DecoderConfig, sample_rate: int = 16_000) -> None:
        self.keywords = tuple(keywords)
        self._sample_rate = sample_rate
        values = [config.of(keyword) for keyword in self.keywords]
        self._threshold = np.array([value.threshold for value in values])
        self._lowest = min(value.threshold for value in values)
        self._release = np.array([value.release for value in values])
        self._refractory = np.array([value.refractory_ms * sample_rate / 1000 for value in values])
        self.reset()

    def reset(self) -> None:
        """As good as new."""
        self._asleep: NDArray[np.bool_] = np.zeros(len(self.keywords), bool)
        self._any_asleep = False
        self._last_event: NDArray[np.float64] = np.full(len(self.keywords), -np.inf)

    def push(self, scores: Scores, decided: Sequence[int]) -> list[KeywordEvent]:
        """Scores, and the position at which each row was known -> the events they cause."""
        events: list[KeywordEvent] = []
        if len(decided) == 0 or (not self._any_asleep and max(map(max, scores.rows)) < self._lowest):
            return events  # nothing can fire, and nobody can wake
        fires = np.any(scores.values >= self._threshold, axis=1).tolist()  # (rows,)
        for row, at in enumerate(decided):
            if not fires[row] and not self._any_asleep:
                continue
            score = scores.values[row]  # (keywords,)
            self._asleep &= (score >= self._release) & (not scores.fresh[row])
            resting = self._asleep | (at - self._last_event < self._refractory)
            margin = np.where(resting, -1.0, score - self._threshold)
            best = int(np.argmax(margin))
            if margin[best] >= 0:
                self._asleep[best] = True
                self._last_event[best] = at
                events.append(KeywordEvent(self.keywords[best], float(score[best]), at / self._sample_rate))
            self._any_asleep = bool(self._asleep.any())
        return events


class PosteriorDecoder:
    """Posteriors in, events out: a `Scorer` and a `Trigger`.

    Positions without posteriors (the gate was closed there) count as silence: they clear the average and wake every
    keyword.
    """

    def __init__(
        self, labels: Sequence[str], stride: int, config: DecoderConfig | None = None, sample_rate: int = 16_000
    ) -> None:
        """`stride`: samples from one row of posteriors to the next while the gate is open."""
        self.labels = tuple(labels)
        self.config = config or DecoderConfig()
        self._scorer = Scorer(self.labels, stride, self.config, sample_rate)
        self._trigger = Trigger(self._scorer.keywords, self.config, sample_rate)
        self.scores = Scores([], [])
        """Of the last push."""

    def reset(self) -> None:
        """As good as new."""
        self._scorer.reset()
        self._trigger.reset()

    def push(self, posteriors: Floats, ends: Sequence[int], decided: Sequence[int] | None = None) -> list[KeywordEvent]:
        """Posteriors `(rows, labels)`, each with the sample position where its context ends -> the events they cause.

        `decided`: the positions that had been heard when a row could be computed, where that was later than its end.
        """
        self.scores = self._scorer.push(posteriors, ends)
        return self._trigger.push(self.scores, ends if decided is None else decided)


def lowered(scores: Sequence[float], log_odds: float) -> list[float]:
    """Scores with so much taken from their log-odds, which is 0 or more."""
    factor = math.exp(-log_odds)
    shares = (min(max(score, SURE), 1 - SURE) for score in scores)
    return [share * factor / (share * factor + 1 - share) for share in shares]
