from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from kws_stream import GateConfig, KeywordModel, KeywordSpotter
from kws_stream.cli.bench import measure
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


def test_too_short_a_recording_is_one_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(16_000), 16_000)
    result = bench(tmp_path / "short.wav")
    assert result.returncode == 1
    assert result.stderr == f"kws-bench: {tmp_path / 'short.wav'}: too short to measure; expected 2 s or more\n"
