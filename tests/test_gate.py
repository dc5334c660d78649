from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from kws_stream import GateConfig
from kws_stream.frontend import to_float
from kws_stream.gate import ALWAYS, Span, SpeechGate, VoiceActivity, to_int16

RATE = 16_000


@pytest.fixture
def burst(example: NDArray[np.int16]) -> NDArray[np.float32]:
    """Two seconds of digital silence on either side of two seconds of speech."""
    silence = np.zeros(2 * RATE, np.float32)
    return np.concatenate([silence, to_float(example)[: 2 * RATE], silence, silence])


def covered(spans: list[Span]) -> tuple[int, int]:
    return spans[0].start, spans[-1].stop


def test_the_gate_opens_before_speech_and_closes_after_it(burst: NDArray[np.float32]) -> None:
    speech = np.flatnonzero(VoiceActivity(2).push(burst)) * 320
    spans = SpeechGate(GateConfig(2, look_back_ms=200, hangover_ms=500)).push(burst)
    start, stop = covered(spans)
    assert start == speech[0] - 3200
    assert stop == speech[-1] + 320 + 8000
    assert 1.5 * RATE < start < 4 * RATE
    assert stop < len(burst)


def test_silence_never_opens_it() -> None:
    assert SpeechGate().push(np.zeros(10 * RATE, np.float32)) == []


def test_spans_come_in_order_without_overlap_and_not_before_they_are_known(burst: NDArray[np.float32]) -> None:
    gate = SpeechGate(GateConfig(2, look_back_ms=100, hangover_ms=60))
    spans = gate.push(burst)
    for before, after in pairwise(spans):
        assert before.stop <= after.start < after.stop
        assert before.known_at < after.known_at
    for span in spans:
        assert span.known_at - span.start <= gate.delay


def test_without_a_mode_it_is_always_open() -> None:
    gate = SpeechGate(GateConfig(mode=None))
    assert gate.push(np.zeros(5, np.float32)) == [Span(0, ALWAYS, 0)]
    assert gate.push(np.zeros(5, np.float32)) == []
    gate.reset()
    assert gate.push(np.zeros(5, np.float32)) == [Span(0, ALWAYS, 0)]


def test_samples_of_16_bits_are_heard_as_the_same_in_floats(example: NDArray[np.int16]) -> None:
    speech = example[: 4 * RATE]
    assert SpeechGate().push(speech) == SpeechGate().push(to_float(speech)) != []


def test_floats_are_rounded_and_clipped() -> None:
    floats = np.array([-1.5, -1, -0.4 / 32768, 0.6 / 32768, 32767 / 32768, 1, 7], np.float32)
    assert to_int16(floats).tolist() == [-32768, -32768, 0, 1, 32767, 32767, 32767]
    assert to_int16(floats.astype(np.float64)).tolist() == to_int16(floats).tolist()


def test_reset_makes_a_fresh_detector(burst: NDArray[np.float32]) -> None:
    gate = SpeechGate()
    first = gate.push(burst[: 3 * RATE])
    gate.reset()
    assert gate.push(burst[: 3 * RATE]) == first
