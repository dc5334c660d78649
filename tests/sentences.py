"""Sentences spoken by espeak-ng, with their transcripts."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

import soundfile
import soxr

RATE = 16_000
SAID = (
    "We went up the stairs.",
    "The lamp is on the left.",
    "Nobody knows the way down.",
    "Stop at the corner, and turn right.",
    "They say yes.",
    "Off we go, said the old man to his dog.",
)


def write_sentences(root: Path) -> Path:
    """`root/{train,val}/SPLITn.flac`, `root/transcripts.csv`, and one recording that nobody transcribed."""
    with (root / "transcripts.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "transcript"])
        for split in ("train", "val"):
            (root / split).mkdir()
            for number, sentence in enumerate(SAID):
                path = root / split / f"{split}{number}.flac"
                spoken = subprocess.run(["espeak-ng", "--stdout", sentence], capture_output=True, check=True).stdout
                samples, rate = soundfile.read(io.BytesIO(spoken), dtype="int16")
                soundfile.write(path, soxr.resample(samples, rate, RATE), RATE)
                table.writerow([f"{split}/{path.name}", sentence])
    soundfile.write(root / "train" / "unknown.flac", samples, RATE)
    return root
