"""The sound of the golden self-test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def golden_samples(count: int, sample_rate: int, seed: int = 0) -> NDArray[np.int16]:
    """`(count,)`: a gliding buzz over faint noise, so that every feature bin moves and rounding shows.

    It travels in the model file, so nothing depends on this function giving the same samples tomorrow.
    """
    rng = np.random.default_rng(seed)
    seconds = np.arange(count) / sample_rate
    phase = 2 * np.pi * (90 * seconds + 60 * seconds**2)  # from 90 Hz upwards
    buzz = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 45))
    envelope = np.sin(np.pi * np.minimum(1, seconds / seconds[-1])) ** 2
    signal = 0.2 * buzz * envelope + rng.normal(0, 0.003, count)
    return np.rint(signal.clip(-1, 1) * 32767).astype(np.int16)
