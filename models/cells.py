"""One training of the study: a cell of its tables, with everything that decides on it in its name."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

from kws_stream.errors import KwsError
from models.augment import AugmentConfig
from models.bank import BankBatches
from models.callbacks import Report, Seeds, say
from models.folds import Folds, Part
from models.layout import lay_out
from models.registry import find_architecture
from models.task import KeywordTask
from models.transfer import Freezing, TransferConfig, check_transfer
from models.weights import load_weights

LIGHT = "lightcnn-spectrogram"
"""the study's own network"""
TRUNKS = ("squeezenet", "inception-v3", "vgg16", "resnet50")
"""networks with a trunk of ImageNet's"""
PLAIN = AugmentConfig(tilt_db=0, time_mask=0, bin_mask=0)
VARIANTS: Mapping[str, dict[str, Any]] = {
    "": {},
    "binary cross-entropy": {"loss": "binary"},
    "batch norm before the activation": {"settings": {"norm": "before"}},
    "no dropout": {"settings": {"dropout": 0.0}},
}
"""what the study asks for beside its networks as they are: arguments of `KeywordTask`"""


class Epoch(NamedTuple):
    """Figures after an epoch; those of the training are means over its steps, as Keras reports them."""

    number: int
    """from 1 on"""
    train_accuracy: float
    train_loss: float
    val_accuracy: float
    val_loss: float
    seconds: float
    """since the training began"""


@dataclass(frozen=True)
class Result:
    """A finished cell."""

    epochs: list[Epoch]
    clips: int
    """to learn from"""
    val_clips: int
    device: str

    @property
    def first(self) -> Epoch:
        return self.epochs[0]

    @property
    def best(self) -> Epoch:
        """Of the lowest validation loss."""
        return min(self.epochs, key=lambda epoch: epoch.val_loss)


@dataclass(frozen=True)
class Recipe:
    """What all cells of a study share."""

    batch: int = 32
    learning_rate: float = 1e-3
    trunk_rate: float = 1e-3
    """learning rate of the networks with a trunk, pretrained or not"""
    patience: int = 3
    """epochs without a lower validation loss"""
    max_epochs: int = 100
    transfer: TransferConfig = field(default_factory=TransferConfig)
    """of the pretrained ones"""
    precision: str = "32-true"
    """of the multiplies, as Lightning names it"""


@dataclass(frozen=True)
class Cell:
    """One training."""

    network: str
    weights: str | None = None
    """a file, or `imagenet`; None: from scratch"""
    pixel_std: float | None = None
    variant: str = ""
    fold: int = 0
    """that is held out"""
    share: float = 1.0
    """of the clips to learn from"""
    seed: int = 0

    @property
    def start(self) -> str:
        """Where its training begins."""
        return "pretrained" if self.weights else "scratch"

    @property
    def name(self) -> str:
        """Of its folder."""
        parts = [self.network, self.start, self.variant, f"fold{self.fold}", f"share{self.share:g}", f"seed{self.seed}"]
        return "-".join(part.replace(" ", "-") for part in parts if part)

    def facts(self) -> dict[str, Any]:
        """Everything that decides on it; of a file its name, since checkpoints travel."""
        return {**asdict(self), "weights": self.weights and Path(self.weights).name}


