from __future__ import annotations

import numpy as np
import pytest

from kws_stream import DecoderConfig, KeywordEvent, KeywordThreshold
from kws_stream.decoder import PosteriorDecoder

STRIDE = 1280  # 80 ms
LABELS = ("yes", "no", "silence", "unknown")
CONFIG = DecoderConfig(smoothing_ms=160, default=KeywordThreshold(0.6, 0.3, 500))


def decode(yes: list[float], config: DecoderConfig = CONFIG, ends: list[int] | None = None) -> list[KeywordEvent]:
    """The events of a course of the posterior of "yes"; silence has the rest."""
    rows = np.array([[p, 0, 1 - p, 0] for p in yes], np.float32)
    return PosteriorDecoder(LABELS, STRIDE, config).push(rows, ends or [STRIDE * (i + 1) for i in range(len(yes))])


def test_the_average_of_the_window_decides() -> None:
    (event,) = decode([0, 0, 1, 0, 1, 1, 0])
    assert event == KeywordEvent("yes", 1.0, pytest.approx(6 * 0.08))


def test_a_word_that_stays_fires_once() -> None:
    assert len(decode([1.0] * 50)) == 1


def test_a_word_said_twice_fires_twice() -> None:
    events = decode([0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0])
    assert [round(event.time / 0.08) for event in events] == [3, 11]


def test_a_dip_that_does_not_reach_the_release_is_the_same_word() -> None:
    assert len(decode([1, 1, *[0.4] * 10, 1, 1])) == 1
    assert len(decode([1, 1, *[0.2] * 10, 1, 1])) == 2


def test_no_second_event_within_the_refractory_time() -> None:
    assert len(decode([1, 1, 0, 0, 1, 1])) == 1
    eager = DecoderConfig(160, KeywordThreshold(0.6, 0.3, refractory_ms=0))
    assert len(decode([1, 1, 0, 0, 1, 1], eager)) == 2


def test_a_gap_is_silence() -> None:
    """The gate was closed between the rows: they are not averaged together, and the word may fire again."""
    gap = [1 * STRIDE, 2 * STRIDE, 30 * STRIDE, 31 * STRIDE]
    assert len(decode([0.5, 0.5, 1, 1], ends=gap)) == 1
    assert len(decode([1, 1, 1, 1], ends=gap)) == 2


def test_silence_and_unknown_are_no_events() -> None:
    rows = np.array([[0, 0, 1, 0], [0, 0, 0, 1]] * 10, np.float32)
    assert PosteriorDecoder(LABELS, STRIDE, CONFIG).push(rows, [STRIDE * (i + 1) for i in range(20)]) == []


def test_each_keyword_has_its_own_threshold() -> None:
    config = DecoderConfig(0, KeywordThreshold(0.5), (("no", KeywordThreshold(0.9)),))
    rows = np.array([[0, 0.8, 0.2, 0], [0.8, 0, 0.2, 0], [0, 0.95, 0.05, 0]], np.float32)
    events = PosteriorDecoder(LABELS, STRIDE, config).push(rows, [STRIDE, 2 * STRIDE, 3 * STRIDE])
    assert [event.keyword for event in events] == ["yes", "no"]


def test_the_time_is_that_of_the_decision() -> None:
    rows = np.array([[1, 0, 0, 0]], np.float32)
    (event,) = PosteriorDecoder(LABELS, STRIDE, CONFIG).push(rows, [STRIDE], [STRIDE + 320])
    assert event.time == (STRIDE + 320) / 16_000


def test_reset_forgets_everything() -> None:
    decoder = PosteriorDecoder(LABELS, STRIDE, CONFIG)
    rows, ends = np.array([[1, 0, 0, 0]] * 3, np.float32), [STRIDE, 2 * STRIDE, 3 * STRIDE]
    first = decoder.push(rows, ends)
    decoder.reset()
    assert decoder.push(rows, ends) == first


def beside(unknown: float, rows: int, alone: float, gap: int = 0) -> list[KeywordEvent]:
    """The events of a yes of four rows behind so many of other speech, with a gap of so many in which the gate was
    closed."""
    speech = [[0, 0, 1 - unknown, unknown]] * rows
    word = [[0, 0, 0.5, 0.5]] * 6 + [[0.9, 0, 0.1, 0]] * 4 + [[0, 0, 1, 0]] * 2
    ends = [STRIDE * (i + 1 + (gap if i >= rows else 0)) for i in range(rows + 12)]
    config = DecoderConfig(0, KeywordThreshold(0.6, 0.3, 500), alone=alone)
    return PosteriorDecoder(LABELS, STRIDE, config).push(np.array(speech + word, np.float32), ends)


def test_a_command_stands_alone() -> None:
    """Behind two seconds of speech the word loses all of the log-odds, behind silence none."""
    (event,) = beside(0.0, 25, alone=3.0)
    assert event.score == pytest.approx(0.9, abs=0.01)
    assert beside(1.0, 25, alone=3.0) == beside(1.0, 25, alone=1e6) == []
    (event,) = beside(1.0, 25, alone=1.0)
    # Of the ends from 2 to 0.48 s before it, 19, the first of the word's own six lies among the last.
    assert np.log(event.score / (1 - event.score)) == pytest.approx(np.log(9) - 1.0, abs=0.06)
    assert beside(1.0, 25, alone=0.0)[0].score == pytest.approx(0.9)


def test_where_the_gate_was_closed_nobody_spoke() -> None:
    (event,) = beside(1.0, 25, alone=3.0, gap=30)
    assert event.score == pytest.approx(0.9, abs=0.01)


def test_alone_delays_nothing() -> None:
    assert [event.time for event in beside(0.5, 25, alone=1.0)] == [event.time for event in beside(0.5, 25, alone=0.0)]


def test_alone_needs_unknown_words_among_the_labels() -> None:
    config = DecoderConfig(0, KeywordThreshold(0.6, 0.3, 500), alone=9.0)
    rows = np.array([[1.0, 0.0]] * 40, np.float32)
    (event,) = PosteriorDecoder(("yes", "silence"), STRIDE, config).push(rows, [STRIDE * (i + 1) for i in range(40)])
    assert event.score == 1
    with pytest.raises(ValueError, match="alone must not be negative"):
        DecoderConfig(alone=-1)
