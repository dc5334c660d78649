"""What a network is shown: how often which label, from which recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from kws_stream.errors import AudioError
from models.dataset import BACKGROUND, fingerprint, list_audio, list_clips
from models.labels import KEYWORDS, LABELS, SILENCE, UNKNOWN
from models.recordings import (
    CLIP,
    Clips,
    Recordings,
    Samples,
    load_clips,
    load_impulse_responses,
    load_recordings,
    load_speech,
)

UNKNOWN_SHARE, SILENCE_SHARE = 0.17, 0.08
"""of a batch; the keywords share the rest evenly"""
SPEECH_SHARE = 0.4
"""of the unknown rows are slices of running speech"""
PAUSE_SHARE = 0.15
"""of the silence rows are pauses in running speech"""
CODED_SHARE = 0.35
"""of the clips were once compressed"""
QUIET = 0.05
"""share of the silence rows that hold digital silence, as a muted microphone delivers"""


@dataclass(frozen=True)
class Sources:
    """Folders to learn from. Only `corpus` has splits by rule; the others name a folder of the split itself."""

    corpus: Path
    """a folder that `list_clips` reads"""

    noise: tuple[Path, ...] = ()
    """folders of long recordings without speech"""

    impulse_responses: Path | None = None
    """a folder of room impulse responses"""

    words: tuple[Path, ...] = ()
    """more folders of word folders, each holding `train/` and `val/`"""

    speech: Path | None = None
    """a folder with `train/`, `val/` and `transcripts.csv`: running speech"""

    cache: Path | None = None
    """a folder for decoded clips"""

    val_noise: Path | None = None
    """a folder of noise for validation"""

    def noise_folders(self) -> tuple[Path, ...]:
        """The named ones, or the corpus' own, or `background/` and `train/` of a folder `noise/` beside it."""
        if self.noise:
            return self.noise
        if (own := self.corpus / BACKGROUND).is_dir():
            return (own,)
        beside = self.corpus.resolve().parent / "noise"
        return tuple(path for path in (beside / "background", beside / "train") if path.is_dir())

    def val_noise_folders(self) -> tuple[Path, ...]:
        """The named one, or `noise/val/` beside the corpus, or else those of the training."""
        beside = self.corpus.resolve().parent / "noise" / "val"
        if self.val_noise:
            return (self.val_noise,)
        return (beside,) if beside.is_dir() else self.noise_folders()


class Batch(NamedTuple):
    """Raw rows; augmentation makes a training example of them."""

    samples: Tensor
    """`(batch, CLIP)` float32"""
    lengths: Tensor
    """`(batch,)` samples that are recording"""
    noise: Tensor
    """`(batch, CLIP)` float32"""
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
    facts: dict[str, object] = field(default_factory=dict)
    """what the checkpoint says about them"""


def load_training_data(sources: Sources, seed: int = 0) -> TrainingData:
    """Decode everything; AudioError when a folder is missing or no noise is given (silence is learnt from it)."""
    clips = list_clips(sources.corpus, "train")
    for folder in sources.words:
        clips += list_clips(folder, "train")
    by_label = {
        label: load_clips([c for c in clips if c.label == label], CODED_SHARE, seed, sources.cache)
        for label in (*KEYWORDS, UNKNOWN)
    }
    noise = load_noise(sources.noise_folders(), sources.corpus)
    speech, pauses = load_sentences(sources, "train") if sources.speech else (None, None)
    responses = (
        torch.from_numpy(load_impulse_responses(list_audio(sources.impulse_responses)))
        if sources.impulse_responses
        else torch.empty(0, CLIP)
    )
    facts: dict[str, object] = {
        "clips": len(clips),
        "fingerprint": fingerprint(clips),
        "noise_minutes": round(len(noise.samples) / CLIP / 60, 1),
        "speech_minutes": round(len(speech.samples) / CLIP / 60, 1) if speech else 0,
        "impulse_responses": len(responses),
    }
    return TrainingData(by_label, noise, responses, speech, pauses, facts)