class History(Callback):
    """Remembers the figures of every epoch, in the checkpoint, too."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = trainer.callback_metrics
        names = ("train/accuracy", "train/loss", "val/accuracy", "val/loss")
        before = self.epochs[-1].seconds if self.epochs else 0.0
        seconds = before + time.perf_counter() - self.began
        figures = [metrics[name].item() for name in names]
        self.epochs.append(Epoch._make([trainer.current_epoch + 1, *figures, seconds]))

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": [list(epoch) for epoch in self.epochs]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = [Epoch(*epoch) for epoch in state_dict["epochs"]]


def run_cell(cell: Cell, folds: Folds, recipe: Recipe, folder: Path, records: Path) -> Result:
    """Train a cell below `folder`, go on with one that was stopped, or read what one that is complete came to.

    What it came to is a file in `records`, which may outlive the checkpoints.
    """
    run, record = folder / cell.name, records / f"{cell.name}.json"
    facts = {"cell": cell.facts(), "recipe": asdict(recipe), "clips": folds.fingerprint}
    check_facts(record, facts)
    if record.exists():
        return _read(record)
    check_facts(run / "facts.json", facts)
    run.mkdir(parents=True, exist_ok=True)
    (run / "facts.json").write_text(json.dumps(facts, indent=1))
    learning, judging = folds.part(cell.fold, False, cell.share), folds.part(cell.fold, True)
    say(f"{cell.name}: {learning.rows:,} clips to learn from, {judging.rows:,} to judge by")
    last = run / "last.ckpt"
    task = build_task(cell, learning, recipe, pretrained=not last.exists())
    batches = BankBatches(learning, recipe.batch, cell.seed, smoothing=0.0)
    history, trainer = build_trainer(task, batches, recipe, run)
    trainer.fit(
        task,
        DataLoader(batches, batch_size=None),
        DataLoader(_standardised(judging, task), batch_size=128),
        ckpt_path=last if last.exists() else None,
        weights_only=True,
    )
    device = torch.cuda.get_device_name() if trainer.strategy.root_device.type == "cuda" else "CPU"
    result = Result(history.epochs, learning.rows, judging.rows, device)
    records.mkdir(parents=True, exist_ok=True)
    part = record.with_suffix(".part")
    part.write_text(json.dumps({**facts, "result": asdict(result)}, indent=1) + "\n")
    part.replace(record)
    last.unlink()  # the best is kept: for `python -m export`
    return result


def read_results(records: Path, folds: Folds, recipe: Recipe) -> dict[Cell, Result]:
    """Every complete cell in `records` that was trained by `recipe` on the clips of `folds`."""
    results = {}
    for record in sorted(records.glob("*.json")):
        facts = json.loads(record.read_text())
        if facts == {**facts, "recipe": asdict(recipe), "clips": folds.fingerprint}:
            results[Cell(**facts["cell"])] = _read(record)
    return results


def check_facts(path: Path, facts: dict[str, Any]) -> None:
    """KwsError when the file at `path` tells of another training than `facts`: its figures have no place here."""
    before = json.loads(path.read_text()) if path.exists() else facts
    for name in facts:
        if before[name] != facts[name]:
            raise KwsError(f"{path}: trained with another {name}; give another folder, or remove it")


def build_task(cell: Cell, learning: Part, recipe: Recipe, pretrained: bool) -> KeywordTask:
    """The network of a cell; `pretrained` false leaves its weights to a checkpoint."""
    L.seed_everything(cell.seed, verbose=False)
    transfer = recipe.transfer if cell.weights else TransferConfig()
    task = KeywordTask(
        cell.network,
        asdict(learning.measure(find_architecture(cell.network).frontend)),
        asdict(PLAIN),
        learning_rate=recipe.trunk_rate if cell.network in TRUNKS else recipe.learning_rate,
        weight_decay=0.0,
        provenance={"study": cell.facts()},
        transfer=asdict(transfer),
        schedule="constant",
        **VARIANTS[cell.variant],
    )
    check_transfer(task.network, transfer)
    if cell.weights and pretrained:
        load_weights(task.network, cell.weights, cell.pixel_std)
    lay_out(task.network)
    return task


def build_trainer(task: KeywordTask, batches: BankBatches, recipe: Recipe, run: Path) -> tuple[History, L.Trainer]:
    """Lightning's, on whatever there is, and the callback that will know the figures."""
    history = History()
    trainer = L.Trainer(
        max_epochs=recipe.max_epochs,
        accelerator="auto",
        devices=1,
        precision=recipe.precision,  # type: ignore[arg-type]
        logger=False,
        callbacks=[
            Seeds(batches),
            *([Freezing(task.transfer)] if task.transfer.wanted else []),
            history,
            Report(),
            EarlyStopping("val/loss", patience=recipe.patience, check_on_train_epoch_end=True),
            ModelCheckpoint(
                run,
                "best",
                monitor="val/loss",
                save_on_train_epoch_end=True,
                save_weights_only=True,
                enable_version_counter=False,
            ),
            ModelCheckpoint(run, "last", save_on_train_epoch_end=True, enable_version_counter=False),
        ],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    return history, trainer


def _standardised(part: Part, task: KeywordTask) -> TensorDataset:
    features = (torch.from_numpy(part.features).unsqueeze(1) - task.config.mean) / task.config.std
    return TensorDataset(features.float(), torch.from_numpy(part.labels).long())


def _read(path: Path) -> Result:
    values = json.loads(path.read_text())["result"]
    return Result(**{**values, "epochs": [Epoch(*epoch) for epoch in values["epochs"]]})
