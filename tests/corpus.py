"""A corpus of the official shape in a minute of made-up audio: each word is a chord of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from models.labels import KEYWORDS

RATE = 16_000
WORDS = (*KEYWORDS, "house", "bird")


def write_corpus(root: Path, clips: int = 6) -> Path:
    """`root/{train,val}/WORD/SPEAKER_nohash_N.wav` and `root/_background_noise_/hiss.wav`."""
    rng = np.random.default_rng(0)
    at = np.arange(RATE) / RATE
    for split in ("train", "val"):
        for number, word in enumerate(WORDS):
            folder = root / split / word
            folder.mkdir(parents=True)
            for speaker in range(clips):
                length = int(rng.integers(12_000, RATE + 1))
                tones = sum(np.sin(2 * np.pi * (200 + 150 * number) * harmonic * at) for harmonic in (1, 2))
                envelope = np.exp(-(((at - rng.uniform(0.4, 0.6)) / 0.1) ** 2))
                samples = (0.2 * tones * envelope + rng.normal(0, 0.003, RATE))[:length]
                soundfile.write(folder / f"{split}{speaker:04x}_nohash_0.wav", samples, RATE)
    (root / "_background_noise_").mkdir()
    soundfile.write(root / "_background_noise_" / "hiss.wav", rng.normal(0, 0.02, 10 * RATE), RATE)
    return root
