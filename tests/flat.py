"""A flat folder of clips, as Kaggle hands them out, and the command that labels it; the fixtures are in conftest.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kws_stream.labelling import BATCH

RATE = 16_000
CLIPS = 3 * BATCH
MODEL = "compact-tiny"


def submit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws_stream.cli.submit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]
