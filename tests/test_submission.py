"""The table of labels: its order, its form, and what a solution says of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_stream.cli.submit import main
from kws_stream.evaluation import wilson_interval
from kws_stream.submission import format_row, natural_order, read_submission
from tests.flat import CLIPS


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["clip_10.wav", "clip_2.wav", "clip_1.wav"], ["clip_1.wav", "clip_2.wav", "clip_10.wav"]),
        (["a2b10", "a2b9", "a10", "2", "10", "b"], ["2", "10", "a2b9", "a2b10", "a10", "b"]),
        (["x01", "x1", "x001", "x²", "x٣"], ["x001", "x01", "x1", "x²", "x٣"]),
    ],
)
def test_digits_are_sorted_as_numbers(names: list[str], ordered: list[str]) -> None:
    assert sorted(names, key=natural_order) == ordered


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(), max_size=8))
def test_any_names_have_an_order(names: list[str]) -> None:
    assert sorted(reversed(names), key=natural_order) == sorted(names, key=natural_order)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1, unique=True))
def test_any_names_come_back(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("names") / "submission.csv"
    path.write_bytes(("fname,label\n" + "".join(format_row(name, "go") for name in names)).encode())
    assert read_submission(path, names, ["go"]) == dict.fromkeys(names, "go")


@pytest.fixture
def written(folder: Path, names: list[str], tmp_path: Path) -> Path:
    """A submission in which everything is `go`."""
    path = tmp_path / "written.csv"
    path.write_text("fname,label\n" + "".join(f"{name},go\n" for name in names))
    return path


FLAWS: dict[str, tuple[str, str, str]] = {
    "header": ("fname,label", "file,label", r"expected the header fname,label, got 'file,label'"),
    "no header": ("fname,label\n", "", r"expected the header fname,label, got 'clip_0\.wav,go'"),
    "missing": ("clip_7.wav,go\n", "", r"1 of 96 clips are missing, the first of them clip_7\.wav"),
    "twice": ("clip_8.wav,go\n", "clip_7.wav,go\n", r"line 10: clip_7\.wav again, after line 9"),
    "foreign": ("clip_7.wav", "clip_700.wav", r"line 9: 'clip_700\.wav' is no clip of the folder"),
    "label": ("clip_7.wav,go", "clip_7.wav,GO", r"line 9: 'GO' is no label; expected one of yes no up .*unknown"),
    "order": ("clip_7.wav,go\nclip_8.wav", "clip_8.wav,go\nclip_7.wav", r"line 9: expected clip_7\.wav, got clip_8"),
    "columns": ("clip_7.wav,go", "clip_7.wav,go,1", r"line 9: expected 2 values, got 3"),
    "empty line": ("clip_7.wav,go\n", "clip_7.wav,go\n\n", r"line 10: expected 2 values, got 0"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_what_is_wrong_with_a_submission_is_one_line(
    flaw: str, written: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong, message = FLAWS[flaw]
    written.write_text(written.read_text().replace(right, wrong, 1))
    assert main([str(folder), "--check", str(written)]) == 1
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert re.search(f"kws-submit: .*written.csv.*{message}", line)
    assert output.out == ""


def test_a_right_submission_passes(written: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written.write_bytes(written.read_bytes().replace(b"\n", b"\r\n"))  # as a spreadsheet saves it
    assert main([str(folder), "--check", str(written), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"submission": str(written), "rows": CLIPS}


def test_a_solution_tells_how_often_it_is_right(
    written: Path, folder: Path, names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the clips that it names, in any order and beside other columns: 30 of 50."""
    solution = tmp_path / "solution.csv"
    lines = [f"{'go' if number < 30 else 'stop'},Public,{names[number]}\n" for number in reversed(range(50))]
    solution.write_text("label,Usage,fname\n" + "".join(lines))
    arguments = [str(folder), "--check", str(written), "--solution", str(solution)]
    assert main([*arguments, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["accuracy"], figures["clips"], figures["rows"]) == (0.6, 50, CLIPS)
    assert figures["interval"] == [round(bound, 4) for bound in wilson_interval(30, 50)]
    assert figures["recall"] == {"go": 1, "stop": 0}
    assert "ece" not in figures
    assert main(arguments) == 0
    assert "accuracy 0.6000  95 % interval 0.4618 to 0.7239  50 clips" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fname,label\n", "holds no clips; expected lines of fname,label"),
        ("id,label\n", "expected the header columns fname,label, got 'id,label'"),
        ("fname,label\nclip_1.wav,house\n", "line 2: 'house' is no label"),
        ("fname,label\nclip_1.wav,go\nclip_1.wav,go\n", r"line 3: clip_1\.wav again, after line 2"),
        ("fname,label\nclip_1000.wav,go\n", r"line 2: the submission has no clip 'clip_1000\.wav'"),
        (None, r"solution\.csv: cannot be read as a table \(.*No such file"),
    ],
)
def test_a_bad_solution_is_one_line_before_any_work(
    text: str | None, message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solution = tmp_path / "solution.csv"
    if text is not None:
        solution.write_text(text)
    assert main([str(folder), "-o", str(tmp_path / "submission.csv"), "--solution", str(solution)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not list(tmp_path.glob("submission*"))
