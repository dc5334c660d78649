"""`kws-listen` as a user types it, in its own process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from kws_stream import KeywordModel, KeywordSpotter, spot, zoo
from tests.conftest import EXAMPLE
from tests.foreign import metadata, write_network

LISTEN = [sys.executable, "-m", "kws_stream.cli.listen"]


def listen(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LISTEN, *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_file_gives_its_events_as_json() -> None:
    result = listen("--model", "lightcnn.onnx", "--json", EXAMPLE)
    assert (result.returncode, result.stderr) == (0, "")
    assert rows(result.stdout) == [
        {"keyword": e.keyword, "score": round(e.score, 3), "time": round(e.time, 3), "source": str(EXAMPLE)}
        for e in spot(EXAMPLE, "lightcnn")
    ]


def test_plain_output_is_a_line_an_event() -> None:
    result = listen("--model", "lightcnn", EXAMPLE)
    events = list(spot(EXAMPLE, "lightcnn"))
    assert [line.split()[1] for line in result.stdout.splitlines()] == [event.keyword for event in events]


def test_every_way_in_hears_the_same(tmp_path: Path, example: NDArray[np.int16], model: KeywordModel) -> None:
    """The file, a pipe and the API: the same samples, so the same events to the sample. At 44.1 kHz stereo: the same
    keywords within a stride."""
    reference = [(e.keyword, round(e.time, 3)) for e in KeywordSpotter(model).push(example)]
    file = rows(listen("--json", EXAMPLE).stdout)
    pipe = rows(
        subprocess.run(
            [*LISTEN, "--json", "--stdin"],
            input=example.tobytes(),
            capture_output=True,
            timeout=60,
            check=True,
        ).stdout.decode()
    )
    assert [(row["keyword"], row["time"]) for row in file] == reference
    assert [(row["keyword"], row["time"]) for row in pipe] == reference
    import soxr

    stereo = tmp_path / "stereo.wav"
    resampled = soxr.resample(example.astype(np.float32) / 32768, 16_000, 44_100)
    soundfile.write(stereo, np.stack([resampled, resampled], axis=1), 44_100)
    events = rows(listen("--json", stereo).stdout)
    assert [row["keyword"] for row in events] == [keyword for keyword, _ in reference]
    for row, (_, time) in zip(events, reference, strict=True):
        assert abs(row["time"] - time) <= 0.0801


def test_events_appear_while_the_pipe_is_still_open(example: NDArray[np.int16]) -> None:
    with subprocess.Popen(
        [*LISTEN, "--model", "lightcnn", "--json", "--stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        guard = threading.Timer(60, process.kill)
        guard.start()
        process.stdin.write(example.tobytes())
        process.stdin.flush()
        first = json.loads(process.stdout.readline())
        assert first["keyword"] == next(spot(EXAMPLE, "lightcnn")).keyword
        process.stdin.close()
        guard.cancel()
    assert process.returncode == 0


def test_ctrl_c_ends_with_a_summary() -> None:
    with subprocess.Popen(
        [*LISTEN, "--model", "lightcnn", "--stdin"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        guard = threading.Timer(60, process.kill)
        guard.start()
        assert "listening to stdin" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        # The pipe is still open and nothing comes: the read that waits for it must end.
        summary = process.stderr.read()
        guard.cancel()
    assert process.returncode == 0
    assert "0 overruns (0 samples lost)" in summary
    assert "Traceback" not in summary


def test_whoever_reads_may_leave() -> None:
    command = f"{' '.join(LISTEN)} --model lightcnn {EXAMPLE} | head -1"
    result = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert result.stderr == ""


def test_a_command_runs_for_each_event() -> None:
    result = listen("--model", "lightcnn", "--exec", "echo heard $KWS_KEYWORD at $KWS_TIME >&2", EXAMPLE)
    events = list(spot(EXAMPLE, "lightcnn"))
    assert sorted(result.stderr.splitlines()) == sorted(f"heard {e.keyword} at {round(e.time, 3)}" for e in events)
    assert len(result.stdout.splitlines()) == len(events)


def test_options_reach_the_spotter() -> None:
    assert listen("--model", "lightcnn", "--threshold", "1", EXAMPLE).stdout == ""
    assert listen("--model", "lightcnn", "--vad", "off", EXAMPLE).stdout


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    result = listen("--model", "lightcnn", tmp_path / "text.wav", EXAMPLE)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout


def bad_file(path: Path, name: str) -> Path:
    """A file of the kind that is named."""
    silence = np.zeros(16_000, np.float32)
    if name == "text":
        path.write_text("no audio")
    elif name == "header":
        soundfile.write(path, silence, 16_000)
        path.write_bytes(path.read_bytes()[:20])
    elif name == "nan":
        silence[100] = np.nan
        soundfile.write(path, silence, 16_000, subtype="FLOAT")
    elif name != "missing":
        soundfile.write(path, silence[: int(name)], 16_000)
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "no such file"),
        ("text", "not readable as audio"),
        ("0", "holds no samples"),
        ("3", "is too short"),
        ("header", "not readable as audio"),
        ("nan", "NaN"),
    ],
)
def test_bad_recordings(name: str, message: str, tmp_path: Path) -> None:
    check_error(listen("--model", "lightcnn", bad_file(tmp_path / "bad.wav", name)), message)


def check_error(result: subprocess.CompletedProcess[str], message: str, code: int = 1) -> None:
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    if code == 1:
        assert len(result.stderr.splitlines()) == 1


def test_bad_models(tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    props = metadata().to_props()
    cases = {
        "nothing.onnx": "no model nothing.onnx: expected a path",
        str(text): "not a model that onnxruntime can run",
        str(write_network(tmp_path / "bare.onnx", 4, {})): "no kws-stream metadata",
        str(write_network(tmp_path / "other.onnx", 4, props, value=1.0)): "golden test failed",
        str(write_network(tmp_path / "labels.onnx", 3, props)): "expected 4 outputs, one a label",
    }
    for model, message in cases.items():
        check_error(listen("--model", model, EXAMPLE), message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "lightcnn", "--threshold", "7"], "expected a probability in (0, 1], got 7"),
        (["--model", "lightcnn", "--threshold", "much"], "--threshold"),
        (["--model", "lightcnn", "--vad", "4"], "--vad"),
        (["--list-models", "--list-devices"], "not allowed with argument"),
        (["--model", "lightcnn", "--stdin", "a.wav"], "neither --stdin nor --device"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_usage_errors_exit_with_2(arguments: list[str], message: str) -> None:
    check_error(listen(*arguments), message, code=2)


def test_the_default_model_is_meant_where_none_is_named() -> None:
    assert listen("--json", EXAMPLE).stdout == listen("--model", zoo.DEFAULT, "--json", EXAMPLE).stdout


def test_the_models_that_ship_are_listed() -> None:
    result = listen("--list-models")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert [line[2:].split()[0] for line in lines] == zoo.names()
    assert [line[2:].split()[0] for line in lines if line.startswith("*")] == [zoo.DEFAULT]
    assert all(" MB " in line and "validation accuracy" in line for line in lines)


def test_help_and_version() -> None:
    assert "recordings" in listen("--help").stdout
    assert listen("--version").stdout.startswith("kws-listen 0.")
