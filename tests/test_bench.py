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
from kws_stream.cli.bench_pool import endless_blocks, measure_pool
from tests.conftest import EXAMPLE


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws_stream.cli.bench", "--model", "lightcnn", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_all_figures_are_there() -> None:
    figures = json.loads(bench("--json", EXAMPLE).stdout)
    wanted = {"cpu_percent", "p50_ms", "p99_ms", "realtime_factor", "startup_s", "rss_mb", "hop_ms"}
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


def test_no_stream_is_a_usage_error() -> None:
    result = bench("--streams", "0", EXAMPLE)
    assert result.returncode == 2
    assert "argument --streams: expected one stream or more, got 0" in result.stderr


def test_too_short_a_recording_is_one_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(16_000), 16_000)
    result = bench(tmp_path / "short.wav")
    assert result.returncode == 1
    assert result.stderr == f"kws-bench: {tmp_path / 'short.wav'}: too short to measure; expected 2 s or more\n"
