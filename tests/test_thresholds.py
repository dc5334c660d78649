"""Thresholds from counts that are known, and counts from events that are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.thresholds import Tally, alike, count, each, place
from kws_stream import DecoderConfig, FileSource, KeywordModel, KeywordThreshold, KwsError
from kws_stream.operation import SHIFTS, measure, shifted
from kws_stream.trace import Replay, record
from kws_stream.truth import Utterance
from tests.conftest import EXAMPLE

ROWS = len(SHIFTS)


def tally(misses: list[list[int]], alarms: list[list[int]], hours: float = 1.0) -> Tally:
    """Of two keywords at three shifts; all higher ones miss everything and fire for nothing."""
    rest = [[50, 50]] * (ROWS - 3)
    return Tally(
        ("yes", "no"),
        np.array([*misses, *rest]),
        np.array([*alarms, *([[0, 0]] * (ROWS - 3))]),
        100,
        hours,
    )


QUIET_AND_LOUD = tally([[0, 0], [1, 20], [2, 30]], [[9, 1], [4, 1], [0, 0]])
"""`yes` fires for nothing and is heard at all thresholds, `no` never fires and is soon missed"""


def test_alike_takes_the_fewest_misses_that_the_target_allows() -> None:
    assert alike(QUIET_AND_LOUD, 10.0).tolist() == [0, 0]
    assert alike(QUIET_AND_LOUD, 5.0).tolist() == [1, 1]
    assert alike(QUIET_AND_LOUD, 1.0).tolist() == [2, 2]


def test_each_keyword_pays_where_it_is_cheapest() -> None:
    rows = each(QUIET_AND_LOUD, 1.0)
    assert rows.tolist() == [2, 0]
    assert QUIET_AND_LOUD.at(rows) == (2, 1)


def test_hours_are_what_the_target_is_counted_in() -> None:
    longer = tally(QUIET_AND_LOUD.misses[:3].tolist(), QUIET_AND_LOUD.alarms[:3].tolist(), hours=10.0)
    assert each(longer, 1.0).tolist() == [0, 0]


def test_what_no_threshold_reaches() -> None:
    hopeless = Tally(("yes",), np.zeros((ROWS, 1), int), np.full((ROWS, 1), 7), 10, 1.0)
    with pytest.raises(KwsError, match=r"keeps this model at 5 false alarms an hour: 7.0 are left"):
        each(hopeless, 5.0)


counts = st.lists(st.integers(0, 20), min_size=ROWS * 3, max_size=ROWS * 3)


@given(falls=counts, rises=counts, target=st.floats(1, 60))
def test_each_keeps_to_the_target_and_misses_no_more_than_alike(
    falls: list[int], rises: list[int], target: float
) -> None:
    """Thresholds go up: misses do, alarms fall, to none at all."""
    misses = np.sort(np.reshape(rises, (ROWS, 3)), axis=0)
    alarms = np.sort(np.reshape(falls, (ROWS, 3)), axis=0)[::-1] - np.min(np.reshape(falls, (ROWS, 3)), axis=0)
    whole = Tally(("yes", "no", "up"), misses, alarms, 100, 1.0)
    ours, theirs = whole.at(each(whole, target)), whole.at(alike(whole, target))
    assert max(ours[1], theirs[1]) <= target
    assert ours[0] <= theirs[0]


def test_thresholds_of_their_own_and_thresholds_alike() -> None:
    config = DecoderConfig(400, KeywordThreshold(0.9, 0.45))
    one, two = SHIFTS.index(1.0), SHIFTS.index(2.0)
    own = place(config, ("yes", "no"), np.array([one, two]))
    assert own.default == config.default
    assert own.of("yes") == shifted(config, 1.0).default
    assert own.of("no") == shifted(config, 2.0).default
    assert place(config, ("yes", "no"), np.array([one, one])) == shifted(config, 1.0)


def test_a_tally_adds_up_to_what_is_measured(model: KeywordModel) -> None:
    trace, config = record(model, FileSource(EXAMPLE)), model.metadata.decoder
    replay = Replay(trace, config)
    heard = replay.events(config)
    words = [Utterance(event.keyword, event.time - 0.6, event.time - 0.1) for event in heard[::2]]
    words.insert(0, Utterance("yes", 0.0, 0.1))
    found = count(replay, config, words)
    for row in (SHIFTS.index(0.0), SHIFTS.index(3.0)):
        point = measure(replay.events(shifted(config, SHIFTS[row])), words, trace.seconds)
        assert found.at(np.full(10, row)) == (len(words) - point.hits, point.false_alarms + point.confusions)
    twice = found + found
    assert twice.words == 2 * len(words)
    assert twice.hours == pytest.approx(2 * found.hours)
    assert (twice.misses == 2 * found.misses).all()
