"""Trainings of the study's networks beside what it published."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from kws_stream.evaluation import wilson_interval
from models.cells import Cell, Epoch, Result
from models.markdown import table
from models.published import BEST, FIRST, PARAMETERS, Figures
from models.registry import find_architecture, parameter_count

Results = Mapping[Cell, Result]
HEAD = ("train acc.", "published", "val acc.", "published", "train loss", "published", "val loss", "published")

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
    best, first = [], []
    most = fullest({cell: result for cell, result in results.items() if bool(cell.weights) == pretrained})
    for cell, result in most.items():
        published, early = (figures.get((cell.network, pretrained)) for figures in (BEST, FIRST))
        beside = _beside(result.best, published, result.val_clips)
        best.append(
            (
                *_head(cell.network, f"{result.clips:,}"),
                f"{result.best.number} of {len(result.epochs)}",
                *beside,
                *_seconds(result, published),
            )
        )
        first.append((cell.network, f"{result.clips:,}", *_beside(result.first, early, result.val_clips)[:4]))
    if not best:
        return ""
    others = [name for name, start in BEST if start == pretrained and name not in {cell.network for cell in most}]
    for name in others:
        best.append((*_head(name, "-"), "-", *_alone(BEST[name, pretrained])))
        if early := FIRST.get((name, pretrained)):
            first.append((name, "-", *_alone(early)[:4]))
    heads = (
        ("network", "parameters", "published", "clips", "best epoch", *HEAD, "seconds", "published"),
        ("network", "clips", *HEAD[:4]),
    )
    told = f"{table(heads[0], best)}\n\nAfter the first epoch:\n\n{table(heads[1], first)}\n"
    return told + (UNTRAINED if others and pretrained else "") + (KERAS if not pretrained else "")


def _head(network: str, clips: str) -> tuple[str, ...]:
    known = PARAMETERS.get(network)
    return network, f"{_parameters(network):,}", f"{known:,}" if known else "-", clips


def fullest(results: Results) -> Results:
    """One cell a network, in the order of their parameters: of its largest share, the first seed."""
    chosen: dict[str, Cell] = {}
    for cell in sorted(results, key=lambda cell: (-cell.share, cell.seed)):
        chosen.setdefault(cell.network, cell)
    return {cell: results[cell] for cell in sorted(chosen.values(), key=lambda cell: _parameters(cell.network))}


def _beside(epoch: Epoch, published: Figures | None, clips: int) -> tuple[str, ...]:
    low, high = wilson_interval(round(epoch.val_accuracy * clips), clips)
    known = published or Figures(None, None)  # type: ignore[arg-type]
    return (
        f"{epoch.train_accuracy:.4f}",
        _maybe(known.train_accuracy),
        f"{epoch.val_accuracy:.4f} ({low:.3f} to {high:.3f})",
        _maybe(known.val_accuracy),
        f"{epoch.train_loss:.4f}",
        _maybe(known.train_loss),
        f"{epoch.val_loss:.4f}",
        _maybe(known.val_loss),
    )


def _alone(published: Figures) -> tuple[str, ...]:
    """What the study says of a training that was not repeated."""
    train, val, train_loss, val_loss, seconds = published
    figures = (part for value in (train, val, train_loss, val_loss) for part in ("-", _maybe(value)))
    return (*figures, "-", f"{seconds:,}" if seconds else "-")


def _seconds(result: Result, published: Figures | None) -> tuple[str, str]:
    return f"{result.epochs[-1].seconds:,.0f}", f"{published.seconds:,}" if published and published.seconds else "-"


@cache
def _parameters(network: str) -> int:
    found = find_architecture(network)
    return parameter_count(found.build(found.frames, found.frontend.bins, 12))


def _maybe(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
