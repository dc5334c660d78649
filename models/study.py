"""`python -m models.study --data DIR -o FOLDER`: the study's tables, measured here, beside what it published.

The clips of training and validation, 80 % to learn from and 20 % of other speakers to judge by; batches of 32, as many
epochs as it takes until the validation loss has not fallen for three. A training that is complete is not repeated, one
that was stopped goes on; the page is written anew after each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from kws_stream.errors import KwsError
from models.callbacks import hush
from models.cells import LIGHT, TRUNKS, VARIANTS, Cell, Recipe, Result, read_results, run_cell
from models.command import complete
from models.folds import load_folds
from models.lightcnn import LOG_SPECTROGRAM
from models.options import PRECISIONS
from models.study_page import courses_of, draw_page, learning_of
from models.train import pick_precision
from models.transfer import TransferConfig
from models.weights import IMAGENET

NETWORKS = (LIGHT, "mnist", *TRUNKS)
FOLDS = 5
DPI = 144
TABLES = ("scratch", "pretrained", "folds", "variants")
"""all networks from scratch; those with weights; the Light CNN on every fold; the Light CNN built or taught anew"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m models.study", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="corpus; its splits for training and validation are read"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="of the trainings")
    parser.add_argument(
        "--records",
        type=Path,
        metavar="FOLDER",
        help="of what the trainings came to, which may be kept without the trainings (default: the one of -o)",
    )
    parser.add_argument("--write", type=Path, metavar="PAGE.md", help="where the page goes (default: FOLDER/study.md)")
    parser.add_argument(
        "--tables", nargs="+", choices=TABLES, default=list(TABLES), metavar="TABLE", help=" ".join(TABLES)
    )
    parser.add_argument(
        "--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NETWORK", help=" ".join(NETWORKS)
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        default=[],
        metavar="NETWORK=FILE[@STD]",
        help=f"for the pretrained table: a file, or {IMAGENET}; STD is the standard deviation of the pixels it knows",
    )
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0], help="of the clips to learn from (1)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument(
        "--trunk-rate", type=float, help="learning rate of the networks with an ImageNet trunk (the same)"
    )
    parser.add_argument("--patience", type=int, default=3)
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--freeze", type=int, default=0, metavar="N", help="blocks of a pretrained trunk that rest")
    parser.add_argument("--unfreeze-after", type=int, metavar="E", help="epochs after which they learn, too")
    parser.add_argument(
        "--rate-decay", type=float, default=1.0, metavar="R", help="from each block to the one before it"
    )
    parser.add_argument("--freeze-statistics", action="store_true", help="of the batch norms of a pretrained trunk")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of the multiplies (default: bf16-mixed where it is fast, else 32-true)",
    )
    parser.add_argument("--threads", type=int, help="on a CPU")
    options = parser.parse_args(arguments)
    if not all(0 < share <= 1 for share in options.shares):
        parser.error(f"--shares {' '.join(map(str, options.shares))}: expected more than 0 and at most 1")
    return options


def read_weights_of(pairs: Sequence[str]) -> dict[str, tuple[str, float | None]]:
    """Network -> its file and the spread of its pixels; KwsError for what names no trunk, or no file."""
    weights: dict[str, tuple[str, float | None]] = {}
    for pair in pairs:
        network, _, source = pair.partition("=")
        source, _, spread = source.partition("@")
        if network not in TRUNKS or not source:
            raise KwsError(f"--weights {pair}: expected NETWORK=FILE with one of {' '.join(TRUNKS)}")
        try:
            weights[network] = (source, float(spread) if spread else None)
        except ValueError as error:
            raise KwsError(f"--weights {pair}: expected a number behind the @, got {spread!r}") from error
        if source != IMAGENET and not Path(source).is_file():
            raise KwsError(f"--weights {pair}: no file {source}")
    return weights


def list_cells(options: argparse.Namespace) -> Iterator[Cell]:
    """Table by table; a cell that stands in two tables comes once."""
    weights = read_weights_of(options.weights)
    cells: dict[Cell, None] = {}
    for seed in options.seeds:
        for share in options.shares:
            if "scratch" in options.tables:
                cells |= {Cell(network, share=share, seed=seed): None for network in options.networks}
            if "pretrained" in options.tables:
                chosen = {network: weights[network] for network in options.networks if network in weights}
                cells |= {Cell(name, *known, share=share, seed=seed): None for name, known in chosen.items()}
        if "folds" in options.tables:
            cells |= {Cell(LIGHT, fold=fold, seed=seed): None for fold in range(FOLDS)}
        if "variants" in options.tables:
            cells |= {Cell(LIGHT, variant=variant, seed=seed): None for variant in VARIANTS}
    yield from cells


def study(options: argparse.Namespace) -> None:
    """Cell by cell, and the page after each."""
    recipe = Recipe(
        options.batch,
        options.learning_rate,
        options.trunk_rate or options.learning_rate,
        options.patience,
        options.max_epochs,
        TransferConfig(options.freeze, options.unfreeze_after, options.rate_decay, options.freeze_statistics),
        pick_precision(options.precision),
    )
    if options.threads:
        torch.set_num_threads(options.threads)
    cells = [*list_cells(options)]
    folds = load_folds(options.data, LOG_SPECTROGRAM, FOLDS, options.output / "cache")
    page = options.write or options.output / "study.md"
    records = options.records or options.output
    known = {cell.name for cell in read_results(records, folds, recipe)}
    for cell in cells:
        run_cell(cell, folds, recipe, options.output, records)
        if cell.name not in known or cell is cells[-1]:
            write_page(page, read_results(records, folds, recipe), recipe)
    print(page)


def write_page(page: Path, results: dict[Cell, Result], recipe: Recipe) -> None:
    """The page, and beside it the learning curves where there are some and matplotlib is there to draw them."""
    page.parent.mkdir(parents=True, exist_ok=True)
    pictures = {}
    if find_spec("matplotlib") is not None:
        from models.plots import draw_courses, draw_learning

        if learning := learning_of(results):
            pictures["accuracy by clips"] = draw_learning(learning)
        for network, courses in courses_of(results).items():
            pictures[f"{network} by epoch"] = draw_courses(courses)
    names = {shows: f"{page.stem}-{shows.replace(' ', '-')}.png" for shows in pictures}
    for shows, figure in pictures.items():
        figure.savefig(page.with_name(names[shows]), dpi=DPI)
    page.write_text(draw_page(results, recipe, names), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    hush()
    return complete("models.study", lambda: study(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
