"""The runtime stays small."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "kws_stream",
        "kws_stream.cli.listen",
        "kws_stream.cli.evaluate",
        "kws_stream.cli.bench",
        "kws_stream.cli.submit",
    ],
)
def test_importing_the_runtime_brings_in_no_heavy_library(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    for heavy in ("torch", "torchaudio", "sounddevice", "matplotlib", "rich", "models", "export", "onnx", "asyncio"):
        assert heavy not in loaded
