"""`kws-eval clips` and the figures behind it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.stats import binomtest

from kws_stream import AudioError, KeywordModel
from kws_stream.evaluation import Evaluation, evaluate_clips, list_labelled, wilson_interval

RATE = 16_000


def evaluate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws_stream.cli.evaluate", "clips", *map(str, arguments), "--model", "lightcnn"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, example: NDArray[np.int16]) -> Path:
    """Nine clips: silence under both its names, an unknown word at 48 kHz, and a word that is a label."""
    root = tmp_path_factory.mktemp("clips")
    for word, rate in {"_silence_": RATE, "silence": RATE, "house": 48_000, "yes": RATE}.items():
        (root / word).mkdir()
        for index in range(3 if word == "yes" else 2):
            samples = np.zeros(rate) if "silence" in word else example[index * RATE :][:rate]
            soundfile.write(root / word / f"{index}.wav", samples, rate)
    (root / "house" / "notes.txt").write_text("no clip")
    return root


def test_the_json_has_the_documented_shape(folder: Path) -> None:
    result: dict[str, Any] = json.loads(evaluate(folder, "--json").stdout)
    assert set(result) == {"accuracy", "interval", "clips", "recall", "confusion", "labels"}
    assert result["clips"] == 9
    confusion = np.array(result["confusion"])
    assert confusion.shape == (12, 12)
    assert dict(zip(result["labels"], confusion.sum(1).tolist(), strict=True)) == {
        **dict.fromkeys(result["labels"], 0),
        "silence": 4,
        "unknown": 2,
        "yes": 3,
    }
    assert result["accuracy"] == pytest.approx(confusion.trace() / 9, abs=1e-4)
    assert result["recall"]["silence"] == 1
    assert "no" not in result["recall"]
    low, high = result["interval"]
    assert low < result["accuracy"] < high


def test_the_text_has_the_same_figures(folder: Path) -> None:
    lines = evaluate(folder).stdout.splitlines()
    assert lines[0].startswith("accuracy 0.")
    assert lines[0].endswith("9 clips")
    assert len(lines) == 3 + 12


def test_the_plot_is_a_picture(folder: Path, tmp_path: Path) -> None:
    assert evaluate(folder, "--plot", tmp_path / "confusion.png").returncode == 0
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "yes").mkdir()
    for message in ("holds no clips", "bad.wav: not readable"):
        result = evaluate(tmp_path)
        assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
        assert message in result.stderr
        (tmp_path / "yes" / "bad.wav").write_text("no audio")
    assert "no such folder" in evaluate(tmp_path / "nothing").stderr


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (5, 10), (10, 10), (2199, 2528)])
def test_the_interval_is_wilsons(hits: int, trials: int) -> None:
    oracle = binomtest(hits, trials).proportion_ci(method="wilson")
    assert wilson_interval(hits, trials) == pytest.approx((oracle.low, oracle.high), abs=1e-6)


def test_words_that_are_no_label_are_unknown(folder: Path) -> None:
    clips = list_labelled(folder, ("yes", "silence", "unknown"))
    assert [index for path, index in clips if path.parent.name == "house"] == [2, 2]
    with pytest.raises(AudioError, match="knows neither 'house' nor unknown words"):
        list_labelled(folder, ("yes", "silence"))


def test_every_clip_is_counted_once(folder: Path, model: KeywordModel) -> None:
    clips = list_labelled(folder, model.metadata.labels)
    result = evaluate_clips(model, clips)
    assert isinstance(result, Evaluation)
    assert result.clips == len(clips) == 9
