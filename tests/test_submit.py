"""`kws-submit`: every clip once, in order, whole or not at all, and as often right as `kws-eval` says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kws_stream import AudioError, KeywordModel, zoo
from kws_stream.cli.submit import main
from kws_stream.errors import SubmissionError
from kws_stream.evaluation import wilson_interval
from kws_stream.labelling import BATCH, label_clips
from kws_stream.partial import PartialSubmission, origin_of
from kws_stream.submission import format_row, list_flat, natural_order, read_submission

RATE = 16_000
CLIPS = 3 * BATCH
MODEL = "compact-tiny"


def submit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws_stream.cli.submit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def seconds(example: NDArray[np.int16]) -> NDArray[np.int16]:
    """`(CLIPS, RATE)`: the bundled recording in overlapping seconds."""
    step = (len(example) - RATE) // CLIPS
    return np.stack([example[number * step :][:RATE] for number in range(CLIPS)])


@pytest.fixture
def folder(tmp_path: Path, seconds: NDArray[np.int16]) -> Path:
    """clip_0.wav to clip_95.wav, and what is no clip."""
    root = tmp_path / "clips"
    (root / "more.wav").mkdir(parents=True)
    for number, samples in enumerate(seconds):
        soundfile.write(root / f"clip_{number}.wav", samples, RATE)
    for name in ("notes.txt", "._clip_1.wav"):
        (root / name).write_text("no clip")
    return root


@pytest.fixture
def names(folder: Path) -> list[str]:
    return [f"clip_{number}.wav" for number in range(CLIPS)]


def test_every_clip_has_a_line_in_natural_order(
    folder: Path, names: list[str], seconds: NDArray[np.int16], tmp_path: Path
) -> None:
    output = tmp_path / "submission.csv"
    result = submit(folder, "--model", MODEL, "-o", output)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{output}: {CLIPS} clips, each once, in order, with labels of the model\n"
    head, *lines = rows(output)
    assert head == ["fname", "label"]
    assert [name for name, _ in lines] == names
    model = KeywordModel.load(MODEL)
    assert [label for _, label in lines] == [
        model.metadata.labels[model.classify(samples).argmax()] for samples in seconds
    ]
    assert len({label for _, label in lines}) > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips", "submission.csv"]


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


def test_names_that_are_no_utf_8_are_written_as_they_are(tmp_path: Path, seconds: NDArray[np.int16]) -> None:
    (tmp_path / "clips").mkdir()
    strange = os.fsdecode(b'caf\xe9, "1".wav')
    try:
        soundfile.write(tmp_path / "clips" / "a.wav", seconds[0], RATE)
        (tmp_path / "clips" / "a.wav").rename(tmp_path / "clips" / strange)
    except OSError:
        pytest.skip("this file system knows UTF-8 names only")
    assert submit(tmp_path / "clips", "-o", tmp_path / "s.csv").returncode == 0
    assert (tmp_path / "s.csv").read_bytes().startswith(b'fname,label\n"caf\xe9, ""1"".wav",')


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_come_in_order_whatever_the_threads(threads: int, folder: Path, names: list[str]) -> None:
    model = KeywordModel.load(MODEL)
    paths = [folder / name for name in names]
    batches = list(label_clips(model, paths, threads))
    assert [len(batch.labels) for batch in batches] == [BATCH] * 3
    assert [label for batch in batches for label in batch.labels] == [
        label for path in paths for batch in label_clips(model, [path]) for label in batch.labels
    ]


def test_the_network_is_called_once_a_batch(folder: Path, names: list[str]) -> None:
    calls = []

    class Counting(KeywordModel):
        def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
            calls.append(len(features))
            return super().predict(features)

    list(label_clips(Counting.load(MODEL), [folder / name for name in names[:-5]]))
    assert calls == [BATCH, BATCH, BATCH - 5]


LIMITED = """
import resource, signal, sys
from kws_stream.cli.submit import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
signal.signal(signal.SIGXFSZ, signal.{action})
sys.exit(main())
"""
"""The system ends the process, or refuses to write, at byte 1000 of a file."""


def submit_limited(action: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("resource", reason="Windows limits no file sizes")
    command = [sys.executable, "-B", "-c", LIMITED.format(action=action), *map(str, arguments), "--model", MODEL]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_killed_run_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    """Killed by the system amid a line."""
    whole, output = tmp_path / "whole.csv", tmp_path / "submission.csv"
    assert main([str(folder), "--model", MODEL, "-o", str(whole)]) == 0
    assert submit_limited("SIG_DFL", folder, "-o", output).returncode == -signal.SIGXFSZ
    assert not output.exists()
    (part,) = tmp_path.glob("submission.csv.*.part")
    assert part.read_bytes() == whole.read_bytes()[:1000]
    done = part.read_text().count("\n") - 1
    assert BATCH < done < CLIPS
    result = submit(folder, "--model", MODEL, "-o", output)
    assert (result.returncode, result.stderr) == (0, f"kws-submit: goes on after {done} of {CLIPS} clips\n")
    assert output.read_bytes() == whole.read_bytes()
    assert not part.exists()


def test_a_full_disk_is_one_line_and_leaves_the_old_file(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "submission.csv"
    output.write_text("of yesterday")
    result = submit_limited("SIG_IGN", folder, "-o", output)
    assert result.returncode == 1
    assert re.fullmatch(r"kws-submit: .*\.part: cannot be written \(File too large\)\n", result.stderr)
    assert output.read_text() == "of yesterday"
    assert submit(folder, "--model", MODEL, "-o", output).stderr.startswith("kws-submit: goes on after ")
    assert len(rows(output)) == 1 + CLIPS


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_keeps_what_was_done(folder: Path, names: list[str], tmp_path: Path) -> None:
    """Sent as soon as the first of a hundred batches is written."""
    total = 100 * BATCH
    for number in range(CLIPS, total):
        os.link(folder / names[number % CLIPS], folder / f"clip_{number}.wav")
    command = [sys.executable, "-m", "kws_stream.cli.submit", folder, "-o", tmp_path / "s.csv", "--threads", "1"]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not any(part.stat().st_size > 100 for part in tmp_path.glob("*.part")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 0
    (done,) = re.findall(rf"^kws-submit: stopped after (\d+) of {total} clips; the same command goes on", complaint)
    (part,) = tmp_path.glob("*.part")
    assert part.read_text().count("\n") == 1 + int(done)
    assert not (tmp_path / "s.csv").exists()


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


def test_an_unreadable_clip_stops_the_run_and_nothing_is_lost(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, output = folder / "clip_45.wav", tmp_path / "submission.csv"
    arguments = [str(folder), "--model", MODEL, "-o", str(output)]
    samples = broken.read_bytes()
    broken.write_bytes(b"no sound")
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(r"kws-submit: .*clip_45\.wav: not readable .*; what was done is kept \(45 clips\): mend or", line)
    assert not output.exists()
    broken.write_bytes(samples)
    assert main(arguments) == 0
    assert capsys.readouterr().err == f"kws-submit: goes on after 45 of {CLIPS} clips\n"
    assert rows(output)[46][0] == "clip_45.wav"


def test_unreadable_clips_can_count_as_silence(
    folder: Path, names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "submission.csv"
    (folder / "clip_3.wav").write_bytes(b"no sound")
    soundfile.write(folder / "clip_40.wav", np.zeros(0), RATE)
    (folder / "clip_41.wav").unlink()
    (folder / "clip_41.wav").symlink_to("nowhere")
    assert main([str(folder), "--model", MODEL, "-o", str(output)]) == 1
    capsys.readouterr()
    assert main([str(folder), "--model", MODEL, "-o", str(output), "--unreadable", "silence"]) == 0
    first, *complaints = capsys.readouterr().err.splitlines()
    assert first == f"kws-submit: goes on after 3 of {CLIPS} clips"
    assert [re.search(r"clip_\d+\.wav: (.{5})", line)[0] for line in complaints] == [  # type: ignore[index]
        "clip_3.wav: not r",
        "clip_40.wav: holds",
        "clip_41.wav: no su",
    ]
    assert all(line.endswith("; labelled silence") for line in complaints)
    answers = read_submission(output, names, KeywordModel.load().metadata.labels)
    assert [answers[f"clip_{number}.wav"] for number in (3, 40, 41)] == ["silence"] * 3


def test_a_bar_moves_where_there_is_a_terminal(folder: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    command = [sys.executable, "-m", "kws_stream.cli.submit", folder, "--model", MODEL, "-o", tmp_path / "s.csv"]
    process = subprocess.Popen([*map(str, command)], stderr=writer, stdout=subprocess.PIPE, text=True)
    os.close(writer)
    shown = b""
    while piece := read_terminal(reader):
        shown += piece
    os.close(reader)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output.count("\n") == 1
    assert f"/{CLIPS}".encode() in shown


def read_terminal(terminal: int) -> bytes:
    """What is there; nothing when the other side is gone, which Linux takes for an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


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


