"""Keywords that nearly fired: what one listens to before thresholds are changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kws_stream.decoder import Scores
from kws_stream.events import KeywordEvent

RELEASE = 0.5
"""of its least score, under which a near miss is over"""
QUIET_MS = 1000
"""after an event, in which whatever rises is taken for its echo"""


@dataclass
class _Rise:
    """A keyword whose score is up."""

    score: float
    at: int
    began: int


class NearMisses:
    """Scores that rose to `least` and fell again while nothing fired, each reported once, at its peak.

    That it was a near miss is known when the score falls below half of `least`, or the gate closes.
    """

    def __init__(self, keywords: Sequence[str], least: float, sample_rate: int = 16_000) -> None:
        self.keywords = tuple(keywords)
        self.least = least
        self._sample_rate = sample_rate
        self._quiet = QUIET_MS * sample_rate // 1000
        self.reset()

    def reset(self) -> None:
        """As good as new."""
        self._rises: dict[int, _Rise] = {}
        self._last_event = -self._quiet - 1

    def push(self, scores: Scores, decided: Sequence[int], events: Sequence[KeywordEvent]) -> list[KeywordEvent]:
        """Scores, the position at which each row was known, and the events that they caused -> near misses that are
        over."""
        found = []
        fired = {round(event.time * self._sample_rate) for event in events}
        risen = (scores.values >= self.least).tolist()  # (rows, keywords)
        for row, at in enumerate(decided):
            if at in fired:
                self._last_event = at
            if not (self._rises or any(risen[row])):
                continue
            over = [k for k in self._rises if scores.fresh[row] or scores.values[row, k] < RELEASE * self.least]
            for keyword in over:
                found += self._ended(keyword)
            for keyword in (k for k, up in enumerate(risen[row]) if up):
                score = float(scores.values[row, keyword])
                rise = self._rises.setdefault(keyword, _Rise(score, at, at))
                if score > rise.score:
                    rise.score, rise.at = score, at
        return found

    def _ended(self, keyword: int) -> list[KeywordEvent]:
        rise = self._rises.pop(keyword)
        if self._last_event >= rise.began - self._quiet:
            return []
        return [KeywordEvent(self.keywords[keyword], rise.score, rise.at / self._sample_rate)]