def load_noise(folders: tuple[Path, ...], corpus: Path) -> Recordings:
    """The recordings of all noise folders; AudioError, naming the corpus, when there are none."""
    if not folders:
        raise AudioError(f"no noise: {corpus} has no {BACKGROUND}; name a folder of noise recordings (--noise)")
    return load_recordings([path for folder in folders for path in list_audio(folder)])


def load_sentences(sources: Sources, split: str) -> tuple[Recordings, Recordings]:
    """Slices of running speech and of its pauses, without keywords."""
    assert sources.speech is not None
    return load_speech(sources.speech / split, sources.speech / "transcripts.csv", KEYWORDS)


class TrainingBatches(IterableDataset[Batch]):
    """An endless corpus cut into epochs: epoch e of seed s holds the same rows on every run, resumed or not."""

    def __init__(self, data: TrainingData, batch_size: int, seed: int) -> None:
        self.data = data
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        share = (1 - UNKNOWN_SHARE - SILENCE_SHARE) / len(KEYWORDS)
        self.shares = np.array([{UNKNOWN: UNKNOWN_SHARE, SILENCE: SILENCE_SHARE}.get(label, share) for label in LABELS])

    def __len__(self) -> int:
        """Batches in an epoch: as many rows as there are clips."""
        return max(1, sum(len(clips.samples) for clips in self.data.clips.values()) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng((self.seed, self.epoch))
        for _ in range(len(self)):
            yield self._draw(rng)

    def _draw(self, rng: np.random.Generator) -> Batch:
        labels = rng.choice(len(LABELS), self.batch_size, p=self.shares)
        samples = np.zeros((self.batch_size, CLIP), np.int16)
        lengths = np.full(self.batch_size, CLIP)
        for index, label in enumerate(LABELS):
            rows = np.flatnonzero(labels == index)
            if label == SILENCE:
                samples[rows] = self._silence(rng, len(rows))
                continue
            clips = self.data.clips[label]
            chosen = rng.choice(len(clips.samples), len(rows), p=clips.weights)
            samples[rows], lengths[rows] = clips.samples[chosen], clips.lengths[chosen]
            if label == UNKNOWN and self.data.speech:
                sliced = rows[rng.random(len(rows)) < SPEECH_SHARE]
                samples[sliced], lengths[sliced] = self.data.speech.draw(rng, len(sliced)), CLIP
        noise = self.data.noise.draw(rng, self.batch_size)
        return Batch(to_tensor(samples), torch.from_numpy(lengths), to_tensor(noise), torch.from_numpy(labels))

    def _silence(self, rng: np.random.Generator, count: int) -> Samples:
        """Noise, pauses between words, digital silence (which the mixing fills with noise of its own level)."""
        rows = self.data.noise.draw(rng, count)
        kind = rng.random(count)
        rows[kind < QUIET] = rng.integers(-2, 3, (int((kind < QUIET).sum()), CLIP))
        if self.data.pauses and len(self.data.pauses.starts):
            paused = (kind >= QUIET) & (kind < QUIET + PAUSE_SHARE)
            rows[paused] = self.data.pauses.draw(rng, int(paused.sum()))
        return rows


def load_validation(sources: Sources, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The validation clips as they are, and silence: `(clips, CLIP)` float32, `(clips,)` label indices.

    Silence is a tenth as many slices as there are clips, of `val_noise_folders`.
    """
    clips = list_clips(sources.corpus, "val")
    words = load_clips(clips, cache=sources.cache)
    noise = load_noise(sources.val_noise_folders(), sources.corpus)
    silence = noise.draw(np.random.default_rng(seed), max(1, len(clips) // 10))
    samples = np.concatenate([words.samples, silence])
    labels = [LABELS.index(clip.label) for clip in clips] + [LABELS.index(SILENCE)] * len(silence)
    return to_tensor(samples), torch.tensor(labels)


def to_tensor(samples: Samples) -> Tensor:
    """int16 `(batch, n)` -> float32 in [-1, 1)."""
    return torch.from_numpy(samples.astype(np.float32) / 32768)
