"""A threshold for each keyword, from streams with known truth: as few misses as so many false alarms allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import DecoderConfig
from kws_stream.errors import KwsError
from kws_stream.operation import SHIFTS, moved, shifted
from kws_stream.scoring import judge, seconds_outside
from kws_stream.trace import Replay
from kws_stream.truth import Utterance

Counts = NDArray[np.int64]
PRICES = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 400)])
"""misses that a false alarm may be worth"""


@dataclass(frozen=True)
class Tally:
    """What each keyword does at each of SHIFTS, on all streams together."""

    keywords: tuple[str, ...]
    misses: Counts
    """`(shifts, keywords)`"""
    alarms: Counts
    """`(shifts, keywords)`: false alarms, and confusions, in which a keyword answers to another"""
    words: int
    hours: float
    """in which a false alarm was possible"""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.keywords,
            self.misses + other.misses,
            self.alarms + other.alarms,
            self.words + other.words,
            self.hours + other.hours,
        )

    def at(self, rows: Counts) -> tuple[int, int]:
        """Misses and alarms where keyword `k` stands at shift `rows[k]`."""
        columns = np.arange(len(self.keywords))
        return int(self.misses[rows, columns].sum()), int(self.alarms[rows, columns].sum())


def count(replay: Replay, config: DecoderConfig, utterances: Sequence[Utterance]) -> Tally:
    """One stream: thresholds of all keywords are moved alike, since none hears of the others'."""
    keywords = replay.trace.keywords
    place = {keyword: column for column, keyword in enumerate(keywords)}
    spoken = np.bincount([place[each.keyword] for each in utterances], minlength=len(keywords))
    misses = np.tile(spoken, (len(SHIFTS), 1))
    alarms = np.zeros_like(misses)
    for row, shift in enumerate(SHIFTS):
        judged = judge(replay.events(shifted(config, shift)), utterances)
        for event in judged.hits.values():
            misses[row, place[event.keyword]] -= 1
        for event in (*judged.false_alarms, *(event for event, _ in judged.confusions)):
            alarms[row, place[event.keyword]] += 1
    hours = seconds_outside(utterances, replay.trace.seconds) / 3600
    return Tally(keywords, misses, alarms, len(utterances), hours)


def kept(tally: Tally, target: float) -> Counts:
    """`(keywords,)` rows of SHIFTS: none, whatever the target."""
    return np.full(len(tally.keywords), SHIFTS.index(0.0))


def alike(tally: Tally, target: float) -> Counts:
    """`(keywords,)` rows of SHIFTS: one shift for all, with the fewest misses at `target` alarms an hour or fewer;
    KwsError where there is none."""
    totals = tally.alarms.sum(1)
    allowed = np.flatnonzero(totals <= target * tally.hours)
    if not len(allowed):
        least = totals.min() / tally.hours
        raise KwsError(f"no threshold keeps this model at {target:g} false alarms an hour: {least:.1f} are left")
    best = min(allowed, key=lambda row: (tally.misses[row].sum(), -row))
    return np.full(len(tally.keywords), best)


def each(tally: Tally, target: float) -> Counts:
    """The same with a shift for each keyword.

    With a price in misses for an alarm, every keyword chooses for itself; the price is the lowest that keeps them all
    together at `target` (Lagrange's multiplier: at the optimum the last alarm is worth the same to every keyword).
    Raises KwsError where one shift for all does not reach it either.
    """
    fallback = alike(tally, target)
    for price in PRICES:
        costs = tally.misses + price * tally.alarms
        # Of equals the highest threshold: what the streams do not tell apart should not fire.
        rows = len(SHIFTS) - 1 - np.argmin(costs[::-1], axis=0)
        misses, alarms = tally.at(rows)
        if alarms <= target * tally.hours:
            return rows if misses <= tally.at(fallback)[0] else fallback
    return fallback


def place(config: DecoderConfig, keywords: Sequence[str], rows: Counts) -> DecoderConfig:
    """`config` with the thresholds moved by `SHIFTS[rows[k]]` for keyword `k`; all alike stay one default."""
    if len(set(rows.tolist())) == 1:
        return shifted(config, SHIFTS[rows[0]])
    values = tuple((word, moved(config.of(word), SHIFTS[row])) for word, row in zip(keywords, rows, strict=True))
    return replace(config, keywords=values)
