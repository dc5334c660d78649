"""The decoders that `models.decoders` compares, each against what its rule says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws_stream import DecoderConfig, FileSource, KeywordModel, KeywordThreshold
from kws_stream.decoder import Scores
from kws_stream.operation import pick, sweep
from kws_stream.trace import Replay, Trace, record
from kws_stream.truth import Truth, Utterance
from models.decoders import AIMS, argmax, chen, compare, decoders, main
from models.labels import KEYWORDS
from tests.conftest import EXAMPLE

STRIDE = 1280


def trace(posteriors: list[list[float]]) -> Trace:
    """Rows of yes, no, silence and unknown."""
    rows = np.array(posteriors, np.float32)
    ends = STRIDE * np.arange(1, len(rows) + 1)
    labels = ("yes", "no", "silence", "unknown")
    return Trace(labels, STRIDE, 16_000, int(ends[-1]), rows, ends, ends > 0, ends)


def test_argmax_lets_the_most_probable_label_through() -> None:
    own = trace([[0.4, 0.3, 0.2, 0.1], [0.4, 0.1, 0.5, 0.0], [0.3, 0.0, 0.1, 0.6], [0.1, 0.6, 0.3, 0.0]])
    config = DecoderConfig(0, KeywordThreshold(0.3, 0.3, 0))
    values = argmax(own, config, Replay(own, config).scores).values
    np.testing.assert_allclose(values, [[0.4, 0], [0, 0], [0, 0], [0, 0.6]], atol=1e-6)


def test_chens_confidence_is_the_highest_of_the_last_second() -> None:
    course = np.random.default_rng(0).random((60, 2)).astype(np.float32)
    fresh = [row == 30 for row in range(60)]
    values = chen(trace([[0, 0, 1, 0]] * 60), DecoderConfig(), Scores(course.tolist(), fresh)).values
    for row in range(60):
        first = max(0 if row < 30 else 30, row - 11)  # twelve rows of 80 ms, rounded from a second
        np.testing.assert_array_equal(values[row], course[first : row + 1].max(0))


def test_the_table_holds_what_a_sweep_finds(model: KeywordModel) -> None:
    rows = [row.split(",") for row in EXAMPLE.with_suffix(".csv").read_text().splitlines()[1:]]
    truth = Truth(tuple(Utterance(word, float(on), float(end)) for word, on, end, _ in rows if word in KEYWORDS))
    own = record(model, FileSource(EXAMPLE))
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in compare(own, truth).splitlines()]
    assert len(lines) == 2 + 3 * len(decoders(240))
    assert {len(line) for line in lines} == {2 + len(AIMS) + 2}
    (line,) = (line for line in lines if line[:2] == ["400", "hysteresis, refractory"])
    config = replace(DecoderConfig(400), default=KeywordThreshold(0.8, 0.4, 500))
    points = sweep(Replay(own, config), config, truth.utterances)
    assert line[2:6] == [f"{pick(points, aim).miss_rate:.1%}".replace("%", " %") for aim in AIMS]


@pytest.mark.parametrize("split", ["test", None])
def test_decoders_are_not_chosen_on_other_streams(
    split: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(32_000), 16_000)
    (tmp_path / "a.jsonl").write_text(json.dumps({"stream": {"split": split}}) + "\n")
    assert main([str(tmp_path / "a.wav"), "--model", "compact"]) == 1
    assert "chosen on streams of train or val" in capsys.readouterr().err


def test_the_table_is_written_as_it_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(32_000), 16_000)
    lines = [{"stream": {"split": "val"}}, {"keyword": "yes", "onset": 0.5, "end": 0.9}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    written = tmp_path / "table.md"
    assert main([str(tmp_path / "a.wav"), "--model", "compact", "-o", str(written)]) == 0
    assert written.read_text() == capsys.readouterr().out
    assert "100.0 %" in written.read_text(), "silence: all is missed"
