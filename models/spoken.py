"""Where a word is within its clip, and the clip as a piece of something longer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from models.recordings import SAMPLE_RATE

Floats = NDArray[np.float32]
FADE = SAMPLE_RATE // 50
"""samples over which a clip comes and goes"""
PRE_EMPHASIS = 0.97
"""of a sample is taken from the next"""
LASTING = 11
"""pieces of 10 ms over which the median is taken: more than half of them have to be loud"""


def spoken_part(samples: Floats) -> tuple[int, int]:
    """Where a word begins and ends within its clip `(n,)`, in samples; all of a clip in which nothing stands out.

    The stretch with the most decibels over the background, added up; pauses of up to 100 ms (the closure of a stop
    consonant) do not end it. It rises above a third of the way from the background to the loudest, and begins 30 dB
    below that at most. Clicks at the ends of a clip are often louder than the word: the median over time by which the
    loudest is found hears none. Pre-emphasis takes away what rumbles.
    """
    step = SAMPLE_RATE // 100
    clear = np.append(samples[:1], samples[1:] - PRE_EMPHASIS * samples[:-1])
    energy = np.square(clear[: len(clear) // step * step].reshape(-1, step)).mean(1)  # (10 ms pieces,)
    level = 10 * np.log10(energy + 1e-10)  # dB
    background = float(np.percentile(level, 10))
    loudest = float(median_filter(level, LASTING, mode="constant", cval=background).max())
    loud = np.flatnonzero(level >= max(loudest - 30, background + (loudest - background) / 3))
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > 10) + 1)
    word = max(stretches, key=lambda stretch: float((level[stretch] - background).sum()))
    return int(word[0]) * step, int(word[-1] + 1) * step


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
