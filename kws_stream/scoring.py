"""Events against the truth: who was heard, who was missed, and what else was reported."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from kws_stream.events import KeywordEvent
from kws_stream.truth import Utterance

LATEST = 0.75
"""seconds after its end by which a keyword must have been reported"""


@dataclass
class Judgement:
    """Each event once, each utterance once."""

    utterances: Sequence[Utterance]
    hits: dict[int, KeywordEvent] = field(default_factory=dict)
    """the event that reported an utterance, by the utterance's index"""
    false_alarms: list[KeywordEvent] = field(default_factory=list)
    """events when no keyword was spoken"""
    confusions: list[tuple[KeywordEvent, Utterance]] = field(default_factory=list)
    """events of another keyword than was spoken"""
    duplicates: list[tuple[KeywordEvent, Utterance]] = field(default_factory=list)
    """further events for what was reported already"""

    @property
    def misses(self) -> list[Utterance]:
        return [spoken for index, spoken in enumerate(self.utterances) if index not in self.hits]


def judge(events: Sequence[KeywordEvent], utterances: Sequence[Utterance]) -> Judgement:
    """Compare events with `utterances`, which are in the order of their onsets.

    An event belongs to an utterance from its onset to LATEST after its end; where there are several, to one of its own
    keyword that was not reported yet, then to one that was, then to the last that began.
    """
    result = Judgement(utterances)
    onsets = [spoken.onset for spoken in utterances]
    longest = LATEST + max((spoken.end - spoken.onset for spoken in utterances), default=0.0)
    for event in events:
        last = bisect_right(onsets, event.time)
        first = bisect_right(onsets, event.time - longest)
        there = [index for index in range(first, last) if event.time <= utterances[index].end + LATEST]
        same = [index for index in there if utterances[index].keyword == event.keyword]
        if waiting := [index for index in same if index not in result.hits]:
            result.hits[waiting[0]] = event
        elif same:
            result.duplicates.append((event, utterances[same[-1]]))
        elif there:
            result.confusions.append((event, utterances[there[-1]]))
        else:
            result.false_alarms.append(event)
    return result


def seconds_outside(utterances: Sequence[Utterance], seconds: float) -> float:
    """How much of so long a stream an event would be a false alarm in: what belongs to no utterance.

    `utterances` are in the order of their onsets.
    """
    inside = until = 0.0
    for spoken in utterances:
        start, stop = max(spoken.onset, until), min(spoken.end + LATEST, seconds)
        inside += max(0.0, stop - start)
        until = max(until, stop)
    return seconds - inside
