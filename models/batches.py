"""What a network is shown: how often which label, from which recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kws_stream.errors import AudioError
from models.corpora import Sources
from models.dataset import BACKGROUND, list_audio, list_clips
from models.labels import KEYWORDS, LABELS, SILENCE, UNKNOWN
from models.recordings import (
    CLIP,
    ROW,
    Clips,
    Recordings,
    Samples,
    load_clips,
    load_impulse_responses,
    load_recordings,
    load_speech,
    merge,
)
from models.spoken import spoken_part

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class MixtureConfig:
    """How many rows are drawn, and how often which. Shares lie between 0 and 1."""

    rows: int = 0
    """of a pass over the data; 0: as many as there are clips"""

    unknown_share: float = 0.22
    silence_share: float = 0.10
    """of all rows; the keywords share the rest evenly"""

    corpus_weight: float = 2.0
    """A folder of words is drawn from as the square root of its clips, the corpus itself as this times as often."""

    speech_share: float = 0.3
    """of the unknown rows are slices of running speech"""

    parts_share: float = 0.08
    """of the unknown rows are the first or the second half of a keyword"""

    reversed_share: float = 0.04
    """of the unknown rows are words played backwards"""

    pause_share: float = 0.15
    """of the silence rows are pauses in running speech"""

    quiet_share: float = 0.05
    """of the silence rows hold digital silence, as a muted microphone delivers"""

    coded_share: float = 0.35
    """of the clips were once compressed"""

    @property
    def label_shares(self) -> list[float]:
        """Of all rows, for each of LABELS."""
        others = {UNKNOWN: self.unknown_share, SILENCE: self.silence_share}
        keyword = (1 - sum(others.values())) / len(KEYWORDS)
        return [others.get(label, keyword) for label in LABELS]


class Batch(NamedTuple):
    """Raw rows; augmentation makes a training example of them."""

    samples: Tensor
    """`(batch, ROW)` float32, recordings at the beginning"""
    lengths: Tensor
    """`(batch,)` samples that are recording"""
    noise: Tensor
    """`(batch, ROW)` float32"""
    labels: Tensor
    """`(batch,)` index into LABELS"""


@dataclass
class TrainingData:
    """Everything to learn from, decoded."""

    clips: dict[str, Clips]
    """by label, without silence"""
    noise: Recordings
    responses: Tensor
    """`(responses, CLIP)`, none when there is no folder of them"""
    speech: Recordings | None
    pauses: Recordings | None


def load_training_data(sources: Sources, config: MixtureConfig = MixtureConfig(), seed: int = 0) -> TrainingData:
    """Decode everything; AudioError when a folder is missing or no noise is given (silence is learnt from it)."""
    folders = sources.training_clips()
    by_label = {}
    for label in (*KEYWORDS, UNKNOWN):
        chosen = [[clip for clip in folder if clip.label == label] for folder in folders]
        if not any(chosen):
            raise AudioError(f"no clip of {label!r} to learn from in {sources.corpus}; every label needs some")
        parts = [load_clips(part, config.coded_share, seed, sources.cache) for part in chosen if part]
        shares = [np.sqrt(len(part)) * (config.corpus_weight if part is chosen[0] else 1) for part in chosen if part]
        by_label[label] = merge(parts, shares)
    noise = load_noise(sources.noise_folders(), sources.corpus)
    speech, pauses = load_speech(sources.sentences("train")) if sources.speech else (None, None)
    responses = load_responses(sources.responses())
    return TrainingData(by_label, noise, responses, speech, pauses)


def load_noise(folders: tuple[Path, ...], corpus: Path) -> Recordings:
    """The recordings of all noise folders; AudioError, naming the corpus, when there are none."""
    if not folders:
        raise AudioError(f"no noise: {corpus} has no {BACKGROUND}; name a folder of noise recordings (--noise)")
    return load_recordings([path for folder in folders for path in list_audio(folder)])


def load_responses(paths: list[Path]) -> Tensor:
    """Room impulse responses `(responses, CLIP)`; `(0, CLIP)` when there are none."""
    return torch.from_numpy(load_impulse_responses(paths)) if paths else torch.empty(0, CLIP)


class Mixture:
    """Draws rows of all labels from everything there is; the same generator state gives the same rows."""

    def __init__(self, data: TrainingData, config: MixtureConfig = MixtureConfig()) -> None:
        self.data = data
        self.config = config
        self.shares = np.array(config.label_shares)

    def __len__(self) -> int:
        """Rows of a pass over the data."""
        return self.config.rows or sum(len(clips.samples) for clips in self.data.clips.values())

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """`count` rows."""
        labels = rng.choice(len(LABELS), count, p=self.shares)
        samples = np.zeros((count, ROW), np.int16)
        lengths = np.full(count, CLIP)
        for index, label in enumerate(LABELS):
            rows = np.flatnonzero(labels == index)
            if label == SILENCE:
                samples[rows], lengths[rows] = self._silence(rng, len(rows)), ROW
                continue
            clips = self.data.clips[label]
            chosen = rng.choice(len(clips.samples), len(rows), p=clips.weights)
            samples[rows, :CLIP], lengths[rows] = clips.samples[chosen], clips.lengths[chosen]
            if label == UNKNOWN:
                self._replace_unknown(rng, rows, samples, lengths)
        noise = self.data.noise.draw(rng, count)
        return Batch(to_tensor(samples), torch.from_numpy(lengths), to_tensor(noise), torch.from_numpy(labels))

    def _replace_unknown(self, rng: np.random.Generator, rows: Indices, samples: Samples, lengths: Indices) -> None:
        """Put running speech, halves of keywords and reversed words in the place of some words, at `rows`."""
        kind = rng.random(len(rows))
        limits = np.cumsum([self.config.speech_share, self.config.parts_share, self.config.reversed_share])
        if self.data.speech:
            sliced = rows[kind < limits[0]]
            samples[sliced], lengths[sliced] = self.data.speech.draw(rng, len(sliced)), ROW
        for row in rows[(kind >= limits[0]) & (kind < limits[1])]:
            clips = self.data.clips[rng.choice(KEYWORDS)]
            part = half_of(clips.samples[rng.choice(len(clips.samples), p=clips.weights)], late=rng.random() < 0.5)
            samples[row], lengths[row] = 0, max(1, len(part))
            samples[row, : len(part)] = part
        for row in rows[(kind >= limits[1]) & (kind < limits[2])]:
            samples[row, : lengths[row]] = samples[row, : lengths[row]][::-1].copy()

    def _silence(self, rng: np.random.Generator, count: int) -> Samples:
        """Noise, pauses between words, digital silence (which the mixing fills with noise of its own level)."""
        rows = self.data.noise.draw(rng, count)
        kind = rng.random(count)
        quiet = self.config.quiet_share
        rows[kind < quiet] = rng.integers(-2, 3, (int((kind < quiet).sum()), ROW))
        if self.data.pauses and len(self.data.pauses.starts):
            paused = (kind >= quiet) & (kind < quiet + self.config.pause_share)
            rows[paused] = self.data.pauses.draw(rng, int(paused.sum()))
        return rows


def half_of(samples: Samples, late: bool) -> Samples:
    """The first half of the word in a clip `(n,)`, or its second: too little of it to count as the word. Nothing of a
    clip of zeros."""
    if not samples.any():
        return samples[:0]
    start, end = spoken_part(samples.astype(np.float32))
    middle = (start + end) // 2
    return samples[middle:end] if late else samples[start:middle]


def load_validation(sources: Sources, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The validation clips as they are, and silence: `(clips, CLIP)` float32, `(clips,)` label indices.

    Silence is a tenth as many slices as there are clips, of `val_noise_folders`.
    """
    clips = list_clips(sources.corpus, "val")
    words = load_clips(clips, cache=sources.cache)
    noise = load_noise(sources.val_noise_folders(), sources.corpus)
    silence = noise.draw(np.random.default_rng(seed), max(1, len(clips) // 10))[:, :CLIP]
    samples = np.concatenate([words.samples, silence])
    labels = [LABELS.index(clip.label) for clip in clips] + [LABELS.index(SILENCE)] * len(silence)
    return to_tensor(samples), torch.tensor(labels)


def to_tensor(samples: Samples) -> Tensor:
    """int16 `(batch, n)` -> float32 in [-1, 1)."""
    return torch.from_numpy(samples.astype(np.float32) / 32768)
