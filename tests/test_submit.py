"""`kws-submit`: every clip once, in order, whole or not at all, and as often right as `kws-eval` says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from benchmarks.submission import lay_flat
from kws_stream import KeywordModel
from kws_stream.cli.submit import main
from kws_stream.labelling import BATCH
from kws_stream.submission import read_submission
from tests.flat import CLIPS, MODEL, RATE, rows, submit


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


def test_the_accuracy_is_that_of_kws_eval(data: Path, tmp_path: Path) -> None:
    """The official test clips lie flat under new names, and a solution says what they are."""
    test, flat = data / "speech_commands" / "test", tmp_path / "flat"
    lay_flat(test, tmp_path)
    submission = tmp_path / "submission.csv"
    result = submit(flat, "-o", submission, "--solution", tmp_path / "solution.csv", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    scored = json.loads(result.stdout)
    command = [sys.executable, "-m", "kws_stream.cli.evaluate", "clips", str(test), "--json"]
    evaluated = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert scored["rows"] == evaluated["clips"] == 2528
    for figure in ("accuracy", "interval", "recall", "confusion", "labels"):
        assert scored[figure] == evaluated[figure]
    checked = submit(flat, "--check", submission, "--solution", tmp_path / "solution.csv", "--json")
    assert json.loads(checked.stdout) == scored
