"""What the study concluded, asked of the trainings here: a difference, its interval, and what that says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from models.cells import LIGHT, Cell, Result
from models.complexity import count_multiplies
from models.intervals import Interval, mean_interval, newcombe_interval
from models.markdown import table
from models.registry import find_architecture

Results = Mapping[Cell, Result]
LIGHT_QUESTION = (
    "Is a small network close to the large ones? Each learnt from the clips that the Light CNN learnt from."
)
LIGHT_HEAD = ("network", "clips", "multiplies to the Light CNN's", "val acc. against the Light CNN's", "so")
TRANSFER_QUESTION = (
    "Does pretraining help where data is scarce? The last columns: accuracy on the clips learnt from at the best "
    "epoch, its number, and accuracy on validation clips after the first."
)
TRANSFER_HEAD = ("network", "share", "clips", "val acc. pretrained against scratch", "so", "scratch", "pretrained")
INTERVALS = (
    "Differences in points of accuracy, with their 95 % intervals: of several trainings paired by seed (Student), of "
    "one by the number of clips judged (Newcombe 1998, method 10, which does not know that they are the same clips).\n"
)


def draw_findings(results: Results) -> str:
    """Markdown of both questions, for the cells of the 80/20 tables; empty where nothing can be compared."""
    light, transfer = _against_light(results), _against_scratch(results)
    parts = []
    if light:
        parts.append(f"{LIGHT_QUESTION}\n\n{table(LIGHT_HEAD, light)}\n")
    if transfer:
        parts.append(f"{TRANSFER_QUESTION}\n\n{table(TRANSFER_HEAD, transfer)}\n")
    return "\n".join([*parts, INTERVALS]) if parts else ""


def _against_light(results: Results) -> list[tuple[str, ...]]:
    """Each network from scratch, at the largest share that both learnt from."""
    rows: list[tuple[str, ...]] = []
    scratch = {cell: result for cell, result in results.items() if not cell.weights}
    for network in sorted({cell.network for cell in scratch} - {LIGHT}, key=_multiplies):
        shares = {cell.share for cell in scratch if cell.network == network}
        if both := shares & {cell.share for cell in scratch if cell.network == LIGHT}:
            theirs, ours = (_by_seed(scratch, name, max(both)) for name in (network, LIGHT))
            found = subtract(theirs, ours)
            clips = next(iter(theirs.values())).clips
            times = f"{_multiplies(network) / _multiplies(LIGHT):.1f}"
            rows.append((network, f"{clips:,}", times, shown(found), say(found, "better", "worse")))
    return rows


def _against_scratch(results: Results) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for network, share in sorted({(cell.network, cell.share) for cell in results if cell.weights}):
        taught = _by_seed({cell: r for cell, r in results.items() if cell.weights}, network, share)
        scratch = _by_seed({cell: r for cell, r in results.items() if not cell.weights}, network, share)
        if scratch:
            found = subtract(taught, scratch)
            clips = next(iter(taught.values())).clips
            row = (network, f"{share:.0%}", f"{clips:,}", shown(found), say(found, "helps", "harms"))
            rows.append((*row, _course(list(scratch.values())), _course(list(taught.values()))))
    return rows


def _by_seed(results: Results, network: str, share: float) -> dict[int, Result]:
    return {cell.seed: result for cell, result in results.items() if (cell.network, cell.share) == (network, share)}


def subtract(minuend: Mapping[int, Result], subtrahend: Mapping[int, Result]) -> Interval:
    """Of best validation accuracies by seed: of the seeds that both have where there are two or more (Student), else of
    the first of each (Newcombe)."""
    seeds = sorted(minuend.keys() & subtrahend.keys())
    if len(seeds) > 1:
        return mean_interval([minuend[s].best.val_accuracy - subtrahend[s].best.val_accuracy for s in seeds])
    one, other = minuend[min(minuend)], subtrahend[min(subtrahend)]
    return newcombe_interval(_hits(one), one.val_clips, _hits(other), other.val_clips)


def _hits(result: Result) -> int:
    return round(result.best.val_accuracy * result.val_clips)


def shown(difference: Interval) -> str:
    """In points."""
    mean, low, high = (100 * value for value in difference)
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def say(difference: Interval, above: str, below: str) -> str:
    """What an interval says: `above` or `below` zero, or that it does not tell."""
    _, low, high = difference
    return above if low > 0 else below if high < 0 else "not shown"


def _course(group: Sequence[Result]) -> str:
    """How the trainings went, in means."""
    learnt = np.mean([result.best.train_accuracy for result in group])
    number = np.mean([result.best.number for result in group])
    first = np.mean([result.first.val_accuracy for result in group])
    return f"{learnt:.3f} at epoch {number:.0f}; {first:.3f}"


@cache
def _multiplies(network: str) -> int:
    found = find_architecture(network)
    frames, bins = found.frames, found.frontend.bins
    return count_multiplies(found.build(frames, bins, 12).eval(), frames, bins)
