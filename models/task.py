"""One network learning the labels: the Lightning module, and what its checkpoint says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor
from torch.nn import functional

from kws_stream.config import FrontendConfig
from kws_stream.errors import ModelError
from models import augment
from models.augment import AugmentConfig
from models.bank import Example
from models.frontend import Frontend
from models.labels import LABELS
from models.registry import find_architecture
from models.streaming import StreamingNetwork
from models.stretches import stretch_loss
from models.transfer import TransferConfig, parameter_groups

Loss = Literal["categorical", "binary"]
Schedule = Literal["one-cycle", "constant"]
"""of the learning rate: up and down over the epochs asked for, or always the same"""
CHECKPOINT = ".ckpt"
"""ends the name of a run's checkpoint"""
WARM_UP = 0.1
"""of the steps, until the learning rate is at its highest"""


class KeywordTask(L.LightningModule):
    """A registered architecture, its front end, and how it is trained.

    Everything in the constructor's arguments lands in the checkpoint, `provenance` (data, seed, command, versions)
    included, so that a checkpoint says how it was made. `corpus` is the folder of the clips on this machine: the export
    verifies on them, and leaves the path behind. `settings` are arguments of the architecture beyond its own. The
    categorical loss asks which label it is, the binary one of each label whether it is that.
    """

    def __init__(
        self,
        architecture: str,
        frontend: dict[str, Any],
        augmentation: dict[str, Any] | None = None,
        labels: tuple[str, ...] = LABELS,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.01,
        provenance: dict[str, Any] | None = None,
        corpus: str | None = None,
        settings: dict[str, Any] | None = None,
        transfer: dict[str, Any] | None = None,
        loss: Loss = "categorical",
        schedule: Schedule = "one-cycle",
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = FrontendConfig(**frontend)
        self.augmentation = AugmentConfig(**(augmentation or {}))
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.transfer = TransferConfig(**(transfer or {}))
        self.loss, self.schedule = loss, schedule
        found = find_architecture(architecture)
        self.network = found.build(found.frames, self.config.bins, len(labels), **(settings or {}))
        self.frames = found.frames
        self.frontend = Frontend(self.config)

    def forward(self, samples: Tensor) -> Tensor:
        """`(batch, n)` samples of the context's length or more -> `(batch, labels)` logits of its beginning."""
        return self.network(self.frontend(samples)[:, :, : self.frames])

    def training_step(self, batch: Example, _: int) -> Tensor:
        features, targets, stretch = batch  # (batch, more frames, bins) unstandardised, (batch, labels)
        logits = self.network(self._bent(augment.crop(features.float(), self.frames)))
        loss = self.measure_loss(logits.float(), targets)
        if stretch is not None:
            assert isinstance(self.network, StreamingNetwork)  # no other one is given streams
            missed = stretch_loss(self.network.answers(self._bent(stretch.features.float())), stretch)
            self._log("train/stretch", missed, len(stretch.features))
            loss = loss + missed
        self._log("train/loss", loss, len(logits))
        self._log("train/accuracy", _accuracy(logits, targets.argmax(1)), len(logits))
        return loss

    def _bent(self, features: Tensor) -> Tensor:
        """`(batch, frames, bins)` as the bank has them -> `(batch, 1, frames, bins)` standardised and augmented."""
        features = (features.unsqueeze(1) - self.config.mean) / self.config.std
        return augment.bend_spectrum(features, self.config.std, self.augmentation)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        features, labels = batch  # (batch, 1, frames, bins) as the front end gives them
        logits = self.network(features).float()
        targets = functional.one_hot(labels, logits.shape[1]).float()
        self._log("val/loss", self.measure_loss(logits, targets), len(labels))
        self._log("val/accuracy", _accuracy(logits, labels), len(labels))

    def measure_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over rows of both `(batch, labels)`; the binary loss is the mean over labels, too, as in Keras."""
        if self.loss == "binary":
            return functional.binary_cross_entropy_with_logits(logits, targets)
        return functional.cross_entropy(logits, targets)

    def _log(self, name: str, value: Tensor, rows: int) -> None:
        """The mean over the epoch and over all processes: they must agree on which epoch was the best."""
        self.log(name, value, on_step=False, on_epoch=True, prog_bar=True, batch_size=rows, sync_dist=True)

    def configure_optimizers(self) -> Any:
        groups = parameter_groups(self.network, self.learning_rate, self.transfer.rate_decay)
        rates = [group["lr"] for group in groups]
        optimizer = torch.optim.AdamW(groups, self.learning_rate, weight_decay=self.weight_decay, fused=True)
        if self.schedule == "constant":
            return optimizer
        return one_cycle(self.trainer, optimizer, rates)


def one_cycle(trainer: L.Trainer, optimizer: torch.optim.Optimizer, rates: float | list[float]) -> dict[str, Any]:
    """`optimizer` for Lightning, its learning rates up to `rates` and down again over all steps (Smith and Topin 2017,
    1708.07120)."""
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=int(trainer.estimated_stepping_batches), pct_start=WARM_UP
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).float().mean()


def load_checkpoint(path: Path) -> KeywordTask:
    """A trained task in evaluation mode; ModelError when the file is missing or was not written by training here."""
    if not path.is_file():
        raise ModelError(f"no checkpoint {path}")
    try:
        task = KeywordTask.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(f"{path}: not a checkpoint of models.train ({type(error).__name__}: {error})") from error
    return task.eval()
