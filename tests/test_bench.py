from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from kws_stream import GateConfig, KeywordModel, KeywordSpotter, SpotterPool
from kws_stream.cli.bench import measure
from kws_stream.cli.bench_comparison import compare, draw_comparison
from kws_stream.cli.bench_pool import endless_blocks, measure_pool
from tests.conftest import EXAMPLE


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws_stream.cli.bench", "--model", "lightcnn", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_all_figures_are_there() -> None:
    figures = json.loads(bench("--json", EXAMPLE).stdout)
    wanted = {"cpu_percent", "p50_ms", "p99_ms", "realtime_factor", "replay_realtime_factor"}
    wanted |= {"startup_s", "rss_mb", "hop_ms"}
    assert wanted <= set(figures)
    assert all(figures[name] > 0 for name in wanted)
    assert figures["hop_ms"] == 80


def test_the_work_is_counted(model: KeywordModel, example: NDArray[np.int16]) -> None:
    """Inferences do not depend on the machine: all strides with the gate off, none in silence."""
    always = measure(KeywordSpotter(model, gate=GateConfig(mode=None)), example, 1280)
    context = model.metadata.frontend.samples(model.metadata.context_frames)
    strides = (len(example) // 1280 * 1280 - context) // 1280 + 1
    seconds = len(example) // 1280 * 0.08
    assert always.inferences_per_s == pytest.approx(strides / seconds)
    assert measure(KeywordSpotter(model), np.zeros_like(example), 1280).inferences_per_s == 0


def test_many_streams_beside_one() -> None:
    figures = json.loads(bench("--json", "--streams", "3", EXAMPLE).stdout)
    wanted = {
        f"pool_{name}" for name in ("cpu_percent", "streams_per_core", "realtime_factor", "p50_ms", "p99_ms", "rss_mb")
    }
    assert all(figures[name] > 0 for name in wanted | {"cpu_percent", "hop_ms"})
    assert figures["pool_streams"] == 3
    assert 2 < figures["pool_inferences_per_call"] <= 3


def test_the_work_of_a_pool_is_counted(model: KeywordModel, example: NDArray[np.int16]) -> None:
    """With the gate off every stream makes an inference in every stride, and all of them go in one call."""
    cost = measure_pool(SpotterPool(model, gate=GateConfig(mode=None)), example, 1280, 5)
    assert (cost.pool_inferences_per_s, cost.pool_inferences_per_call) == (12.5, 5)


def test_streams_begin_elsewhere_and_never_end() -> None:
    blocks = endless_blocks(np.arange(10, dtype=np.int16), 3, 2)
    assert [[*block] for pushed in islice(blocks, 4) for block in pushed.values()] == [
        [0, 1, 2],
        [5, 6, 7],
        [3, 4, 5],
        [8, 9, 0],
        [6, 7, 8],
        [1, 2, 3],
        [9, 0, 1],
        [4, 5, 6],
    ]


def test_models_and_other_engines_side_by_side() -> None:
    peer = f"vad={sys.executable} {Path(__file__).parents[1]}/benchmarks/peer_webrtcvad.py"
    arguments = (EXAMPLE, "--json", "--rounds", "1", "--against", "compact-tiny", "--peer", peer)
    figures = json.loads(bench(*arguments).stdout)
    assert list(figures) == ["lightcnn", "compact-tiny", "vad"]
    assert figures["lightcnn"]["ratio"] == 1
    assert figures["vad"]["ratio"] < 0.5  # it finds no words, and hears no network
    assert figures["compact-tiny"]["rss_mb"] > 0
    assert "silence_cpu_percent" not in figures["vad"]


def test_the_best_of_several_rounds_counts(tmp_path: Path) -> None:
    """Measured in turns, so that each round gives each of them its turn."""
    log, counter = tmp_path / "log", tmp_path / "peer.py"
    counter.write_text(
        "import json, sys\n"
        "log = open(sys.argv[1], 'a+')\n"
        "log.write(sys.argv[2])\n"
        "log.seek(0)\n"
        "turn = len(log.read())\n"
        "print(json.dumps({'cpu_percent': 10 - turn, 'realtime_factor': 10 - turn, 'rss_mb': None}))\n"
    )
    commands = [(name, [sys.executable, str(counter), str(log), name]) for name in "ab"]
    figures = compare(commands, rounds=3)
    assert log.read_text() == "ababab"
    assert figures["a"] == {"cpu_percent": 5, "realtime_factor": 9, "rss_mb": None, "ratio": 1}
    assert figures["b"]["ratio"] == 0.8
    lines = draw_comparison(figures).splitlines()
    assert [line.split() for line in lines] == [["CPU", "%", "ratio"], ["a", "5.000", "1.00"], ["b", "4.000", "0.80"]]
    assert len({len(line) for line in lines}) == 1


def test_a_pool_is_compared_too() -> None:
    table = bench("--rounds", "1", "--streams", "2", "--against", "compact-tiny", EXAMPLE).stdout.splitlines()
    assert "CPU % in a pool" in table[0]
    assert [line.split()[0] for line in table[1:]] == ["lightcnn", "compact-tiny"]


def test_nothing_is_compared_with_itself() -> None:
    result = bench("--rounds", "1", "--against", "lightcnn", EXAMPLE)
    assert result.returncode == 1
    assert result.stderr == "kws-bench: lightcnn: named twice; a comparison is between different ones\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("false", "peer: exit code 1"),
        ("no-such-engine", "peer: no-such-engine: No such file or directory"),
        ("echo 0.3", """peer: expected a JSON object with "cpu_percent" on stdout, got '0.3"""),
        ('echo {\\"cpu\\":1}', "peer: expected a JSON object with"),
    ],
)
def test_an_engine_that_fails_is_one_line(command: str, message: str) -> None:
    result = bench(EXAMPLE, "--rounds", "1", "--peer", f"peer={command}")
    assert result.returncode == 1
    assert result.stderr.startswith(f"kws-bench: {message}")
    assert result.stderr.count("\n") == 1


def test_a_peer_without_a_command_is_a_usage_error() -> None:
    result = bench("--peer", "vad")
    assert result.returncode == 2
    assert "argument --peer: expected NAME=COMMAND, got 'vad'" in result.stderr


def test_a_peer_without_a_recording_is_a_usage_error() -> None:
    result = bench("--peer", "vad=true")
    assert result.returncode == 2
    assert "--peer needs a FILE" in result.stderr


def test_another_hop() -> None:
    figures = json.loads(bench("--json", "--vad", "off", "--hop", "40", EXAMPLE).stdout)
    assert figures["hop_ms"] == 40
    assert figures["inferences_per_s"] == pytest.approx(25, rel=0.2)


@pytest.mark.parametrize("hop", ["0", "-10", "15", "nan"])
def test_a_hop_between_frames_is_one_line(hop: str) -> None:
    result = bench("--hop", hop, EXAMPLE)
    assert result.returncode == 1
    assert result.stderr == f"kws-bench: expected a hop of a whole number of frames of 10 ms, got {hop} ms\n"


def test_no_stream_is_a_usage_error() -> None:
    result = bench("--streams", "0", EXAMPLE)
    assert result.returncode == 2
    assert "argument --streams: expected one or more, got 0" in result.stderr


def test_too_short_a_recording_is_one_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(16_000), 16_000)
    result = bench(tmp_path / "short.wav")
    assert result.returncode == 1
    assert result.stderr == f"kws-bench: {tmp_path / 'short.wav'}: too short to measure; expected 2 s or more\n"
