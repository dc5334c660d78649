"""A submission that is not yet whole: what of it still holds, and whose it is."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from kws_stream import KeywordModel, zoo
from kws_stream.cli.submit import main
from kws_stream.errors import SubmissionError
from kws_stream.partial import PartialSubmission, origin_of
from kws_stream.submission import list_flat
from tests.flat import MODEL, rows


class Started:
    """A submission of which the first `done` labels are written, all of them `go`."""

    def __init__(self, folder: Path, names: list[str], output: Path, done: int, model: str = MODEL) -> None:
        self.arguments = (
            output,
            origin_of(zoo.find(model), folder),
            folder,
            names,
            KeywordModel.load().metadata.labels,
        )
        with self.open() as partial:
            partial.append(["go"] * done)
            self.path = partial.path

    def open(self, lenient: bool = False) -> PartialSubmission:
        return PartialSubmission(*self.arguments, lenient=lenient)

    def done(self) -> int:
        with self.open() as partial:
            return partial.done


@pytest.fixture
def started(folder: Path, names: list[str], tmp_path: Path) -> Started:
    return Started(folder, names, tmp_path / "submission.csv", 50)


def test_another_model_or_folder_starts_anew(
    started: Started, folder: Path, names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, other = tmp_path / "submission.csv", tmp_path / "other"
    other.mkdir()
    for name in names:
        os.link(folder / name, other / name)
    os.utime(folder / names[0])
    written = started.path.read_bytes()
    for arguments in ([folder, "--model", "compact"], [other, "--model", MODEL]):
        assert main([*map(str, arguments), "-o", str(output)]) == 0
        assert "goes on" not in capsys.readouterr().err
        assert Counter(label for _, label in rows(output))["go"] < 50
    assert started.path.read_bytes() == written


CHANGES: dict[str, tuple[Callable[[Path, Path], object], int]] = {
    "nothing": (lambda folder, part: None, 50),
    "a later clip is gone": (lambda folder, part: (folder / "clip_60.wav").unlink(), 50),
    "an earlier clip is gone": (lambda folder, part: (folder / "clip_20.wav").unlink(), 20),
    "a clip is new": (lambda folder, part: os.link(folder / "clip_9.wav", folder / "clip_5a.wav"), 6),
    "a clip is another": (lambda folder, part: (folder / "clip_30.wav").write_bytes(b"other"), 30),
    "a clip is an older one": (lambda folder, part: replace_by_older(folder / "clip_31.wav"), 31),
    "a line is cut": (lambda folder, part: part.write_bytes(part.read_bytes()[:-2]), 49),
    "a label is none": (lambda folder, part: part.write_text(part.read_text().replace("_7.wav,go", "_7.wav,og")), 7),
    "the header is another": (lambda folder, part: part.write_text("name,label\n"), 0),
    "the file is empty": (lambda folder, part: part.write_bytes(b""), 0),
}


def replace_by_older(path: Path) -> None:
    """As an archive would: another sound with a date of its own."""
    path.with_suffix(".new").write_bytes(b"other")
    os.utime(path.with_suffix(".new"), (1e9, 1e9))
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("change", CHANGES)
def test_only_what_still_holds_is_kept(change: str, started: Started, folder: Path) -> None:
    apply, kept = CHANGES[change]
    time.sleep(0.02)  # file systems tell times apart by some milliseconds
    apply(folder, started.path)
    started.arguments = (*started.arguments[:3], list_flat(folder), started.arguments[4])
    assert started.done() == kept
    assert len(started.path.read_text().splitlines()) == 1 + kept


def test_two_runs_do_not_write_one_file(started: Started) -> None:
    with started.open() as partial:
        with pytest.raises(SubmissionError, match="another kws-submit is writing it"):
            started.open()
        partial.append(["no"])
    assert started.done() == 51


def test_labels_of_the_unreadable_do_not_reach_a_strict_run(started: Started) -> None:
    with started.open(lenient=True) as partial:
        assert partial.done == 50
        partial.append(["silence"])
    assert started.done() == 0
    with started.open(lenient=True) as partial:
        assert partial.done == 51
