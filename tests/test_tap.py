"""The audio around events: all of it, once, however the stream was cut."""

from __future__ import annotations

from collections import defaultdict
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kws_stream import AudioPiece, KeywordEvent
from kws_stream.decoder import Scores
from kws_stream.near_miss import NearMisses
from kws_stream.tap import AudioTap

RATE = 1000
SAMPLES = np.arange(1, 9001, dtype=np.float32)  # every sample tells where it is
EVENTS = [KeywordEvent("yes", 0.9, 0.3), KeywordEvent("no", 0.8, 4.0), KeywordEvent("no", 0.7, 4.2)]
cuts = st.lists(st.sampled_from((1, 79, 160, 1000)) | st.integers(1, 3000), min_size=1, max_size=6)


def tapped(tap: AudioTap, lengths: list[int], events: list[KeywordEvent] = EVENTS) -> list[AudioPiece]:
    """The stream in blocks, each with the events that fall in it."""
    pieces, at, turn = [], 0, 0
    while at < len(SAMPLES):
        block = SAMPLES[at : at + max(lengths[turn % len(lengths)], 20)]
        fell = [event for event in events if at < event.time * RATE <= at + len(block)]
        pieces += tap.push(block, fell)
        at, turn = at + len(block), turn + 1
    return pieces + tap.push(SAMPLES[:0], last=True)


def joined(pieces: list[AudioPiece]) -> dict[KeywordEvent, NDArray[np.float32]]:
    parts = defaultdict(list)
    for piece in pieces:
        assert piece.start == (
            parts[piece.event][-1][0] + len(parts[piece.event][-1][1]) if parts[piece.event] else piece.start
        )
        parts[piece.event].append((piece.start, piece.samples))
    return {event: np.concatenate([samples for _, samples in own]) for event, own in parts.items()}


@settings(max_examples=40, deadline=None)
@given(lengths=cuts, pre=st.sampled_from([0.0, 0.5, 2.0]), post=st.sampled_from([0.0, 0.7, 30.0]))
def test_the_law(lengths: list[int], pre: float, post: float) -> None:
    tap = AudioTap(pre, post, RATE)
    tap.push(SAMPLES[:777], EVENTS[:1])
    tap.reset()
    pieces = tapped(tap, lengths)
    whole = joined(pieces)
    for event in EVENTS:
        at = round(event.time * RATE)
        expected = SAMPLES[max(0, at - round(pre * RATE)) : min(len(SAMPLES), at + round(post * RATE))]
        np.testing.assert_array_equal(whole[event], expected)
        assert [piece.last for piece in pieces if piece.event is event].count(True) == 1


def test_the_pre_roll_comes_with_the_event_and_the_rest_as_it_is_heard() -> None:
    tap = AudioTap(0.1, inf, RATE)
    (first,) = tap.push(SAMPLES[:1000], [KeywordEvent("yes", 1.0, 0.95)])
    assert (first.start, len(first.samples), first.last) == (850, 150, False)
    (second,) = tap.push(SAMPLES[1000:1010])
    np.testing.assert_array_equal(second.samples, SAMPLES[1000:1010])
    tap.close(first.event)
    assert tap.push(SAMPLES[1010:2000]) == []


def test_lost_samples_are_zeros_and_keep_the_time() -> None:
    tap = AudioTap(0.1, 5.0, RATE)
    pieces = tap.push(SAMPLES[:1000], [KeywordEvent("yes", 1.0, 1.0)]) + tap.skip(2500) + tap.push(SAMPLES[3500:7000])
    (audio,) = joined(pieces).values()
    expected = SAMPLES[900:6000].copy()
    expected[100:2600] = 0
    np.testing.assert_array_equal(audio, expected)


def test_memory_does_not_grow_with_the_stream() -> None:
    tap = AudioTap(0.5, 1.0, RATE, late=0.2)
    for _ in range(50):
        tap.push(SAMPLES, [KeywordEvent("yes", 1.0, tap._kept.stop / RATE + 1)])
    assert tap._kept.stop - tap._kept.start == 700
    assert len(tap._open) == 0


def test_an_old_event_has_what_is_still_there() -> None:
    tap = AudioTap(0.5, 0.1, RATE, late=1.0)
    tap.push(SAMPLES)
    (piece,) = tap.push(SAMPLES[:10], near_misses=[KeywordEvent("no", 0.4, 8.2)])
    assert (piece.start, len(piece.samples), piece.last, piece.fired) == (7700, 600, True, False)
    (piece,) = tap.push(SAMPLES[:10], near_misses=[KeywordEvent("no", 0.4, 5.0)])
    assert (len(piece.samples), piece.last) == (0, True)


def rises(course: list[float], events: list[int], cut: int | None = None) -> list[KeywordEvent]:
    """Near misses of one keyword whose score takes this course, with events at these rows."""
    near = NearMisses(["yes"], 0.4, RATE)
    fell = [KeywordEvent("yes", 1.0, row * 0.1) for row in events]
    values = np.array(course, np.float32)[:, None]
    decided = [100 * row for row in range(len(course))]
    found = []
    for rows in (slice(None, cut), slice(cut, None)) if cut else (slice(None),):
        scores = Scores(values[rows].tolist(), [False] * len(values[rows]))
        found += near.push(
            scores, decided[rows], [event for event in fell if round(event.time * RATE) in decided[rows]]
        )
    return found


def test_a_score_that_rose_and_fell_is_a_near_miss_at_its_peak() -> None:
    (found,) = rises([0.1, 0.5, 0.7, 0.6, 0.3, 0.1, 0.0], [])
    assert found == KeywordEvent("yes", pytest.approx(0.7), 0.2)
    assert len(rises([0.5, 0.1, 0.5, 0.1], [])) == 2
    assert rises([0.3] * 9, []) == []


def test_what_fired_or_echoes_is_no_near_miss() -> None:
    assert rises([0.1, 0.5, 0.9, 0.6, 0.1], [2]) == []
    assert rises([0.9, 0.1, 0.1, 0.5, 0.1], [0]) == []
    assert len(rises([0.9, *[0.1] * 12, 0.5, 0.1], [0])) == 1


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40), st.integers(1, 39), st.sets(st.integers(0, 39)))
def test_the_law_of_near_misses(course: list[float], cut: int, events: set[int]) -> None:
    fell = sorted(row for row in events if row < len(course))
    assert rises(course, fell, cut) == rises(course, fell)
