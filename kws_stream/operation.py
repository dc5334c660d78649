"""What a decoder misses and how often it fires for nothing, over its whole range of thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from typing import Any

import numpy as np

from kws_stream.config import DecoderConfig, KeywordThreshold
from kws_stream.errors import KwsError
from kws_stream.evaluation import poisson_interval, wilson_interval
from kws_stream.events import KeywordEvent
from kws_stream.scoring import Judgement, judge, seconds_outside
from kws_stream.trace import Replay
from kws_stream.truth import Utterance

AIMS = (0.1, 0.5, 1.0, 2.0, 5.0)
"""false alarms an hour at which misses are reported"""
SHIFTS = tuple(round(float(shift), 3) for shift in np.arange(-4, 10.01, 0.125))
"""natural log-odds by which thresholds are moved"""


def moved(values: KeywordThreshold, shift: float) -> KeywordThreshold:
    """Threshold moved by `shift` in its log-odds; the release keeps its ratio to it."""
    share = min(values.threshold, 1 - 1e-9)
    threshold = 1 / (1 + exp(-(log(share / (1 - share)) + shift)))
    return replace(values, threshold=threshold, release=threshold * (values.release / values.threshold))


def shifted(config: DecoderConfig, shift: float) -> DecoderConfig:
    """All thresholds moved alike; by 0, `config` to the last bit."""
    if shift == 0:
        return config
    keywords = tuple((word, moved(values, shift)) for word, values in config.keywords)
    return replace(config, default=moved(config.default, shift), keywords=keywords)


@dataclass(frozen=True)
class Point:
    """One place on the curve."""

    shift: float
    """by which the thresholds were moved"""
    words: int
    hits: int
    false_alarms: int
    confusions: int
    duplicates: int
    hours: float
    """in which a false alarm was possible"""

    @classmethod
    def of(cls, shift: float, judged: Judgement, hours: float) -> Point:
        return cls(
            shift,
            len(judged.utterances),
            len(judged.hits),
            len(judged.false_alarms),
            len(judged.confusions),
            len(judged.duplicates),
            hours,
        )

    @property
    def false_alarm_rate(self) -> float:
        """An hour."""
        return self.false_alarms / self.hours

    @property
    def miss_rate(self) -> float:
        """Share of the words that were missed (FRR); 0 without words."""
        return 1 - self.hits / self.words if self.words else 0.0

    def to_json(self) -> dict[str, Any]:
        """Figures with their 95 % intervals: Garwood's for rates, Wilson's for shares."""
        low, high = (bound / self.hours for bound in poisson_interval(self.false_alarms))
        return {
            "shift": self.shift,
            "false_alarms": self.false_alarms,
            "fa_per_hour": round(self.false_alarm_rate, 3),
            "fa_interval": [round(low, 3), round(high, 3)],
            "frr": round(self.miss_rate, 4),
            "frr_interval": [round(bound, 4) for bound in wilson_interval(self.words - self.hits, self.words)],
            "hits": self.hits,
            "confusions": self.confusions,
            "duplicates": self.duplicates,
        }


def measure(
    events: Sequence[KeywordEvent], utterances: Sequence[Utterance], seconds: float, shift: float = 0.0
) -> Point:
    """The point of one decoding of a stream of so many seconds."""
    return Point.of(shift, judge(events, utterances), seconds_outside(utterances, seconds) / 3600)


def sweep(
    replay: Replay, config: DecoderConfig, utterances: Sequence[Utterance], shifts: Iterable[float] = SHIFTS
) -> list[Point]:
    """A point for each shift of the thresholds of `config`."""
    seconds = replay.trace.seconds
    return [measure(replay.events(shifted(config, shift)), utterances, seconds, shift) for shift in shifts]


def pick(points: Sequence[Point], aim: float) -> Point:
    """The point with the fewest misses among those with at most `aim` false alarms an hour; KwsError without any."""
    allowed = [point for point in points if point.false_alarm_rate <= aim]
    if not allowed:
        raise KwsError(f"no threshold keeps this model at {aim:g} false alarms an hour on this stream")
    return max(allowed, key=lambda point: (point.hits, -point.confusions, point.shift))
