from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.quiet_hour import compose, hear, main, missing
from kws_stream import GateConfig, KeywordEvent, KeywordModel
from models.recordings import SAMPLE_RATE as RATE
from tests.conftest import EXAMPLE


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], np.full(RATE, 10_000, np.int16), RATE)
    return paths


def test_a_fifth_is_spoken_and_the_rest_is_hiss(recordings: list[Path]) -> None:
    samples = compose(recordings, recordings, 60.0)
    assert len(samples) == 60 * RATE
    assert 0.19 < (samples > 5000).mean() < 0.24
    quiet = samples[np.abs(samples) < 5000]
    assert 3 < quiet.std() < 5
    np.testing.assert_array_equal(compose(recordings, recordings, 60.0), samples)
    assert (compose(recordings, recordings, 60.0, seed=1) != samples).any()


def test_events_without_a_counterpart() -> None:
    yes, later, no = (KeywordEvent(word, 0.9, at) for word, at in (("yes", 1.0), ("yes", 1.4), ("no", 1.0)))
    assert missing([yes, no], [later]) == [no]
    assert missing([yes], [KeywordEvent("yes", 0.9, 1.6)]) == [yes]


def test_a_gate_that_rests_saves_inferences_and_keeps_the_events() -> None:
    spoken, _ = soundfile.read(EXAMPLE, dtype="int16")
    samples = np.concatenate([np.zeros(20 * RATE, np.int16), spoken])
    model = KeywordModel.load("compact-tiny")
    wide, gated = hear(model, samples, GateConfig(mode=None)), hear(model, samples, None)
    assert wide.events
    assert not missing(wide.events, gated.events)
    assert gated.inferences < wide.inferences - 15 * RATE / 1280
    assert gated.cpu_percent > 0


def test_what_it_prints(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(data), "--model", "compact-tiny", "--hours", "0.05"]) == 0
    page = capsys.readouterr().out
    assert "compact-tiny, 0.05 h, 20% of it spoken:" in page
    assert "| as the file says |" in page
    assert "lost by the gate:" in page


def test_a_folder_without_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("quiet_hour: no folder")
