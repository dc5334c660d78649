"""Recordings with known truth, made of clips: words at known places over background noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset import Clip
from models.recordings import SAMPLE_RATE, Samples, read_mono

LEVEL_DB = -26.0
"""RMS of the spoken part of each word, against full scale"""


@dataclass(frozen=True, slots=True)
class Word:
    """One word in a composed recording."""

    word: str
    start: float
    """seconds, where its sound begins"""
    end: float
    """seconds, where it ends"""


def spoken_part(samples: NDArray[np.float32]) -> tuple[int, int]:
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


def compose(
    clips: Sequence[Clip], noise: Samples, snr_db: float, gap: tuple[float, float], seed: int
) -> tuple[Samples, list[Word]]:
    """A recording of `clips` in this order, with `gap` seconds (from, to) between them and in front of the first, over
    a random piece of `noise` `(n,)` -> int16 `(n,)` and where each word is."""
    rng = np.random.default_rng(seed)
    pieces: list[NDArray[np.float32]] = []
    words = []
    at = 0
    for clip in clips:
        silence = round(rng.uniform(*gap) * SAMPLE_RATE)
        pieces.append(np.zeros(silence, np.float32))
        at += silence
        signal = read_mono(clip.path).astype(np.float32)
        start, end = spoken_part(signal)
        level = np.sqrt(np.square(signal[start:end]).mean())
        # Fades, because the clip's own background begins and ends with it.
        fade = np.minimum(1, np.minimum(np.arange(len(signal)), np.arange(len(signal))[::-1]) / (SAMPLE_RATE // 50))
        pieces.append(signal * fade * (10 ** (LEVEL_DB / 20) / level))
        words.append(Word(clip.word, (at + start) / SAMPLE_RATE, (at + end) / SAMPLE_RATE))
        at += len(signal)
    pieces.append(np.zeros(SAMPLE_RATE, np.float32))
    speech = np.concatenate(pieces)
    offset = int(rng.integers(len(noise) - len(speech)))
    ground = noise[offset : offset + len(speech)].astype(np.float32)
    ground *= 10 ** ((LEVEL_DB - snr_db) / 20) / np.sqrt(np.square(ground).mean())
    return np.rint((speech + ground).clip(-1, 1) * 32767).astype(np.int16), words
