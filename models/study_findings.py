"""What the study concluded, asked of the trainings here: a difference, its interval, and what that says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from models.cells import LIGHT, Cell, Result
from models.complexity import count_multiplies
from models.intervals import Interval, mean_interval, newcombe_interval
from models.markdown import table
from models.published import BEST
from models.registry import find_architecture

Results = Mapping[Cell, Result]
CLOSE = 0.02
"""of accuracy: how far the Light CNN lies behind another network at most, for the two to count as close; the study's
own differences, which it calls small, are up to 1.8 points"""
FEW = 3
"""trainings that the study's questions were first asked with; where there are more, these are shown alone, too"""
LIGHT_QUESTION = (
    "Is a small network close to the large ones? Each learnt from the clips that the Light CNN learnt from. The study "
    f"says that it is: so do these trainings where the other network is at most {100 * CLOSE:.0f} points better."
)
LIGHT_HEAD = (
    "network",
    "clips",
    "multiplies to the Light CNN's",
    "val acc. against the Light CNN's",
    "published",
    "that the Light CNN is close, or better",
)
TRANSFER_QUESTION = (
    "Does pretraining help where data is scarce? The last columns: accuracy on the clips learnt from at the best "
    "epoch, its number, and accuracy on validation clips after the first."
)
TRANSFER_HEAD = (
    "network",
    "share",
    "clips",
    "val acc. pretrained against scratch",
    "that it helps",
    "scratch",
    "pretrained",
)
INTERVALS = (
    "Differences in points of accuracy, with their 95 % intervals: of several trainings paired by seed (Student). "
    "Where there is one training only, the interval is that of the clips judged (Newcombe 1998, method 10, which does "
    "not know that they are the same clips), beside the mean of the Light CNN's trainings: it leaves out by how much "
    "another seed would differ, which can be more, and so such a verdict is put in brackets. Where more than "
    f"{FEW} seeds were trained, the others were added to narrow the interval; the first {FEW} alone stand beside it.\n"
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
            verdict = say(found, CLOSE, "refuted", "confirmed")
            verdict = verdict if len(theirs.keys() & ours.keys()) > 1 else f"({verdict})"
            rows.append((network, f"{clips:,}", times, shown(found), _published(network), verdict))
    return rows


def _published(network: str) -> str:
    """The study's difference to the Light CNN, in points."""
    if (network, False) not in BEST:
        return "-"
    return f"{100 * (BEST[network, False].val_accuracy - BEST[LIGHT, False].val_accuracy):+.1f}"


def _against_scratch(results: Results) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for network, share in sorted({(cell.network, cell.share) for cell in results if cell.weights}):
        taught = _by_seed({cell: r for cell, r in results.items() if cell.weights}, network, share)
        scratch = _by_seed({cell: r for cell, r in results.items() if not cell.weights}, network, share)
        if scratch:
            found = subtract(taught, scratch)
            clips = next(iter(taught.values())).clips
            differences = shown(found)
            if len(taught.keys() & scratch.keys()) > FEW:
                differences += f"; the first {FEW}: {shown(subtract(_first(taught), _first(scratch)))}"
            row = (network, f"{share:.0%}", f"{clips:,}", differences, say(found, 0, "confirmed", "refuted"))
            rows.append((*row, _course(list(scratch.values())), _course(list(taught.values()))))
    return rows


def _by_seed(results: Results, network: str, share: float) -> dict[int, Result]:
    return {cell.seed: result for cell, result in results.items() if (cell.network, cell.share) == (network, share)}


def _first(results: Mapping[int, Result]) -> dict[int, Result]:
    return {seed: results[seed] for seed in sorted(results)[:FEW]}


def subtract(minuend: Mapping[int, Result], subtrahend: Mapping[int, Result]) -> Interval:
    """Of best validation accuracies by seed: of the seeds that both have where there are two or more (Student), else of
    the mean of each, as if it were that of one training (Newcombe)."""
    seeds = sorted(minuend.keys() & subtrahend.keys())
    if len(seeds) > 1:
        return mean_interval([minuend[s].best.val_accuracy - subtrahend[s].best.val_accuracy for s in seeds])
    return newcombe_interval(*_hits(minuend), *_hits(subtrahend))


def _hits(results: Mapping[int, Result]) -> tuple[int, int]:
    """Of the mean over the seeds, and the clips judged."""
    clips = next(iter(results.values())).val_clips
    return round(float(np.mean([result.best.val_accuracy for result in results.values()])) * clips), clips


def shown(difference: Interval) -> str:
    """In points."""
    mean, low, high = (100 * value for value in difference)
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def say(difference: Interval, limit: float, above: str, below: str) -> str:
    """What an interval says: `above` or `below` the limit, or that it does not tell."""
    _, low, high = difference
    return above if low > limit else below if high < limit else "not decided"


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
