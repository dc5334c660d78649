"""How often a model is right on clips, how sure that figure is, and whether the model knows how sure it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
BINS = 15
"""of the calibration error, as Guo et al. count"""


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, spread = hits / trials, Z95**2 / trials
    half = Z95 * sqrt(share * (1 - share) / trials + spread / trials / 4)
    return (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)


def poisson_interval(count: int) -> tuple[float, float]:
    """95 % interval of the expectation of which `count` came (Garwood 1936); for a rate, divide it by the time."""

    def tail(mean: float, most: int) -> float:
        """Probability of `most` or fewer."""
        counts = np.arange(most + 1)
        logarithms = counts * np.log(mean) - mean - np.concatenate(([0.0], np.cumsum(np.log(counts[1:]))))
        return float(np.exp(logarithms).sum())

    def solve(most: int, probability: float) -> float:
        low, high = 0.0, 2.0 * most + 20
        for _ in range(60):  # halves until only rounding is left
            middle = (low + high) / 2
            low, high = (middle, high) if tail(middle, most) > probability else (low, middle)
        return low

    return solve(count - 1, 0.975) if count else 0.0, solve(count, 0.025)


@dataclass(frozen=True)
class Reliability:
    """How often answers are right, by how probable they were held: the reliability diagram, bin by bin.

    The posterior of the answer is the confidence; bins of equal width, (m / bins, (m + 1) / bins]. Guo et al. 2017
    (1706.04599), section 2.
    """

    confidence: NDArray[np.float64]
    """`(bins,)` mean confidence; 0 in empty bins"""
    accuracy: NDArray[np.float64]
    """`(bins,)` share of right answers; 0 in empty bins"""
    count: NDArray[np.int64]
    """`(bins,)` answers"""

    @property
    def error(self) -> float:
        """Expected calibration error: the gap between accuracy and confidence, averaged over the answers."""
        return float(np.average(np.abs(self.accuracy - self.confidence), weights=self.count))

    @property
    def mean_confidence(self) -> float:
        return float(np.average(self.confidence, weights=self.count))


def measure_reliability(
    posteriors: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], bins: int = BINS
) -> Reliability:
    """Compare posteriors `(clips, labels)` with the true labels `(clips,)`, of one clip or more."""
    confidence = posteriors.max(1).astype(np.float64)  # (clips,)
    right = posteriors.argmax(1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    claimed, true = (np.bincount(index, weights, bins) / count.clip(1) for weights in (confidence, right))
    return Reliability(claimed, true, count)


def expected_calibration_error(
    posteriors: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], bins: int = BINS
) -> float:
    """`Reliability.error` of posteriors `(clips, labels)`: 0 when answers are right as often as they claim."""
    return measure_reliability(posteriors, labels, bins).error


@dataclass(frozen=True)
class Evaluation:
    """What clips are, and what they were taken for."""

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    """`(clips,)` index of each clip's label"""
    posteriors: NDArray[np.float32]
    """`(clips, labels)`; the most probable label is the answer"""

    @property
    def clips(self) -> int:
        return len(self.truth)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Counts `(labels, labels)`: rows are the truth, columns the model's answers."""
        counts = np.zeros((len(self.labels), len(self.labels)), np.int64)
        np.add.at(counts, (self.truth, self.posteriors.argmax(1)), 1)
        return counts

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

    @cached_property
    def reliability(self) -> Reliability:
        return measure_reliability(self.posteriors, self.truth)

    def to_json(self) -> dict[str, Any]:
        """Plain values, rounded to four digits."""
        return {
            "accuracy": round(self.accuracy, 4),
            "interval": [round(bound, 4) for bound in self.interval],
            "ece": round(self.reliability.error, 4),
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
    """Classify each clip of `list_labelled`."""
    rate = model.metadata.frontend.sample_rate
    posteriors = np.stack([model.classify(read_clip(path, rate)) for path, _ in clips])  # (clips, labels)
    return Evaluation(model.metadata.labels, np.array([truth for _, truth in clips]), posteriors)
