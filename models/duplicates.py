"""Which recordings are the same sound, whatever their names, level or coding.

A fingerprint holds the differences, over time and over frequency, of the logarithmic energies in a few bands: Haitsma
and Kalker 2002, "A highly robust audio fingerprinting system" (ISMIR), section 4.2. That paper keeps their signs; here
they keep their values and everything far below the loudest sound counts as nothing, because most of a clip of one word
is a pause, where signs are noise. Fingerprints are compared by their correlation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from kws_stream.config import FrontendConfig
from kws_stream.frontend import mel_filters
from models.recordings import CLIP, SAMPLE_RATE, Samples, read_mono

Floats = NDArray[np.float32]

BANDS, LOW_HZ, HIGH_HZ = 16, 100.0, 3800.0
"""mel bands of the range that every codec for speech keeps"""
WINDOW, HOP = 1024, 256
"""samples: 64 and 16 ms"""
COLUMNS = (CLIP - WINDOW) // HOP + 1
"""windows in a clip"""
FLOOR = 1e-4
"""power under the loudest band of the clip, 40 dB, at which everything counts as silence"""
STEP = HOP // 2
"""samples by which `nearest` shifts a clip: 8 ms, so that no shift is further off than 4 ms"""
REACH = 6
"""steps to either side"""
THRESHOLD = 0.65
"""Recordings of a similarity above this are the same. The validation clips of Speech Commands reach 0.60 with training
clips, which are of other speakers; with copies of themselves, at another level and place and coded by Opus at some
30 kbit/s, 99.8 % of them lie above this, half above 0.97."""


@dataclass(frozen=True, slots=True)
class Match:
    """A recording and the one of another list that sounds most like it."""

    path: Path
    other: Path
    similarity: float
    """correlation of the fingerprints, at most 1"""


def find_duplicates(paths: Sequence[Path], others: Sequence[Path]) -> list[Match]:
    """Clips of `paths` that stand among `others`, too, the most alike first.

    AudioError for a file that cannot be read or is not at 16 kHz.
    """
    if not paths or not others:
        return []
    # Blocks, since the sound of a whole corpus is ten times its fingerprints.
    pool = [fingerprint_clips(read_clips(others[start : start + 1024])) for start in range(0, len(others), 1024)]
    index, similarity = nearest(read_clips(paths), np.concatenate(pool))
    found = zip(paths, index, similarity, strict=True)
    matches = [Match(path, others[at], float(value)) for path, at, value in found if value > THRESHOLD]
    return sorted(matches, key=lambda match: -match.similarity)


def read_clips(paths: Sequence[Path]) -> Samples:
    """`(paths, CLIP)`: the first second of each, shorter ones followed by zeros."""
    rows = np.zeros((len(paths), CLIP), np.int16)
    for row, path in zip(rows, paths, strict=True):
        samples = read_mono(path)[:CLIP]
        row[: len(samples)] = samples
    return rows


def fingerprint_clips(samples: Samples) -> Floats:
    """Clips `(rows, CLIP)` -> their fingerprints `(rows, size)` of length 1; of length 0 for digital silence."""
    return _fingerprints(_energies(samples, HOP))


def fingerprint_recording(samples: Samples, block: int = 4096) -> Iterator[Floats]:
    """A long recording `(n,)` -> the fingerprints of its seconds, row i of that which begins at sample i * HOP, in
    blocks of at most `block` rows; none for a recording of less than a second."""
    energies = _energies(samples[None], HOP)[0] if len(samples) >= CLIP else np.empty((0, BANDS), np.float32)
    for start in range(0, len(energies) - COLUMNS + 1, block):
        part = energies[start : start + block + COLUMNS - 1]
        yield _fingerprints(np.lib.stride_tricks.sliding_window_view(part, COLUMNS, 0).swapaxes(1, 2))


def nearest(samples: Samples, pool: Floats, reach: int = REACH, block: int = 256) -> tuple[NDArray[np.int64], Floats]:
    """The fingerprint in `pool` `(others, size)` that is most like each of the clips `(rows, CLIP)`, whichever of the
    shifts by up to `reach` * STEP samples fits best -> its index `(rows,)`, the similarity `(rows,)`."""
    index = np.zeros(len(samples), np.int64)
    similarity = np.full(len(samples), -1, np.float32)
    for start in range(0, len(samples), block):
        rows = slice(start, start + block)
        energies = _energies(np.pad(samples[rows], ((0, 0), (reach * STEP, reach * STEP))), STEP)
        for shift in range(2 * reach + 1):
            window = energies[:, shift : shift + 2 * COLUMNS - 1 : HOP // STEP]  # (rows, COLUMNS, BANDS)
            alike = _fingerprints(window) @ pool.T  # (rows, others)
            best = alike.argmax(1)
            value = alike[np.arange(len(best)), best]
            index[rows] = np.where(value > similarity[rows], best, index[rows])
            similarity[rows] = np.maximum(value, similarity[rows])
    return index, similarity


def _energies(samples: Samples, hop: int) -> Floats:
    """`(rows, n)` -> power in the bands `(rows, windows, BANDS)`, a window each `hop` samples."""
    config = FrontendConfig(
        window_ms=1000 * WINDOW / SAMPLE_RATE,
        hop_ms=1000 * HOP / SAMPLE_RATE,
        mel_bins=BANDS,
        low_hz=LOW_HZ,
        high_hz=HIGH_HZ,
    )
    filters = mel_filters(config)  # (WINDOW // 2 + 1, BANDS)
    taper = np.hanning(WINDOW).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW, 1)[:, ::hop]  # (rows, windows, WINDOW)
    energies = np.empty((*windows.shape[:2], BANDS), np.float32)
    for row in range(len(windows)):
        # Blocks, since the windows of a long recording are many times its size.
        for start in range(0, windows.shape[1], 4096):
            spectrum = rfft(windows[row, start : start + 4096] * taper)
            energies[row, start : start + 4096] = (spectrum.real**2 + spectrum.imag**2) @ filters
    return energies


def _fingerprints(energies: Floats) -> Floats:
    """`(rows, COLUMNS, BANDS)` -> `(rows, (COLUMNS - 1) * (BANDS - 1))`."""
    loudest = energies.max((1, 2), keepdims=True)
    levels = np.log(energies / np.maximum(loudest, 1) + np.float32(FLOOR))  # 1: below a step of 16-bit samples
    values = np.diff(np.diff(levels, axis=1), axis=2).reshape(len(levels), -1)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, length, out=np.zeros_like(values), where=length > 0)
