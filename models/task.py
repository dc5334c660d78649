"""One network learning the labels: the Lightning module, and what its checkpoint says of itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.nn import functional

from kws_stream.config import FrontendConfig
from kws_stream.errors import ModelError
from models import augment
from models.augment import AugmentConfig
from models.batches import Batch
from models.frontend import Frontend
from models.labels import LABELS
from models.registry import find_architecture


class KeywordTask(L.LightningModule):
    """A registered architecture, its front end, and how it is trained.

    Everything in the constructor's arguments lands in the checkpoint, `provenance` (data, seed, command, versions)
    included, so that a checkpoint says how it was made. `corpus` is the folder of the clips on this machine: the export
    verifies on them, and leaves the path behind.
    """

    def __init__(
        self,
        architecture: str,
        frontend: dict[str, Any],
        augmentation: dict[str, Any] | None = None,
        labels: tuple[str, ...] = LABELS,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.01,
        label_smoothing: float = 0.05,
        provenance: dict[str, Any] | None = None,
        corpus: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = FrontendConfig(**frontend)
        self.augmentation = AugmentConfig(**(augmentation or {}))
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.label_smoothing = label_smoothing
        found = find_architecture(architecture)
        self.network = found.build(found.frames, self.config.bins, len(labels))
        self.frames = found.frames
        self.frontend = Frontend(self.config)
        self.responses: Tensor = torch.empty(0)
        """impulse responses `(responses, n)`, set by the trainer: data, and so no part of the checkpoint"""

    def forward(self, samples: Tensor) -> Tensor:
        """`(batch, n)` samples of the context's length or more -> `(batch, labels)` logits of its beginning."""
        return self.network(self.frontend(samples)[:, :, : self.frames])

    def training_step(self, batch: Batch, _: int) -> Tensor:
        samples = augment.warp(batch.samples, batch.lengths, self.augmentation)
        samples = augment.reverberate(samples, self.responses.to(samples), self.augmentation.reverb_share)
        samples = augment.mix(samples, batch.noise, self.augmentation)
        features = augment.bend_spectrum(self.frontend(samples), self.config.std, self.augmentation)
        logits = self.network(features[:, :, : self.frames])
        loss = functional.cross_entropy(logits, batch.labels, label_smoothing=self.label_smoothing)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(logits))
        self._log_accuracy("train/accuracy", logits, batch.labels)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        samples, labels = batch
        logits = self(samples)
        self.log("val/loss", functional.cross_entropy(logits, labels), prog_bar=True, batch_size=len(labels))
        self._log_accuracy("val/accuracy", logits, labels)

    def _log_accuracy(self, name: str, logits: Tensor, labels: Tensor) -> None:
        accuracy = (logits.argmax(1) == labels).float().mean()
        self.log(name, accuracy, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(labels))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), self.learning_rate, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=int(self.trainer.estimated_stepping_batches), pct_start=0.1
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def load_checkpoint(path: Path) -> KeywordTask:
    """A trained task in evaluation mode; ModelError when the file is missing or was not written by training here."""
    if not path.is_file():
        raise ModelError(f"no checkpoint {path}")
    try:
        task = KeywordTask.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(f"{path}: not a checkpoint of models.train ({type(error).__name__}: {error})") from error
    return task.eval()


def measure_frontend(config: FrontendConfig, samples: Tensor) -> FrontendConfig:
    """`config` with `mean` and `std` such that the features of `samples` `(batch, n)` are standardised."""
    plain = FrontendConfig(**{**asdict(config), "mean": 0.0, "std": 1.0})
    features = Frontend(plain)(samples)
    values = {"mean": round(features.mean().item(), 4), "std": round(features.std().item(), 4)}
    return FrontendConfig(**{**asdict(plain), **values})
