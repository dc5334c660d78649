"""`python -m models.train ARCH --data DIR`: from a folder of word folders to a checkpoint."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from filelock import FileLock
from lightning.pytorch.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    WeightAveraging,
)
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.profilers import SimpleProfiler
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from kws_stream.errors import KwsError
from models.bank import BankBatches, FeatureBank, Rendering, open_bank
from models.batches import load_training_data, load_validation
from models.callbacks import Report, Seeds, average, hush, say
from models.command import complete
from models.corpora import Sources
from models.distillation import Ensemble
from models.encoder import ENCODER_FILE
from models.labels import LABELS
from models.layout import lay_out
from models.options import parse_arguments
from models.recipe import read_network, read_recipe
from models.registry import find_architecture, parameter_count
from models.streaming import STRIDE_FRAMES, StreamingNetwork
from models.stretches import Stretches
from models.task import CHECKPOINT, KeywordTask, load_checkpoint
from models.transfer import Freezing, TransferConfig, check_transfer
from models.weights import load_weights, take_over


def named(value: Any) -> Any:
    """The last name of a folder or file, and of what a run leaves that of the run; other values as they are."""
    if isinstance(value, Path):
        return value.parent.name if value.suffix == CHECKPOINT or value.name == ENCODER_FILE else value.name
    return value


def describe(options: argparse.Namespace, survey: dict[str, object]) -> dict[str, Any]:
    """What a checkpoint says about how it was made: no absolute path in it, since it travels."""
    choices = {
        name: [named(each) for each in value] if isinstance(value, list) else named(value)
        for name, value in {**vars(options), "weights": options.weights and Path(options.weights)}.items()
        if name not in ("run", "resume")
    }
    return {
        "options": choices,
        "seed": options.seed,
        "data": survey,
        "versions": {name: version(name) for name in ("torch", "torchaudio", "lightning")},
    }


def build_task(options: argparse.Namespace, survey: dict[str, object], bank: FeatureBank) -> KeywordTask:
    """A fresh network, but for the weights of others, whose front end standardises the bank; with those of a former run
    goes its front end, which they know."""
    L.seed_everything(options.seed, verbose=False)
    found = find_architecture(options.architecture)
    transfer = read_transfer(options)
    former = load_checkpoint(Path(options.weights)) if options.weights.endswith(CHECKPOINT) else None
    task = KeywordTask(
        options.architecture,
        asdict(former.config if former else bank.measure(found.frontend)),
        asdict(read_recipe(options.set)[0]),
        learning_rate=options.learning_rate,
        provenance=describe(options, survey),
        corpus=str(options.data.resolve()),
        settings=read_network(options.network, found.build),
        transfer=asdict(transfer),
        loss=options.loss,
    )
    check_transfer(task.network, transfer)
    if former:
        take_over(task.network, former.network, options.weights)
    elif options.weights and not options.resume:
        load_weights(task.network, options.weights, options.pixel_std)
    return task


def load_stretches(options: argparse.Namespace) -> Stretches | None:
    """The streams to learn from; KwsError for a network that sees windows, which learns nothing from them."""
    if not options.streams:
        return None
    found = find_architecture(options.architecture)
    if not isinstance(found.build(found.frames, found.frontend.bins, len(LABELS)), StreamingNetwork):
        raise KwsError(f"--streams: {options.architecture} sees windows; only a streaming network learns from streams")
    return Stretches(options.streams, found.frontend, STRIDE_FRAMES, found.frames, options.streams_after)


def read_transfer(options: argparse.Namespace) -> TransferConfig:
    """What the command line says of a trunk."""
    return TransferConfig(options.freeze, options.unfreeze_after, options.rate_decay, options.freeze_statistics)


def build_trainer(options: argparse.Namespace, run: Path, batches: BankBatches) -> L.Trainer:
    """Lightning's trainer: the same on a CPU, a GPU, several of either, and several machines."""
    devices = options.devices * options.nodes
    return L.Trainer(
        max_epochs=options.epochs,
        accelerator="auto",
        devices=options.devices,
        num_nodes=options.nodes,
        strategy="ddp" if devices > 1 else "auto",
        precision=options.precision,
        logger=TensorBoardLogger(run, name="", version=""),
        callbacks=[
            Seeds(batches),
            *([Freezing(transfer)] if (transfer := read_transfer(options)).wanted else []),
            *([WeightAveraging(avg_fn=average)] if options.averaging else []),
            EarlyStopping("val/loss", patience=options.patience),
            ModelCheckpoint(run, "best", monitor="val/loss", enable_version_counter=False),
            # Not save_last: that follows the best only. A run must resume from the epoch that it reached.
            ModelCheckpoint(run, "last", enable_version_counter=False),
            LearningRateMonitor("epoch"),
            RichProgressBar() if sys.stderr.isatty() else Report(),
        ],
        profiler=SimpleProfiler(run, "profile") if options.profile else None,
        log_every_n_steps=10,
        use_distributed_sampler=False,  # the batches know their rank
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def pick_precision(wanted: str) -> str:
    """`wanted`, or for "auto" bfloat16 where the processor multiplies it faster than float32; KwsError for float16
    without a GPU."""
    if wanted == "16-mixed" and not torch.accelerator.is_available():
        raise KwsError("--precision 16-mixed needs a GPU; on a CPU choose bf16-mixed or 32-true")
    fast = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
    return wanted if wanted != "auto" else "bf16-mixed" if fast else "32-true"


def prepare(
    options: argparse.Namespace, folder: Path
) -> tuple[dict[str, object], tuple[Tensor, Tensor], FeatureBank, Ensemble | None]:
    """Everything that a run below `folder` reads: what its data are, the validation clips, the bank, the teachers.

    One process at a time: the first decodes and renders, and the others find it done.
    """
    sources = Sources(
        options.data,
        tuple(options.noise),
        options.rir,
        tuple(options.words),
        options.speech,
        cache=folder / "cache",
        val_noise=options.val_noise,
    )
    frontend = find_architecture(options.architecture).frontend
    augmentation, mixture = read_recipe(options.set)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "preparing.lock"):
        survey = sources.survey()
        bank = open_bank(
            folder / "banks",
            survey,
            partial(load_training_data, sources, mixture),
            Rendering(frontend, augmentation, mixture),
            options.passes,
        )
        validation = load_validation(sources)
    if not options.teachers:
        return survey, validation, bank, None
    with FileLock(folder / "asking.lock"):
        return survey, validation, bank, Ensemble(options.teachers, bank)


