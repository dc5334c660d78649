"""What happens between the steps of a training: seeds, averaged weights, lines for the reader."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from typing import Any, Protocol

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

AVERAGING_DECAY = 0.998
"""a step; some 350 steps until half of it is forgotten"""


class Drawn(Protocol):
    """Batches that are drawn anew each epoch, for one process of several."""

    seed: int
    epoch: int
    rank: int
    world: int


class Seeds(Callback):
    """Gives every process its share of the rows, every epoch its own rows, and every step its own augmentation and
    dropout, so that a resumed run draws what an unbroken one would have drawn."""

    def __init__(self, batches: Drawn) -> None:
        self.batches = batches

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.batches.rank, self.batches.world = trainer.global_rank, trainer.world_size

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches.epoch = trainer.current_epoch

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step * trainer.world_size + trainer.global_rank
        torch.manual_seed(self.batches.seed * 1_000_003 + step)


def average(averaged: Tensor, current: Tensor, count: Tensor) -> Tensor:
    """Exponential averaging of the weights that forgets faster at first, so that short runs are averaged, too."""
    decay = min(AVERAGING_DECAY, (1 + count.item()) / (10 + count.item()))
    return decay * averaged + (1 - decay) * current


def hush() -> None:
    """Lightning advertises, and advises loaders of many processes; ours reads from memory."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")


@rank_zero_only
def say(line: str) -> None:
    """A line for the reader, from one process of many."""
    print(line, file=sys.stderr, flush=True)


class Report(Callback):
    """A line an epoch where there is no terminal for a progress bar."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        figures = [f"{name} {value:.4f}" for name, value in sorted(trainer.callback_metrics.items())]
        assert trainer.train_dataloader is not None
        batches = trainer.train_dataloader.dataset
        rate = len(batches) * batches.batch_size / (time.perf_counter() - self.began)
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        say(" ".join([epoch, *figures, f"{rate:,.0f} clips/s"]))
