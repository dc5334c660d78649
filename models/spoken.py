"""Where a word is within its clip, and the clip as a piece of something longer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.recordings import SAMPLE_RATE

Floats = NDArray[np.float32]
FADE = SAMPLE_RATE // 50
"""samples over which a clip comes and goes"""


def spoken_part(samples: Floats) -> tuple[int, int]:
    """Where a word begins and ends within its clip `(n,)`, in samples.

    The stretch around the loudest 10 ms in which the energy stays within 30 dB of it, pauses of up to 100 ms (the
    closure of a stop consonant) included.
    """
    step = SAMPLE_RATE // 100
    energy = np.square(samples[: len(samples) // step * step].reshape(-1, step)).mean(1)  # (10 ms pieces,)
    loud = np.flatnonzero(energy > energy.max() / 1000)
    peak = int(np.searchsorted(loud, energy.argmax()))
    breaks = np.flatnonzero(np.diff(loud) > 10)
    first = loud[0] if not (breaks < peak).any() else loud[breaks[breaks < peak][-1] + 1]
    last = loud[-1] if not (breaks >= peak).any() else loud[breaks[breaks >= peak][0]]
    return int(first) * step, int(last + 1) * step


def faded(samples: Floats) -> Floats:
    """`(n,)` that comes and goes, because a clip's own background begins and ends with it."""
    at = np.arange(len(samples), dtype=np.float32)
    result: Floats = samples * np.minimum(1, np.minimum(at, at[::-1]) / FADE)
    return result


def rms(samples: Floats) -> float:
    """Root mean square of `(n,)`, never 0."""
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean() + 1e-12))


def amplitude(level_db: float) -> float:
    """The factor of so many dB."""
    return float(10 ** (level_db / 20))