def train(options: argparse.Namespace) -> Path:
    """Train, and return the path of the best checkpoint by validation loss."""
    run = options.run or Path("runs") / f"{options.architecture}-{options.seed}"
    if options.resume and not (run / "last.ckpt").exists():
        raise KwsError(f"nothing to resume: no {run / 'last.ckpt'}")
    if 0 < torch.accelerator.device_count() < options.devices:
        raise KwsError(f"--devices {options.devices}: the GPUs of this machine are {torch.accelerator.device_count()}")
    options.precision = pick_precision(options.precision)
    if options.threads:
        torch.set_num_threads(options.threads)
        os.environ["OMP_NUM_THREADS"] = str(options.threads)  # or Lightning shares the cores out among processes
    stretches = load_stretches(options)
    survey, validation, bank, teacher = prepare(options, run.parent)
    if stretches and teacher:
        stretches.ask(teacher)
    task = build_task(options, survey, bank)
    lay_out(task.network)
    batches = BankBatches(bank, options.batch, options.seed, options.smoothing, teacher, stretches=stretches)
    trainer = build_trainer(options, run, batches)
    say(f"{options.architecture}: {parameter_count(task.network):,} parameters, {survey}")
    trainer.fit(
        task,
        DataLoader(batches, batch_size=None),
        DataLoader(validation_features(task, *validation), batch_size=256),
        ckpt_path=run / "last.ckpt" if options.resume else None,
        weights_only=True,
    )
    best = trainer.checkpoint_callbacks[0]
    assert isinstance(best, ModelCheckpoint)
    if best.best_model_score is not None:  # or the folder was moved since, and nothing was left to train
        say(f"best validation loss {best.best_model_score:.4f}")
    return run / "best.ckpt"


def validation_features(task: KeywordTask, samples: Tensor, labels: Tensor) -> TensorDataset:
    """The validation clips as the network sees them, computed once."""
    features = torch.cat([task.frontend(part) for part in samples.split(256)])[:, :, : task.frames]
    return TensorDataset(features, labels)


def command(options: argparse.Namespace) -> None:
    """Train, and say where the best epoch is."""
    best = train(options)
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        print(best)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    hush()
    return complete("models.train", lambda: command(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
