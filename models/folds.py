"""The study's data: every clip as its log spectrogram, and folds in which no speaker stands twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kws_stream.config import FrontendConfig
from models.bank import save
from models.batches import load_noise, to_tensor
from models.corpora import Sources
from models.dataset import Clip, fingerprint, list_clips
from models.frontend import Frontend
from models.labels import KEYWORDS, LABELS, SILENCE
from models.recordings import CLIP, Samples, load_clips, shown

BLOCK = 256
"""clips decoded together"""


def digest(text: str) -> int:
    """A number that is the same on every machine."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)


@dataclass(frozen=True)
class Part:
    """Rows to learn from or to judge by; a bank of one pass for `BankBatches`."""

    features: NDArray[np.float16]
    """`(rows, frames, bins)`, the logarithm before mean and standard deviation"""
    labels: NDArray[np.uint8]
    """`(rows,)` index into LABELS"""

    @property
    def rows(self) -> int:
        return len(self.labels)

    def load(self, number: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        """The same in every epoch: the study did not augment."""
        return self.features, self.labels

    def measure(self, config: FrontendConfig) -> FrontendConfig:
        """`config` with the `mean` and `std` of the first rows."""
        some = self.features[:: max(1, self.rows // 2000)].astype(np.float32)
        return replace(config, mean=round(float(some.mean()), 4), std=round(float(some.std()), 4))


@dataclass(frozen=True)
class Folds:
    """All rows with their folds. The rows of the split that `kws-eval` is for are not among them."""

    features: NDArray[np.float16]
    labels: NDArray[np.uint8]
    folds: NDArray[np.int64]
    """`(rows,)` which fold each belongs to: that of its speaker, or of its stretch of noise"""
    fingerprint: str
    """of the clips"""
    ranks: NDArray[np.float64]
    """`(rows,)` from 0 to 1 within each label of each fold: the first `share` of them make a smaller corpus"""

    def part(self, fold: int, held_out: bool, share: float = 1.0) -> Part:
        """The rows of `fold`, or those of all others."""
        rows = np.flatnonzero(((self.folds == fold) == held_out) & (self.ranks < share))
        return Part(self.features[rows], self.labels[rows])


def load_folds(corpus: Path, config: FrontendConfig, folds: int, cache: Path) -> Folds:
    """Training and validation clips of `corpus`, and as much silence as an average keyword has, in `folds` folds.

    The spectrograms are kept in the folder `cache`. AudioError when there are no clips or no noise.
    """
    clips = [*list_clips(corpus, "train"), *list_clips(corpus, "val")]
    spoken = [LABELS.index(clip.label) for clip in clips]
    count = max(folds, sum(clip.label in KEYWORDS for clip in clips) // len(KEYWORDS))
    labels = np.array([*spoken, *[LABELS.index(SILENCE)] * count], np.uint8)
    belong = np.array(
        [digest(f"fold {clip.speaker}") % folds for clip in clips] + [row % folds for row in range(count)]
    )
    digits = fingerprint(clips)[:16]
    kept = cache / f"study-{digits}-{config.kind}-{folds}.npy"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        silence = draw_silence(load_noise(Sources(corpus).noise_folders(), corpus).samples, count, folds)
        save(kept, np.concatenate([*_analyse(clips, silence, config)]))
    keys = [f"{clip.word}/{clip.path.name}" for clip in clips] + [str(row) for row in range(count)]
    return Folds(np.load(kept, mmap_mode="r"), labels, belong, digits, rank(keys, labels, belong))


def rank(keys: Sequence[str], labels: NDArray[np.uint8], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Places of rows within their label and fold, by a hash of their keys, as shares of their number."""
    ranks = np.zeros(len(keys))
    hashes = np.array([digest(key) % 2**62 for key in keys])
    for label in np.unique(labels):
        for fold in np.unique(folds):
            rows = np.flatnonzero((labels == label) & (folds == fold))
            ranks[rows[np.argsort(hashes[rows])]] = np.arange(len(rows)) / max(1, len(rows))
    return ranks


def draw_silence(noise: Samples, count: int, folds: int) -> Samples:
    """`(count, CLIP)` slices of `noise` `(n,)`; row `i` comes from the stretch of fold `i % folds` alone."""
    stretch = len(noise) // folds
    rng = np.random.default_rng(0)
    starts = [row % folds * stretch + rng.integers(0, max(1, stretch - CLIP)) for row in range(count)]
    rows = [noise[start : start + CLIP] for start in starts]
    return np.stack([np.pad(row, (0, CLIP - len(row))) for row in rows])


def _analyse(clips: Sequence[Clip], silence: Samples, config: FrontendConfig) -> Iterator[NDArray[np.float16]]:
    """`(block, frames, bins)` of all clips, then of silence."""
    frontend = Frontend(replace(config, mean=0.0, std=1.0))
    blocks = range(ceil(len(clips) / BLOCK))
    for block in shown(blocks, f"reading {len(clips)} clips"):
        yield _features(frontend, load_clips(clips[block * BLOCK :][:BLOCK]).samples)
    yield _features(frontend, silence)


@torch.no_grad()
def _features(frontend: Frontend, samples: Samples) -> NDArray[np.float16]:
    parts = [
        frontend(to_tensor(part)).squeeze(1).half().numpy()
        for part in np.array_split(samples, -(-len(samples) // BLOCK))
    ]
    return np.concatenate(parts)
