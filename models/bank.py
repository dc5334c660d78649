"""Training examples as features, rendered once and used by many epochs and runs.

Speed, rooms, noise, codecs and the DFT cost far more than a step of a small network. So the rows are augmented and
analysed in passes, each over as many rows as there are clips, and kept on disk; an epoch reads one pass, and what can
be done to features (cropping, tilting, masking) is still done anew every time.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset

from kws_stream.config import FrontendConfig
from models import augment
from models.augment import OF_FEATURES, AugmentConfig
from models.batches import Mixture, MixtureConfig, TrainingData
from models.frontend import Frontend
from models.labels import LABELS
from models.recordings import ROW, shown
from models.stretches import Stretch, Stretches

BLOCK = 256
"""rows rendered together"""


class FeatureBank:
    """A folder of passes: `features-NNN.npy` `(rows, frames, bins)` float16, the logarithm before `mean` and `std`, and
    `labels-NNN.npy` `(rows,)` uint8."""

    def __init__(self, folder: Path, passes: int) -> None:
        self.folder = folder
        self.passes = passes
        self.rows = len(np.load(folder / "labels-000.npy"))
        """in each pass"""

    def load(self, number: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        """One pass; numbers beyond the last begin again."""
        name = f"{number % self.passes:03}.npy"
        return np.load(self.folder / f"features-{name}"), np.load(self.folder / f"labels-{name}")

    def measure(self, config: FrontendConfig) -> FrontendConfig:
        """`config` with the `mean` and `std` that standardise the first pass."""
        features = self.load(0)[0][:2000].astype(np.float32)
        return replace(config, mean=round(float(features.mean()), 4), std=round(float(features.std()), 4))

    def suits(self, config: FrontendConfig) -> bool:
        """Whether the rows are what `config` computes, before its `mean` and `std`."""
        rendered = json.loads((self.folder / "bank.json").read_text())["frontend"]
        return all(getattr(config, name) == value for name, value in rendered.items())


class Passes(Protocol):
    """What batches are drawn from: a bank, or anything else that has its rows."""

    @property
    def rows(self) -> int:
        """in each pass"""
        ...

    def load(self, number: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        """Features `(rows, frames, bins)` and labels `(rows,)` of one pass."""
        ...


class Example(NamedTuple):
    """Rows of a bank, and what they should be taken for."""

    features: Tensor
    """`(batch, frames, bins)` float16"""
    targets: Tensor
    """`(batch, labels)`, each row summing to 1"""
    stretch: Stretch | None = None
    """of streams, beside the rows"""


class Teacher(Protocol):
    """Answers to the rows of a bank."""

    weight: float
    """of the answers in the targets; the labels have the rest"""

    def answers(self, number: int) -> NDArray[np.float16]:
        """`(rows, labels)` posteriors for one pass."""


@dataclass(frozen=True)
class Rendering:
    """What decides on the features, beside the recordings."""

    frontend: FrontendConfig
    augmentation: AugmentConfig
    mixture: MixtureConfig
    seed: int = 0

    def facts(self) -> dict[str, Any]:
        """The values that change a rendered row."""
        values = asdict(self)
        for name in OF_FEATURES:
            del values["augmentation"][name]
        for name in ("mean", "std"):
            del values["frontend"][name]
        return values


class Renderer(Dataset[tuple[Tensor, Tensor]]):
    """Blocks of augmented features; each has a seed of its own, so that the workers' number changes nothing."""

    def __init__(self, data: TrainingData, rendering: Rendering) -> None:
        self.mixture = Mixture(data, rendering.mixture)
        self.responses = data.responses
        self.augmentation = rendering.augmentation
        self.frontend = Frontend(replace(rendering.frontend, mean=0.0, std=1.0))
        self.seed = rendering.seed

    def __getitem__(self, block: int) -> tuple[Tensor, Tensor]:
        """`(BLOCK, frames, bins)` float16 features, `(BLOCK,)` uint8 labels."""
        torch.manual_seed(self.seed * 1_000_003 + block)
        batch = self.mixture.draw(np.random.default_rng((self.seed, block)), BLOCK)
        samples = augment.warp(batch.samples, batch.lengths, self.augmentation)
        samples = augment.reverberate(samples, self.responses, self.augmentation.reverb_share)
        samples = augment.mix(samples, batch.noise, self.augmentation)
        return self.frontend(samples).squeeze(1).half(), batch.labels.to(torch.uint8)


