from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import EXAMPLE

SCRIPT = EXAMPLE.with_name("synthesise.py")


@pytest.mark.skipif(not shutil.which("espeak-ng") or not shutil.which("flite"), reason="needs espeak-ng and flite")
def test_the_bundled_recording_is_what_the_script_makes(tmp_path: Path) -> None:
    """Other versions of the synthesisers may speak a little otherwise: the words and about the length must be these."""
    output = tmp_path / "keywords.flac"
    subprocess.run([sys.executable, SCRIPT, "--output", output], check=True, capture_output=True, timeout=120)
    made, rate = soundfile.read(output)
    bundled, _ = soundfile.read(EXAMPLE)
    assert rate == 16_000
    assert len(made) == pytest.approx(len(bundled), rel=0.1)
    words = [
        [line.split(",")[0] for line in path.with_suffix(".csv").read_text().splitlines()] for path in (output, EXAMPLE)
    ]
    assert words[0] == words[1]
    assert np.abs(made).max() < 1


def test_a_missing_synthesiser_is_one_line(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, SCRIPT, "--output", tmp_path / "k.flac"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stderr == "espeak-ng is not installed; on Debian: apt install espeak-ng flite\n"
