from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.alarms import find_alarms
from models.dataset import list_clips
from models.mine import FOUND, cut, main, mine
from models.recordings import read_mono
from tests.certain import certain_task, write_sentences


def test_what_was_mistaken_is_unknown_to_the_next_training(tmp_path: Path) -> None:
    task, sentences = certain_task(), write_sentences(tmp_path)
    counts = mine(task, sentences, tmp_path / "mined", 0.5)
    assert counts == {"yes": 2}
    clips = list_clips(tmp_path / "mined", "train")
    assert [(clip.word, clip.label, clip.speaker) for clip in clips] == [("not-yes", "unknown", "a")] * 2
    samples = read_mono(sentences[0])
    with (tmp_path / "mined" / FOUND).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [clip.path.relative_to(tmp_path / "mined").as_posix() for clip in clips]
    for alarm, clip, row in zip(find_alarms(task, samples, 0.5), clips, rows, strict=True):
        written, rate = soundfile.read(clip.path, dtype="int16")
        assert rate == 16_000
        np.testing.assert_array_equal(written, samples[alarm.start : alarm.start + 16_000])
        assert float(row["second"]) == pytest.approx(alarm.start / 16_000, abs=0.005)


def test_a_cut_lies_within_the_recording() -> None:
    samples = np.arange(20_000, dtype=np.int16)
    assert cut(samples, 10_000)[0] == 4000
    assert cut(samples, -5)[0] == 0
    assert cut(samples[:10], 3).tolist() == [*range(10), *[0] * 15_990]


def test_clips_of_two_networks_do_not_mix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mined").mkdir()
    (tmp_path / "mined" / FOUND).touch()
    arguments = ["best.ckpt", "--speech", str(tmp_path / "speech"), "-o", str(tmp_path / "mined")]
    assert main(arguments) == 1
    assert "mined is not empty; clips of two networks would mix: name another folder" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "mined")
    assert main(arguments) == 1
    expected = "transcripts.csv: expected a CSV with the columns path and keywords_spoken"
    assert expected in capsys.readouterr().err
