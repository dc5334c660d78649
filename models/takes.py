"""Takes: which voice says a word, and how; and the clip that comes of it."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from kws_stream.errors import KwsError
from models.recordings import SAMPLE_RATE
from models.synthesisers import ENGINES, TIMEOUT_S, Manner, Voice, foreign_text

Floats = NDArray[np.float64]

SHARES = {"accent": 0.55, "foreign": 0.15, "flite": 0.18, "festival": 0.12}
"""of the clips of a word: espeak-ng has many voices, flite and festival have few, but those of real people"""
RATE = (0.6, 1.2)
PITCH = (-3.0, 3.0)
MELODY = (0.5, 1.6)
WARP = (0.88, 1.14)
"""Factor on all frequencies, as of a shorter or longer vocal tract; the pace stays."""
LEVEL_DB = (-30.0, -18.0)
PEAK = 0.89
SHORT_S, SLOWED_S = 0.25, 0.3
"""A word that is shorter is slowed: synthesisers mumble `on` and `in` as in the middle of a sentence."""
LONG_S, HURRIED_S = 1.0, 0.97
"""a word that is longer is hurried"""
SLOWEST, FASTEST = 0.3, 2.0
"""rates beyond which it is left out"""
MARGIN, FADE = SAMPLE_RATE * 30 // 1000, SAMPLE_RATE * 5 // 1000
FLOOR_DB = -40.0
"""what lies so far below the loudest 10 ms is silence"""
SILENT = 1e-3
"""RMS of the loudest 10 ms"""


@dataclass(frozen=True, slots=True)
class Take:
    """One clip to be made."""

    path: str
    """below the folder of the dataset"""

    word: str
    text: str
    voice: Voice
    manner: Manner
    warp: float
    level_db: float


class UnspokenError(KwsError):
    """A synthesiser says nothing for a word, or too much."""


def plan(word: str, voices: Sequence[Voice], count: int, split: str, seed: int) -> Iterator[Take]:
    """`count` takes of `word` by `voices`, each kind's in turn; a larger count only adds some at the end."""
    digest = hashlib.sha256(f"{seed} {split} {word}".encode()).digest()
    rng = np.random.default_rng(list(digest))
    able = [voice for voice in voices if voice.kind != "foreign" or foreign_text(word, voice.name.partition("+")[0])]
    kinds = {kind: [voice for voice in able if voice.kind == kind] for kind in SHARES}
    kinds = {kind: [found[i] for i in rng.permutation(len(found))] for kind, found in kinds.items() if found}
    shares = np.array([SHARES[kind] for kind in kinds])
    turns, numbers = Counter[str](), Counter[Voice]()
    for _ in range(count):
        kind = str(rng.choice(list(kinds), p=shares / shares.sum()))
        voice = kinds[kind][turns[kind] % len(kinds[kind])]
        drawn = [round(float(rng.uniform(*limits)), 3) for limits in (RATE, PITCH, MELODY, WARP, LEVEL_DB)]
        text = word
        if kind == "foreign":
            text = foreign_text(word, voice.name.partition("+")[0]) or text
        name = f"{voice.engine}-{voice.name.replace(' ', '-')}_nohash_{numbers[voice]}.flac"
        yield Take(f"{split}/{word.replace(' ', '_')}/{name}", word, text, voice, Manner(*drawn[:3]), *drawn[3:])
        turns[kind] += 1
        numbers[voice] += 1


def speak(take: Take, rate: float) -> Floats:
    """What the synthesiser says, warped, `(n,)` at the sample rate; UnspokenError when it fails."""
    manner = Manner(rate / take.warp, take.manner.pitch, take.manner.melody)  # the warp brings the pace back
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        command = ENGINES[take.voice.engine].command(take.text, take.voice, manner, path)
        try:
            subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
            samples, sample_rate = soundfile.read(path)
        except (OSError, subprocess.SubprocessError, soundfile.LibsndfileError) as error:
            raise UnspokenError("failed") from error
    warped: Floats = soxr.resample(samples, sample_rate, SAMPLE_RATE / take.warp)
    return warped


def trim(samples: Floats) -> Floats:
    """Without the silence around it but for a margin, faded at the ends; UnspokenError when all of it is silence."""
    samples = np.pad(samples, MARGIN)  # espeak-ng begins with the word
    size = SAMPLE_RATE // 100
    frames = samples[: len(samples) // size * size].reshape(-1, size)  # (frames, size)
    level = np.sqrt(np.mean(np.square(frames), axis=1))  # (frames,)
    if not level.size or level.max() < SILENT:
        raise UnspokenError("silent")
    loud = np.flatnonzero(level > level.max() * 10 ** (FLOOR_DB / 20))
    trimmed: Floats = samples[max(0, loud[0] * size - MARGIN) : (loud[-1] + 1) * size + MARGIN]
    ramp = np.linspace(0, 1, FADE)
    trimmed[:FADE] *= ramp
    trimmed[-FADE:] *= ramp[::-1]
    return trimmed


def render(take: Take) -> tuple[Floats, float]:
    """(samples `(n,)` of at most a second, the rate at which it fitted); UnspokenError when none does."""
    rate = take.manner.rate
    while SLOWEST <= rate <= FASTEST:
        samples = trim(speak(take, rate))
        seconds = len(samples) / SAMPLE_RATE
        if SHORT_S <= seconds <= LONG_S:
            gain = 10 ** (take.level_db / 20) / np.sqrt(np.mean(np.square(samples)))
            return samples * min(gain, PEAK / np.abs(samples).max()), round(rate, 3)
        rate *= seconds / (SLOWED_S if seconds < SHORT_S else HURRIED_S)
    raise UnspokenError("longer than a second" if rate > FASTEST else "too short")
