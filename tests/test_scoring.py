from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws_stream import KeywordEvent
from kws_stream.scoring import LATEST, judge, seconds_outside
from kws_stream.truth import Utterance

WORDS = [Utterance("yes", 1.0, 1.5), Utterance("no", 3.0, 3.4), Utterance("yes", 3.6, 4.0)]


def event(keyword: str, time: float) -> KeywordEvent:
    return KeywordEvent(keyword, 1.0, time)


def test_each_kind() -> None:
    events = [event(*pair) for pair in [("yes", 0.9), ("yes", 1.2), ("yes", 2.2), ("no", 2.0), ("go", 2.3)]]
    judged = judge(events, WORDS)
    assert judged.hits == {0: events[1]}
    assert judged.duplicates == [(events[2], WORDS[0])]
    assert judged.confusions == [(events[3], WORDS[0])]
    assert judged.false_alarms == [events[0], events[4]]
    assert judged.misses == WORDS[1:]


def test_a_late_event_belongs_to_its_own_word_though_the_next_has_begun() -> None:
    events = [event("no", 3.8), event("yes", 4.1), event("up", 4.14)]
    judged = judge(events, WORDS)
    assert judged.hits == {1: events[0], 2: events[1]}
    assert judged.confusions == [(events[2], WORDS[2])]


def test_the_same_word_twice_in_a_row_is_hit_twice() -> None:
    words = [Utterance("yes", 1.0, 1.4), Utterance("yes", 1.6, 2.0)]
    assert len(judge([event("yes", 1.5), event("yes", 1.9)], words).hits) == 2


times = st.floats(0, 60, allow_nan=False)


@given(
    st.lists(st.tuples(st.sampled_from(["yes", "no"]), times, st.floats(0, 2)), max_size=12),
    st.lists(st.tuples(st.sampled_from(["yes", "no", "go"]), times), max_size=20),
)
def test_every_event_and_every_word_is_counted_once(
    spoken: list[tuple[str, float, float]], reported: list[tuple[str, float]]
) -> None:
    words = sorted((Utterance(word, onset, onset + long) for word, onset, long in spoken), key=lambda word: word.onset)
    events = sorted((event(*pair) for pair in reported), key=lambda e: e.time)
    judged = judge(events, words)
    counts = [len(judged.hits), len(judged.false_alarms), len(judged.confusions), len(judged.duplicates)]
    assert sum(counts) == len(events)
    assert len(judged.hits) + len(judged.misses) == len(words)
    for e in judged.false_alarms:  # what a plain search says
        assert not any(word.onset <= e.time <= word.end + LATEST for word in words)
    for index, e in judged.hits.items():
        assert (words[index].keyword, words[index].onset <= e.time <= words[index].end + LATEST) == (e.keyword, True)


@given(st.lists(st.tuples(times, st.floats(0, 3)), max_size=8))
def test_the_seconds_outside_are_those_of_no_word(spoken: list[tuple[float, float]]) -> None:
    words = sorted((Utterance("yes", onset, onset + long) for onset, long in spoken), key=lambda word: word.onset)
    at = np.arange(0, 60, 0.01)
    inside = np.zeros(len(at), bool)
    for word in words:
        inside |= (at >= word.onset) & (at < word.end + LATEST)
    assert seconds_outside(words, 60.0) == pytest.approx(60 - inside.mean() * 60, abs=0.02 * (len(words) + 1))