def test_bad_input_is_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def complaint(*arguments: str | Path) -> str:
        assert main([*map(str, arguments)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "no such folder" in complaint(tmp_path / "nothing", "-o", tmp_path / "s.csv")
    assert "no clips lie in it" in complaint(tmp_path, "-o", tmp_path / "s.csv")
    assert "is a folder; expected the name of a file" in complaint(folder, "-o", tmp_path)
    assert "cannot be written (No such file" in complaint(folder, "-o", tmp_path / "none" / "s.csv")
    assert "no model nothing.onnx" in complaint(folder, "-o", tmp_path / "s.csv", "--model", "nothing.onnx")
    assert "cannot be read as a table" in complaint(folder, "--check", tmp_path / "s.csv")


@pytest.mark.parametrize("arguments", [[], ["-o", "a", "--check", "a"], ["-o", "a", "--threads", "0"]])
def test_usage_errors_exit_with_2(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(folder), *arguments])
    assert "usage: kws-submit" in capsys.readouterr().err


def test_an_iterator_that_is_closed_reads_no_further(folder: Path, names: list[str]) -> None:
    batches = label_clips(KeywordModel.load(MODEL), [folder / name for name in names])
    assert len(next(batches).labels) == BATCH
    batches.close()  # type: ignore[attr-defined]
    with pytest.raises(AudioError, match=r"nowhere\.wav: no such file"):
        list(label_clips(KeywordModel.load(MODEL), [folder / "nowhere.wav"]))


def test_the_accuracy_is_that_of_kws_eval(data: Path, tmp_path: Path) -> None:
    """The official test clips lie flat under new names, and a solution says what they are."""
    test, flat = data / "speech_commands" / "test", tmp_path / "flat"
    flat.mkdir()
    labels = KeywordModel.load().metadata.labels
    clips = sorted(test.glob("*/*.flac"), key=lambda path: path.name)
    lines = ["fname,label"]
    for number, path in enumerate(clips):
        name = f"clip_{number}.flac"
        (flat / name).symlink_to(path)
        word = path.parent.name.strip("_")
        lines.append(f"{name},{word if word in labels else 'unknown'}")
    (tmp_path / "solution.csv").write_text("\n".join(lines) + "\n")
    submission = tmp_path / "submission.csv"
    result = submit(flat, "-o", submission, "--solution", tmp_path / "solution.csv", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    scored = json.loads(result.stdout)
    command = [sys.executable, "-m", "kws_stream.cli.evaluate", "clips", str(test), "--json"]
    evaluated = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert scored["rows"] == evaluated["clips"] == len(clips) == 2528
    for figure in ("accuracy", "interval", "recall", "confusion", "labels"):
        assert scored[figure] == evaluated[figure]
    checked = submit(flat, "--check", submission, "--solution", tmp_path / "solution.csv", "--json")
    assert json.loads(checked.stdout) == scored
