"""Trainings of the study's networks beside what it published."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from kws_stream.evaluation import wilson_interval
from models.cells import Cell, Result
from models.markdown import table
from models.published import BEST, FIRST, PARAMETERS, Figures
from models.registry import find_architecture, parameter_count

Results = Mapping[Cell, Result]
HEAD = tuple(
    head for ours in ("train acc.", "val acc.", "train loss", "val loss", "seconds") for head in (ours, "published")
)
NOTHING = (None,) * len(Figures._fields)
FORMS = (".4f", ".4f", ".4f", ".4f", ",d")
"""of the figures that were published"""
UNTRAINED = (
    "\nOf networks without figures of ours, no weights that were trained on ImageNet were at hand; that such weights "
    "are read is tested with files of the same format.\n"
)
KERAS = (
    "\nParameters with the running statistics of batch norms, as Keras counts them; its ResNet50 has 26,560 biases in "
    "front of batch norms, and its Inception V3 lacks 17,216 scales of them, neither of which changes what a network "
    "can compute.\n"
)


def compare(results: Results, pretrained: bool) -> str:
    """Markdown: best and first epoch of the first seed of each network, with the most data that it was given; of
    networks that the study trained and we did not, what it published."""
    most = fullest({cell: result for cell, result in results.items() if bool(cell.weights) == pretrained})
    trained = {cell.network: result for cell, result in most.items()}
    if not trained:
        return ""
    others = [name for name, start in BEST if start == pretrained and name not in trained]
    best, first = [], []
    for network in (*trained, *others):
        ours, published, early = trained.get(network), BEST.get((network, pretrained)), FIRST.get((network, pretrained))
        known, clips = PARAMETERS.get(network), f"{ours.clips:,}" if ours else "-"
        row = (network, f"{_parameters(network):,}", f"{known:,}" if known else "-", clips)
        best.append((*row, f"{ours.best.number} of {len(ours.epochs)}" if ours else "-", *_beside(ours, published)))
        if ours or early:
            first.append((network, clips, *_beside(ours, early, first=True)[:4]))
    heads = (
        ("network", "parameters", "published", "clips", "best epoch", *HEAD),
        ("network", "clips", *HEAD[:4]),
    )
    told = f"{table(heads[0], best)}\n\nAfter the first epoch:\n\n{table(heads[1], first)}\n"
    return told + (KERAS if not pretrained else UNTRAINED if others else "")


def fullest(results: Results) -> Results:
    """One cell a network, in the order of their parameters: of its largest share, the first seed."""
    chosen: dict[str, Cell] = {}
    for cell in sorted(results, key=lambda cell: (-cell.share, cell.seed)):
        chosen.setdefault(cell.network, cell)
    return {cell: results[cell] for cell in sorted(chosen.values(), key=lambda cell: _parameters(cell.network))}


def _beside(result: Result | None, published: Figures | None, first: bool = False) -> tuple[str, ...]:
    """The figures of HEAD, each of ours with the published one behind it: of the best epoch, or of the first."""
    ours = ["-"] * (len(HEAD) // 2)
    if result:
        epoch, clips = result.first if first else result.best, result.val_clips
        low, high = wilson_interval(round(epoch.val_accuracy * clips), clips)
        ours = [
            f"{epoch.train_accuracy:.4f}",
            f"{epoch.val_accuracy:.4f} ({low:.3f} to {high:.3f})",
            f"{epoch.train_loss:.4f}",
            f"{epoch.val_loss:.4f}",
            f"{result.epochs[-1].seconds:,.0f}",
        ]
    theirs = [
        "-" if value is None else f"{value:{form}}" for value, form in zip(published or NOTHING, FORMS, strict=True)
    ]
    return tuple(cell for pair in zip(ours, theirs, strict=True) for cell in pair)


@cache
def _parameters(network: str) -> int:
    found = find_architecture(network)
    return parameter_count(found.build(found.frames, found.frontend.bins, 12))
