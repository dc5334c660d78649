"""`python -m models.train ARCH --data DIR`: from a folder of word folders to a checkpoint."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    WeightAveraging,
)
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from kws_stream.errors import KwsError
from models.augment import AugmentConfig
from models.batches import Sources, TrainingBatches, TrainingData, load_training_data, load_validation
from models.registry import find_architecture, list_architectures, parameter_count
from models.task import KeywordTask, measure_frontend

AVERAGING_DECAY = 0.998
"""a step; some 350 steps until half of it is forgotten"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m models.train", description=__doc__)
    parser.add_argument("architecture", choices=list_architectures())
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data", type=Path, required=True, help="folder of word folders, or of train/ val/ test/ of those"
    )
    data.add_argument(
        "--noise",
        type=Path,
        nargs="+",
        default=[],
        help="folders of noise (default: the corpus' own, or noise/ beside it)",
    )
    data.add_argument("--val-noise", type=Path, help="folder of noise for validation (default: noise/val beside it)")
    data.add_argument("--rir", type=Path, help="folder of room impulse responses")
    data.add_argument("--words", type=Path, nargs="+", default=[], help="more folders of train/ val/ of word folders")
    data.add_argument("--speech", type=Path, help="folder of train/ val/ and transcripts.csv: running speech")
    training = parser.add_argument_group("training")
    training.add_argument("--run", type=Path, help="folder of the run (default: runs/ARCH-SEED)")
    training.add_argument("--epochs", type=int, default=150)
    training.add_argument("--batch", type=int, default=128)
    training.add_argument("--learning-rate", type=float, default=3e-3)
    training.add_argument("--patience", type=int, default=40, help="epochs without a lower validation loss")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--resume", action="store_true", help="go on where the run stopped")
    return parser.parse_args(arguments)


class Seeds(Callback):
    """Gives every epoch its own rows and every step its own augmentation and dropout, so that a resumed run draws what
    an unbroken one would have drawn."""

    def __init__(self, batches: TrainingBatches) -> None:
        self.batches = batches

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches.epoch = trainer.current_epoch

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        torch.manual_seed(self.batches.seed * 1_000_003 + trainer.global_step)


def average(averaged: Tensor, current: Tensor, count: Tensor) -> Tensor:
    """Exponential averaging of the weights that forgets faster at first, so that short runs are averaged, too."""
    decay = min(AVERAGING_DECAY, (1 + count.item()) / (10 + count.item()))
    return decay * averaged + (1 - decay) * current


def describe(options: argparse.Namespace, data: TrainingData) -> dict[str, Any]:
    """What a checkpoint says about how it was made: no absolute path in it, since it travels."""
    choices = {
        name: [path.name for path in value] if isinstance(value, list) else getattr(value, "name", value)
        for name, value in vars(options).items()
        if name not in ("run", "resume")
    }
    return {
        "options": choices,
        "seed": options.seed,
        "data": data.facts,
        "versions": {name: version(name) for name in ("torch", "torchaudio", "lightning")},
    }


def build_task(options: argparse.Namespace, data: TrainingData) -> KeywordTask:
    """A fresh network whose front end is standardised on a thousand training rows."""
    L.seed_everything(options.seed, verbose=False)
    found = find_architecture(options.architecture)
    sample = next(iter(TrainingBatches(data, 1000, options.seed)))
    return KeywordTask(
        options.architecture,
        asdict(measure_frontend(found.frontend, sample.samples)),
        asdict(AugmentConfig()),
        learning_rate=options.learning_rate,
        provenance=describe(options, data),
        corpus=str(options.data.resolve()),
    )


def train(options: argparse.Namespace) -> Path:
    """Train, and return the path of the best checkpoint by validation loss."""
    run = options.run or Path("runs") / f"{options.architecture}-{options.seed}"
    sources = Sources(
        options.data,
        tuple(options.noise),
        options.rir,
        tuple(options.words),
        options.speech,
        cache=run.parent / "cache",
        val_noise=options.val_noise,
    )
    data = load_training_data(sources)
    samples, labels = load_validation(sources)
    task = build_task(options, data)
    task.responses = data.responses
    print(f"{options.architecture}: {parameter_count(task.network):,} parameters, {data.facts}", file=sys.stderr)
    batches = TrainingBatches(data, options.batch, options.seed)
    best = ModelCheckpoint(run, "best", monitor="val/loss", enable_version_counter=False)
    # Not save_last: that follows the best only. A run must resume from the epoch that it reached.
    latest = ModelCheckpoint(run, "last", enable_version_counter=False)
    early = EarlyStopping("val/loss", patience=options.patience)
    trainer = L.Trainer(
        max_epochs=options.epochs,
        accelerator="auto",
        logger=TensorBoardLogger(run, name="", version=""),
        callbacks=[
            Seeds(batches),
            WeightAveraging(avg_fn=average),
            early,
            best,
            latest,
            LearningRateMonitor("epoch"),
            RichProgressBar() if sys.stderr.isatty() else Report(),
        ],
        log_every_n_steps=10,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    last = run / "last.ckpt"
    if options.resume and not last.exists():
        raise KwsError(f"nothing to resume: no {last}")
    trainer.fit(
        task,
        DataLoader(batches, batch_size=None),
        DataLoader(TensorDataset(samples, labels), batch_size=256),
        ckpt_path=last if options.resume else None,
        weights_only=True,
    )
    print(f"best validation loss {best.best_model_score:.4f}: {best.best_model_path}", file=sys.stderr)
    return Path(best.best_model_path)


class Report(Callback):
    """A line an epoch where there is no terminal for a progress bar."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        figures = (f"{name} {value:.4f}" for name, value in sorted(trainer.callback_metrics.items()))
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", *figures, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    # Lightning advertises, and advises loaders of many processes; ours reads from memory.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    try:
        print(train(parse_arguments(arguments)))
    except KwsError as error:
        print(f"models.train: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
