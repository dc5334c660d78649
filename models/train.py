"""`python -m models.train ARCH --data DIR`: from a folder of word folders to a checkpoint."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
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
from models.bank import BankBatches, FeatureBank, Rendering, Teacher, open_bank
from models.batches import Sources, TrainingData, load_training_data, load_validation
from models.callbacks import Report, Seeds, average, say
from models.distillation import Ensemble
from models.recipe import read_recipe
from models.registry import find_architecture, list_architectures, parameter_count
from models.task import KeywordTask


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
    training.add_argument("--epochs", type=int, default=60)
    training.add_argument("--batch", type=int, default=128)
    training.add_argument("--learning-rate", type=float, default=3e-3)
    training.add_argument("--patience", type=int, default=40, help="epochs without a lower validation loss")
    training.add_argument("--passes", type=int, default=16, help="renderings of the training data, an epoch each")
    training.add_argument("--smoothing", type=float, default=0.05, help="share of the labels spread over all labels")
    training.add_argument("--teachers", type=Path, nargs="+", default=[], help="checkpoints to learn from, too")
    training.add_argument(
        "--precision",
        choices=("auto", "32-true", "bf16-mixed", "16-mixed"),
        default="auto",
        help="of the multiplies (default: bf16-mixed where it is fast, else 32-true)",
    )
    training.add_argument("--devices", type=int, default=1, help="processes, each with a GPU where there are any")
    training.add_argument(
        "--nodes",
        type=int,
        default=1,
        help="machines that share the folder of the run; start the command on each, with NODE_RANK, MASTER_ADDR and "
        "MASTER_PORT set",
    )
    training.add_argument(
        "--no-averaging", dest="averaging", action="store_false", help="keep the last weights, not their moving average"
    )
    training.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="change the mixture or the augmentation (recipe.py)"
    )
    training.add_argument("--profile", action="store_true", help="write where the time goes to RUN/fit-profile.txt")
    training.add_argument("--threads", type=int, help="of each process, on a CPU")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--resume", action="store_true", help="go on where the run stopped")
    options = parser.parse_args(arguments)
    if min(options.devices, options.nodes) < 1 or options.batch % (options.devices * options.nodes):
        parser.error(
            f"--batch {options.batch} cannot be shared by {options.devices} devices on each of {options.nodes} nodes; "
            "expected a multiple of their number"
        )
    return options


def named(value: Any) -> Any:
    """The last name of a folder, and of a checkpoint the run that it belongs to; other values as they are."""
    if isinstance(value, Path):
        return value.parent.name if value.suffix == ".ckpt" else value.name
    return value


def describe(options: argparse.Namespace, data: TrainingData) -> dict[str, Any]:
    """What a checkpoint says about how it was made: no absolute path in it, since it travels."""
    choices = {
        name: [named(each) for each in value] if isinstance(value, list) else named(value)
        for name, value in vars(options).items()
        if name not in ("run", "resume")
    }
    return {
        "options": choices,
        "seed": options.seed,
        "data": data.facts,
        "versions": {name: version(name) for name in ("torch", "torchaudio", "lightning")},
    }


def build_task(options: argparse.Namespace, data: TrainingData, bank: FeatureBank) -> KeywordTask:
    """A fresh network whose front end standardises the bank."""
    L.seed_everything(options.seed, verbose=False)
    return KeywordTask(
        options.architecture,
        asdict(bank.measure(find_architecture(options.architecture).frontend)),
        asdict(read_recipe(options.set)[0]),
        learning_rate=options.learning_rate,
        provenance=describe(options, data),
        corpus=str(options.data.resolve()),
    )


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
) -> tuple[TrainingData, tuple[Tensor, Tensor], FeatureBank, Teacher | None]:
    """Everything that a run below `folder` reads: its data, the validation clips, the bank, and the teachers.

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
        data = load_training_data(sources, mixture)
        bank = open_bank(folder / "banks", data, Rendering(frontend, augmentation, mixture), options.passes)
        validation = load_validation(sources)
    if not options.teachers:
        return data, validation, bank, None
    with FileLock(folder / "asking.lock"):
        return data, validation, bank, Ensemble(options.teachers, bank)


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
    data, validation, bank, teacher = prepare(options, run.parent)
    task = build_task(options, data, bank)
    task.network.to(memory_format=torch.channels_last)  # twice as fast on a CPU
    batches = BankBatches(bank, options.batch, options.seed, options.smoothing, teacher)
    trainer = build_trainer(options, run, batches)
    say(f"{options.architecture}: {parameter_count(task.network):,} parameters, {data.facts}")
    trainer.fit(
        task,
        DataLoader(batches, batch_size=None),
        DataLoader(validation_features(task, *validation), batch_size=256),
        ckpt_path=run / "last.ckpt" if options.resume else None,
        weights_only=True,
    )
    best = trainer.checkpoint_callbacks[0]
    assert isinstance(best, ModelCheckpoint)
    say(f"best validation loss {best.best_model_score:.4f}: {best.best_model_path}")
    return Path(best.best_model_path)


def validation_features(task: KeywordTask, samples: Tensor, labels: Tensor) -> TensorDataset:
    """The validation clips as the network sees them, computed once."""
    features = torch.cat([task.frontend(part) for part in samples.split(256)])[:, :, : task.frames]
    return TensorDataset(features, labels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    # Lightning advertises, and advises loaders of many processes; ours reads from memory.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    try:
        best = train(parse_arguments(arguments))
    except KwsError as error:
        print(f"models.train: {error}", file=sys.stderr)
        return 1
    if rank_zero_only.rank == 0:
        print(best)
    return 0


if __name__ == "__main__":
    sys.exit(main())
