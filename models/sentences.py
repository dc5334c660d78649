"""Transcribed sentences as features and phones, in batches of alike lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset

from kws_stream.config import FrontendConfig
from kws_stream.errors import AudioError
from models import augment
from models.augment import AugmentConfig
from models.batches import to_tensor
from models.dataset import list_audio
from models.frontend import Frontend
from models.phones import Inventory, transcribe
from models.recordings import Recordings, Samples, read_mono, read_transcripts, shown


@dataclass(frozen=True)
class Sentence:
    """A recording, and what is said in it."""

    path: Path
    phones: Sequence[str]


def list_transcribed(folder: Path, split: str) -> list[Sentence]:
    """Sentences of `folder/split/` that `folder/transcripts.csv` (columns `path` and `transcript`) knows the words of.

    Raises AudioError when there is none.
    """
    table = folder / "transcripts.csv"
    said = read_transcripts(table, "transcript")
    paths = [path for path in list_audio(folder / split) if said.get(path.name, "").strip()]
    if not paths:
        raise AudioError(f"{folder / split}: no recording that {table.name} has a transcript of")
    return [
        Sentence(path, transcribe(said[path.name])) for path in shown(paths, f"transcribing {len(paths)} sentences")
    ]


class Renderings(Dataset[Tensor]):
    """Every sentence in `versions` versions, each in its own noise, room, level and speed; version after version."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        versions: int,
        frontend: FrontendConfig,
        noise: Recordings,
        responses: Tensor,
        augmentation: AugmentConfig,
        seed: int = 0,
    ) -> None:
        self.sentences, self.versions = sentences, versions
        self.frontend = Frontend(replace(frontend, mean=0.0, std=1.0))
        self.noise, self.responses, self.augmentation = noise, responses, augmentation
        self.seed = seed

    def __len__(self) -> int:
        return self.versions * len(self.sentences)

    def __getitem__(self, number: int) -> Tensor:
        """`(frames, bins)` float16, the logarithm before mean and standard deviation."""
        torch.manual_seed(self.seed * 1_000_003 + number)
        samples = to_tensor(read_mono(self.sentences[number % len(self.sentences)].path)[None])  # (1, n)
        speed = 1 + float(augment.uniform(samples, -self.augmentation.speed, self.augmentation.speed))
        samples = functional.interpolate(samples[:, None], scale_factor=1 / speed, mode="linear")[:, 0]
        samples = augment.reverberate(samples, self.responses, self.augmentation.reverb_share)
        noise = to_tensor(self._noise(samples.shape[1])[None])
        return self.frontend(augment.mix(samples, noise, self.augmentation))[0, 0].half()

    def _noise(self, count: int) -> Samples:
        start = int(torch.randint(max(1, len(self.noise.samples) - count), ()))
        return np.resize(self.noise.samples[start : start + count], count)


def plain(sentences: Sequence[Sentence], frontend: FrontendConfig) -> Renderings:
    """Every sentence once, as it was recorded."""
    as_it_is = AugmentConfig(speed=0.0, reverb_share=0.0, noise_share=0.0, gain_db=(0.0, 0.0))
    silence = Recordings(np.zeros(1, np.int16), np.zeros(1, np.int64))
    return Renderings(sentences, 1, frontend, silence, torch.empty(0, 1), as_it_is)


def render(renderings: Renderings, workers: int = 2) -> list[Tensor]:
    """All of them, in memory: 8 kB for a second of speech."""
    rendered = iter(DataLoader(renderings, batch_size=None, num_workers=workers))
    # Copies: what a worker hands over holds a file open.
    return [next(rendered).clone() for _ in shown(range(len(renderings)), f"rendering {len(renderings):,} sentences")]


class PhoneBatch(NamedTuple):
    """Sentences side by side, and the phones that are heard in them."""

    features: Tensor
    """`(batch, 1, frames, bins)` standardised, zeros behind the shorter ones"""
    frames: Tensor
    """`(batch,)` of each"""
    phones: Tensor
    """`(all phones,)` those of all sentences, one after the other"""
    counts: Tensor
    """`(batch,)` phones of each"""


class PhoneBatches(IterableDataset[PhoneBatch]):
    """Sentences of alike lengths together, the batches in a new order each epoch, one version of all an epoch."""

    def __init__(
        self,
        features: Sequence[Tensor],
        sentences: Sequence[Sentence],
        inventory: Inventory,
        frontend: FrontendConfig,
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        """`seed` None: always in the same order."""
        self.features, self.frontend = features, frontend
        self.phones = [torch.tensor(inventory.encode(sentence.phones)) for sentence in sentences]
        self.batch_size, self.seed = batch_size, seed or 0
        self.shuffled = seed is not None
        self.epoch, self.rank, self.world = 0, 0, 1
        self._by_length = np.argsort([len(each) for each in features[: len(sentences)]], kind="stable")

    @property
    def minutes(self) -> float:
        """of a version: the first"""
        frames = sum(len(each) for each in self.features[: len(self.phones)])
        return frames * self.frontend.hop_ms / 60_000

    def __len__(self) -> int:
        return -(-len(self.phones) // self.batch_size)

    def __iter__(self) -> Iterator[PhoneBatch]:
        order = np.arange(len(self))
        if self.shuffled:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(order)
        versions = len(self.features) // len(self.phones)
        first = self.epoch % versions * len(self.phones)
        for place in order:
            chosen = self._by_length[place * self.batch_size :][: self.batch_size]
            yield self._batch([self.features[first + at] for at in chosen], [self.phones[at] for at in chosen])

    def _batch(self, features: list[Tensor], phones: list[Tensor]) -> PhoneBatch:
        standard = [(each.float() - self.frontend.mean) / self.frontend.std for each in features]
        padded = torch.nn.utils.rnn.pad_sequence(standard, batch_first=True)  # (batch, frames, bins)
        frames = torch.tensor([len(each) for each in features])
        return PhoneBatch(padded.unsqueeze(1), frames, torch.cat(phones), torch.tensor([len(each) for each in phones]))
