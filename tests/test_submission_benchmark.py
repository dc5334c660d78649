"""`benchmarks/submission.py`: clips laid out flat, and what a submission comes to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.submission import lay_flat, main
from tests.corpus import write_corpus


def test_clips_come_again_under_new_names_until_there_are_enough(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", clips=1)
    solution = lay_flat(corpus / "train", tmp_path, 40).read_text().splitlines()
    assert solution[0] == "fname,label"
    assert len(solution) == 41 == len(list((tmp_path / "flat").iterdir())) + 1
    assert {line.split(",")[1] for line in solution[1:]} >= {"yes", "unknown"}


def test_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write_corpus(tmp_path / "corpus", clips=1)
    assert main([str(corpus / "train"), "--model", "compact-tiny", "--count", "20"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"accuracy 0\.\d+", told)
    assert "passes --check" in told
    assert main([str(tmp_path / "nowhere")]) == 1