def open_bank(
    root: Path,
    survey: Mapping[str, object],
    load: Callable[[], TrainingData],
    rendering: Rendering,
    passes: int,
    workers: int = 2,
) -> FeatureBank:
    """The bank below `root` of the data that `survey` tells of, its missing passes rendered.

    The data are loaded only when a pass is missing. A rendering that was stopped goes on.
    """
    facts = {"data": survey, **rendering.facts()}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    folder = root / f"bank-{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bank.json").write_text(json.dumps(facts, indent=1))
    missing = [number for number in range(passes) if not (folder / f"features-{number:03}.npy").exists()]
    if missing:
        _render(folder, Renderer(load(), rendering), missing, workers)
    return FeatureBank(folder, passes)


def _render(folder: Path, renderer: Renderer, missing: list[int], workers: int) -> None:
    blocks = max(1, len(renderer.mixture) // BLOCK)
    order = [number * blocks + block for number in missing for block in range(blocks)]
    # One thread a worker: the blocks are independent, and threads would only wait for each other.
    loader = DataLoader(renderer, batch_size=None, sampler=order, num_workers=workers)
    began, done = time.perf_counter(), iter(loader)
    config = renderer.frontend.config
    for number in shown(missing, f"rendering {len(missing)} passes of {blocks * BLOCK:,} rows"):
        features = np.empty((blocks * BLOCK, config.frames(ROW), config.bins), np.float16)
        labels = np.empty(blocks * BLOCK, np.uint8)
        for block in range(blocks):
            features[block * BLOCK :][:BLOCK], labels[block * BLOCK :][:BLOCK] = next(done)
        # Features last: a pass counts as soon as they are there.
        save(folder / f"labels-{number:03}.npy", labels)
        save(folder / f"features-{number:03}.npy", features)
    seconds = time.perf_counter() - began
    print(f"rendered {len(order) * BLOCK:,} rows, {len(order) * BLOCK / seconds:,.0f} a second", file=sys.stderr)


def save(path: Path, values: NDArray[Any]) -> None:
    """Write an array so that the file is there whole or not at all."""
    part = path.with_name(f"{path.stem}.part")
    with part.open("wb") as file:
        np.save(file, values)
    part.replace(path)


class BankBatches(IterableDataset[Example]):
    """Shuffled batches, one pass of the bank an epoch.

    Every process of a distributed training shuffles alike and takes its share of each batch, so that together they
    step through the batches of a single process. Targets are label-smoothed (Szegedy et al. 2016, 1512.00567) and,
    where there are answers of a teacher, mixed with those (Hinton et al. 2015, 1503.02531).
    """

    def __init__(
        self,
        bank: Passes,
        batch_size: int,
        seed: int,
        smoothing: float = 0.05,
        teacher: Teacher | None = None,
        rank: int = 0,
        world: int = 1,
        stretches: Stretches | None = None,
    ) -> None:
        self.bank, self.batch_size, self.seed = bank, batch_size, seed
        self.smoothing, self.teacher = smoothing, teacher
        self.rank, self.world = rank, world
        self.stretches = stretches
        self.epoch = 0

    def __len__(self) -> int:
        return max(1, self.bank.rows // self.batch_size)

    def __iter__(self) -> Iterator[Example]:
        features, labels = self.bank.load(self.epoch)
        targets = self._targets(labels)
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.bank.rows)
        moments = np.random.default_rng((self.seed, self.epoch, self.rank))
        streamed = self.stretches is not None and self.epoch >= self.stretches.after
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            rows = order[start : start + self.batch_size][self.rank :: self.world]
            stretch = self.stretches.draw(moments) if self.stretches and streamed else None
            yield Example(torch.from_numpy(features[rows]), targets[rows], stretch)

    def _targets(self, labels: NDArray[np.uint8]) -> Tensor:
        """`(rows, labels)`: what the network should answer to each row of this epoch's pass."""
        targets = functional.one_hot(torch.from_numpy(labels).long(), len(LABELS)).float()
        targets = targets * (1 - self.smoothing) + self.smoothing / len(LABELS)
        if self.teacher:
            answers = torch.from_numpy(self.teacher.answers(self.epoch)).float()
            targets = targets * (1 - self.teacher.weight) + answers * self.teacher.weight
        return targets
