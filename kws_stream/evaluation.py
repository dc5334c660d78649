"""How often a model is right on clips, and how sure that figure is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws_stream.errors import AudioError
from kws_stream.model import KeywordModel
from kws_stream.sources import FileSource

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3"})
Z95 = 1.959964


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, spread = hits / trials, Z95**2 / trials
    half = Z95 * sqrt(share * (1 - share) / trials + spread / trials / 4)
    return (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)


@dataclass(frozen=True)
class Evaluation:
    """Counts of clips by what they are and what they were taken for."""

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    """`(labels, labels)`: rows are the truth, columns the model's answers"""

    @property
    def clips(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        return float(self.confusion.trace() / self.clips)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy."""
        return wilson_interval(int(self.confusion.trace()), self.clips)

    @property
    def recall(self) -> dict[str, float]:
        """Share of the clips of each label that were recognised; only of labels that have clips."""
        totals = self.confusion.sum(1)
        return {label: float(self.confusion[i, i] / totals[i]) for i, label in enumerate(self.labels) if totals[i]}

    def to_json(self) -> dict[str, Any]:
        """Plain values, rounded to four digits."""
        return {
            "accuracy": round(self.accuracy, 4),
            "interval": [round(bound, 4) for bound in self.interval],
            "clips": self.clips,
            "recall": {label: round(value, 4) for label, value in self.recall.items()},
            "confusion": self.confusion.tolist(),
            "labels": list(self.labels),
        }


def list_labelled(folder: Path, labels: Sequence[str]) -> list[tuple[Path, int]]:
    """Clips below a folder of word folders, each with the index of its label; words that are no label are unknown.

    Raises AudioError when there are none.
    """
    if not folder.is_dir():
        raise AudioError(f"{folder}: no such folder; expected one that holds a folder for each word")
    found = []
    for word in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "_background_noise_"):
        name = word.name.strip("_").lower()
        if name not in labels and "unknown" not in labels:
            raise AudioError(
                f"{word}: the model knows neither {name!r} nor unknown words; its labels: {' '.join(labels)}"
            )
        index = labels.index(name if name in labels else "unknown")
        found += [(path, index) for path in sorted(word.iterdir()) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise AudioError(f"{folder}: holds no clips; expected WORD/CLIP.wav (or flac, ogg, opus, mp3)")
    return found


def read_clip(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """A whole recording `(n,)` at `sample_rate`, mono; AudioError when it cannot be read."""
    return np.concatenate([block.samples for block in FileSource(path).blocks(sample_rate)])


def evaluate_clips(model: KeywordModel, clips: Sequence[tuple[Path, int]]) -> Evaluation:
    """Classify each clip by its most probable label."""
    labels = model.metadata.labels
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    for path, truth in clips:
        answer = np.argmax(model.classify(read_clip(path, model.metadata.frontend.sample_rate)))
        confusion[truth, answer] += 1
    return Evaluation(labels, confusion)
