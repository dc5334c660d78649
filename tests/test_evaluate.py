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
from scipy.stats import binomtest, chi2

from kws_stream import AudioError, KeywordModel
from kws_stream.evaluation import Evaluation, evaluate_clips, list_labelled, poisson_interval, wilson_interval

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
    assert set(result) == {"accuracy", "interval", "ece", "clips", "recall", "confusion", "labels"}
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
    assert 0 < result["ece"] < 1


def test_the_text_has_the_same_figures(folder: Path) -> None:
    lines = evaluate(folder).stdout.splitlines()
    assert lines[0].startswith("accuracy 0.")
    assert lines[0].endswith("9 clips")
    assert lines[1].startswith("ECE 0.")
    assert len(lines) == 4 + 12


def test_the_plots_are_pictures(folder: Path, tmp_path: Path) -> None:
    names = ("confusion.png", "reliability.png")
    assert evaluate(folder, "--plot", tmp_path / names[0], "--reliability", tmp_path / names[1]).returncode == 0
    pictures = [(tmp_path / name).read_bytes() for name in names]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize("option", ["--plot", "--reliability"])
def test_a_plot_that_cannot_be_drawn_is_one_line(option: str, folder: Path, tmp_path: Path) -> None:
    """Without matplotlib nothing is evaluated first; a folder that is not there is told after the figures."""
    script = "import sys; sys.modules['matplotlib'] = None; from kws_stream.cli.evaluate import main; sys.exit(main())"
    options = ["clips", str(folder), "--model", "lightcnn", option, str(tmp_path / "a.png")]
    result = subprocess.run([sys.executable, "-c", script, *options], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "kws-eval: --plot and --reliability need matplotlib; pip install matplotlib\n"
    result = evaluate(folder, option, tmp_path / "none" / "a.png")
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "cannot write the plot" in result.stderr
    assert result.stdout.startswith("accuracy")


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
    assert result.confusion.sum() == result.reliability.count.sum() == 9
    path, truth = clips[-1]
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_allclose(result.posteriors[-1], model.classify(samples), atol=1e-6)
    assert result.truth[-1] == truth


def test_the_figures_are_those_of_the_posteriors() -> None:
    """Four answers of a confidence of 0.8, three of them right, and one of 0.6 that is wrong: |0.75 - 0.8| * 4 / 5 and
    0.6 * 1 / 5."""
    posteriors = np.array([[0.8, 0.2], [0.2, 0.8], [0.8, 0.2], [0.8, 0.2], [0.4, 0.6]], np.float32)
    result = Evaluation(("yes", "no"), np.array([0, 1, 0, 1, 0]), posteriors)
    assert result.confusion.tolist() == [[2, 1], [1, 1]]
    assert result.to_json()["ece"] == pytest.approx(0.16)
    assert result.accuracy == pytest.approx(0.6)
    assert result.recall == pytest.approx({"yes": 2 / 3, "no": 1 / 2})


@pytest.mark.parametrize("count", [0, 1, 3, 50, 4000])
def test_the_interval_of_a_count_is_garwoods(count: int) -> None:
    oracle = (chi2.ppf(0.025, 2 * count) / 2 if count else 0.0, chi2.ppf(0.975, 2 * count + 2) / 2)
    assert poisson_interval(count) == pytest.approx(oracle, rel=1e-6)
