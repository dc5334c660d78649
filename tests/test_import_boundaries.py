"""The runtime stays small."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

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
    for heavy in ("torch", "torchaudio", "sounddevice", "matplotlib", "rich", "models", "export", "onnx", "asyncio"):
        assert heavy not in loaded_with(module)


def test_who_listens_does_not_wait_for_what_files_and_packages_need() -> None:
    assert {"soundfile", "importlib.metadata", "webrtcvad"}.isdisjoint(loaded_with("kws_stream.cli.listen"))


@cache
def loaded_with(module: str) -> list[str]:
    """Modules that importing `module` in a fresh interpreter brings in."""
    script = f"import sys, {module}; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
