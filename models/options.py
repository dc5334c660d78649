"""The command line of a training."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.registry import list_architectures
from models.task import CHECKPOINT

DESCRIPTION = "From a folder of word folders to a checkpoint."

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m models.train", description=DESCRIPTION)
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
    data.add_argument(
        "--streams",
        type=Path,
        nargs="+",
        default=[],
        metavar="STREAM.flac",
        help="streams that models.compose made of train; a streaming network, and its teachers, hear them, too",
    )
    data.add_argument("--streams-after", type=int, default=0, metavar="E", help="but not in the first E epochs")
    training = parser.add_argument_group("training")
    training.add_argument("--run", type=Path, help="folder of the run (default: runs/ARCH-SEED)")
    training.add_argument("--epochs", type=int, default=60)
    training.add_argument("--batch", type=int, default=128)
    training.add_argument("--learning-rate", type=float, default=3e-3)
    training.add_argument("--patience", type=int, default=40, help="epochs without a lower validation loss")
    training.add_argument("--passes", type=int, default=16, help="renderings of the training data, an epoch each")
    training.add_argument("--smoothing", type=float, default=0.05, help="share of the labels spread over all labels")
    training.add_argument(
        "--teachers",
        type=Path,
        nargs="*",
        default=[],
        help="checkpoints, .onnx files or names of the zoo to learn from, too",
    )
    training.add_argument(
        "--precision",
        choices=PRECISIONS,
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
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="change the mixture or the augmentation (recipe.py)",
    )
    training.add_argument(
        "--network",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="change arguments of the architecture (entry=sum)",
    )
    training.add_argument(
        "--loss", choices=("categorical", "binary"), default="categorical", help="which label, or each label: yes or no"
    )
    training.add_argument("--profile", action="store_true", help="write where the time goes to RUN/fit-profile.txt")
    training.add_argument("--threads", type=int, help="of each process, on a CPU")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--resume", action="store_true", help="go on where the run stopped")
    transfer = parser.add_argument_group("transfer learning")
    transfer.add_argument(
        "--weights",
        default="",
        metavar="FILE|imagenet",
        help="state dict of a trunk: .pth, .npz, torchvision's; encoder.pth of models.pretrain; .ckpt of a run of this "
        "network, to go on from",
    )
    transfer.add_argument(
        "--pixel-std", type=float, help="standard deviation of the pixels that they know (57.4 for 0 to 255)"
    )
    transfer.add_argument("--freeze", type=int, default=0, metavar="N", help="the first N blocks do not learn")
    transfer.add_argument("--unfreeze-after", type=int, metavar="E", help="but do after E epochs")
    transfer.add_argument(
        "--rate-decay", type=float, default=1.0, metavar="R", help="a block learns R times as fast as the one behind it"
    )
    transfer.add_argument(
        "--freeze-statistics", action="store_true", help="the trunk's batch norms keep the statistics they came with"
    )
    options = parser.parse_args(arguments)
    if options.streams_after and not options.streams:
        parser.error("--streams-after: there are no --streams")
    if options.pixel_std is not None and options.weights.endswith(CHECKPOINT):
        parser.error("--pixel-std: a run of this network saw features, no pixels")
    if (options.freeze or options.freeze_statistics) and options.devices * options.nodes > 1:
        parser.error("--freeze and --freeze-statistics work on one device: several agree on what learns at the start")
    if min(options.devices, options.nodes) < 1 or options.batch % (options.devices * options.nodes):
        parser.error(
            f"--batch {options.batch} cannot be shared by {options.devices} devices on each of {options.nodes} nodes; "
            "expected a multiple of their number"
        )
    return options
