"""One pass serves all thresholds: what a trace replays is what a spotter reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from kws_stream import AudioError, DecoderConfig, FileSource, GateConfig, KeywordModel, KeywordSpotter, KeywordThreshold
from kws_stream.trace import Replay, Trace, record
from tests.conftest import EXAMPLE
from tests.test_listener import Lossy

RATE = 16_000


@pytest.fixture(scope="module")
def recording(example: NDArray[np.int16], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With silence around it, so that the gate closes."""
    path = tmp_path_factory.mktemp("trace") / "a.wav"
    silence = np.zeros(3 * RATE, np.int16)
    soundfile.write(path, np.concatenate([silence, example, silence]), RATE)
    return path


@pytest.fixture(scope="module")
def trace(model: KeywordModel, recording: Path) -> Trace:
    return record(model, FileSource(recording))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("smoothing", [0, 240, 400])
def test_a_replay_is_a_spotter(
    model: KeywordModel, trace: Trace, recording: Path, threshold: float, smoothing: float
) -> None:
    samples, _ = soundfile.read(recording, dtype="int16")
    decoder = DecoderConfig(
        smoothing, KeywordThreshold(threshold, threshold / 3), (("no", KeywordThreshold(0.9, 0.5, 200)),)
    )
    for gated, gate in ((True, None), (False, GateConfig(mode=None))):
        events = Replay(trace, decoder, gated).events(decoder)
        expected = KeywordSpotter(model, gate=gate, decoder=decoder).push(samples)
        assert [(e.keyword, e.time) for e in events] == [(e.keyword, e.time) for e in expected]
        assert [e.score for e in events] == pytest.approx([e.score for e in expected], abs=1e-5)
        assert events


def test_the_gate_is_remembered(model: KeywordModel, trace: Trace, recording: Path) -> None:
    samples, _ = soundfile.read(recording, dtype="int16")
    gated, always = KeywordSpotter(model), KeywordSpotter(model, gate=GateConfig(mode=None))
    gated.push(samples)
    always.push(samples)
    assert (trace.passed.sum(), len(trace.passed)) == (gated.inferences, always.inferences)
    assert trace.saved == pytest.approx(1 - gated.inferences / always.inferences)
    assert (trace.seconds, len(trace.posteriors)) == (len(samples) / RATE, len(trace.ends))
    assert (trace.decided >= trace.ends).all()


def test_losses_move_the_clock(model: KeywordModel, example: NDArray[np.int16]) -> None:
    trace = record(model, Lossy(example))
    assert trace.samples == 20_000 + 48_000 + len(example)
    offset = (20_000 + 48_000) / RATE
    config = model.metadata.decoder
    expected = KeywordSpotter(model).push(example)
    assert [(e.keyword, pytest.approx(e.time - offset)) for e in Replay(trace, config).events(config)] == [
        (e.keyword, e.time) for e in expected
    ]


def test_a_recording_shorter_than_the_context_is_an_error(model: KeywordModel, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(300), RATE)
    with pytest.raises(AudioError, match=r"is too short; the model hears 0.995 s at once"):
        record(model, FileSource(tmp_path / "short.wav"))
    assert record(model, FileSource(EXAMPLE)).keywords == model.metadata.keywords
