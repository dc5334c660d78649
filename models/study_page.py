"""The study's tables as a page: each figure measured here, with the published one beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np

from kws_stream.evaluation import wilson_interval
from models.cells import Cell, Recipe, Result
from models.intervals import mean_interval
from models.markdown import table
from models.published import CLIPS
from models.study_comparison import compare, fullest
from models.study_findings import draw_findings

Results = Mapping[Cell, Result]


def draw_page(results: Results, recipe: Recipe, pictures: Mapping[str, str]) -> str:
    """Markdown of the tables that have a cell; `pictures` stand below "How much data", files by what they show."""
    whole = whole_of(results)
    sections = [
        ("The tables", _data(whole or results, recipe)),
        ("What it says", draw_findings(whole)),
        ("From scratch", compare(whole, pretrained=False)),
        ("Pretrained on ImageNet", _transfer(recipe) + compare(whole, pretrained=True)),
        ("How much data", _shares(whole) + "".join(f"\n![{shows}]({name})\n" for shows, name in pictures.items())),
        ("Cross-validation by speaker", _folds(results)),
        ("The Light CNN otherwise", _variants(results)),
    ]
    title = "# The study, measured again\n\nWritten by `python -m models.study`; nothing in it was entered by hand.\n"
    return title + "".join(f"\n## {name}\n\n{text}" for name, text in sections if text.strip())


def whole_of(results: Results) -> dict[Cell, Result]:
    """Those of the 80/20 tables."""
    return {cell: result for cell, result in results.items() if not cell.variant and cell.fold == 0}


def learning_of(results: Results) -> dict[tuple[str, str], dict[int, list[float]]]:
    """Validation accuracies by network and start, and by clips, of those that learnt from several counts of clips."""
    accuracies: dict[tuple[str, str], dict[int, list[float]]] = {}
    for cell, result in whole_of(results).items():
        by_clips = accuracies.setdefault((cell.network, cell.start), {})
        by_clips.setdefault(result.clips, []).append(result.best.val_accuracy)
    return {name: by_clips for name, by_clips in accuracies.items() if len(by_clips) > 1}


def courses_of(results: Results) -> dict[str, dict[int, dict[str, list[list[float]]]]]:
    """Validation accuracies by epoch, of networks that were trained from scratch and pretrained: by clips and start."""
    whole = whole_of(results)
    courses: dict[str, dict[int, dict[str, list[list[float]]]]] = {}
    for cell, result in whole.items():
        if any(other.network == cell.network and other.start != cell.start for other in whole):
            starts = courses.setdefault(cell.network, {}).setdefault(result.clips, {})
            starts.setdefault(cell.start, []).append([epoch.val_accuracy for epoch in result.epochs])
    return courses


def _data(results: Results, recipe: Recipe) -> str:
    most, held = max(result.clips for result in results.values()), next(iter(results.values())).val_clips
    devices = ", ".join(sorted({result.device for result in results.values()}))
    return (
        f"Ours learns from {most:,} clips at most and is judged on {held:,} of other speakers (a fifth); the study had "
        f"{CLIPS:,} in all, so the figures differ by their data before anything else. Batches of "
        f"{recipe.batch}, Adam without weight decay at {_rates(recipe)}, no augmentation, until the validation "
        f"loss has not fallen for {recipe.patience} epochs (at most {recipe.max_epochs}). Figures of the epoch of the "
        f"lowest validation loss, in brackets the 95 % interval of the accuracy (Wilson); those of the training are "
        f"means over its epoch. Device: {devices}, {recipe.precision}; the study's "
        f"is not known, so its seconds are another's; ours depend on what else the machine did.\n{_subsets(results)}"
    )


def _subsets(results: Results) -> str:
    """Which networks were not given all of the clips, and what that would have taken."""
    parts = [
        f"{cell.network} from {result.clips:,} (all: {result.epochs[-1].seconds / cell.share / 3600:.1f} h)"
        for cell, result in fullest({cell: r for cell, r in results.items() if not cell.weights}).items()
        if cell.share < 1
    ]
    if not parts:
        return ""
    return (
        f"\nNot all networks learnt from all clips; in brackets what that would have taken, by the epochs and seconds "
        f"of the training below: {', '.join(parts)}.\n"
    )


def _rates(recipe: Recipe) -> str:
    if recipe.trunk_rate == recipe.learning_rate:
        return f"{recipe.learning_rate:g}"
    return f"{recipe.learning_rate:g} ({recipe.trunk_rate:g} for networks with an ImageNet trunk, pretrained or not)"


def _transfer(recipe: Recipe) -> str:
    how = recipe.transfer
    if not how.wanted:
        return "All of the trunk learns from the first epoch on.\n\n"
    thaw = f" for {how.unfreeze_after} epochs" if how.unfreeze_after else ""
    held = "keep their statistics" if how.freeze_statistics else "go on counting"
    return (
        f"The first {how.freeze} blocks rest{thaw}; rates fall by {how.rate_decay:g} a block; batch norms {held}.\n\n"
    )


def _shares(results: Results) -> str:
    """Accuracy by share of the data, from scratch and pretrained, over the seeds."""
    if len({cell.share for cell in results}) < 2 and len({cell.seed for cell in results}) < 2:
        return ""
    rows = []
    for (network, start, share), group in _grouped(results, lambda cell: (cell.network, cell.start, cell.share)):
        rows.append((network, start, f"{share:.0%}", f"{group[0].clips:,}", _mean(group)))
    return _table(("network", "start", "share", "clips", "val acc. over the seeds"), rows)


def _folds(results: Results) -> str:
    plain = {c: r for c, r in results.items() if not c.variant and not c.weights and c.share == 1}
    rows = []
    for (network, seed), group in _grouped(plain, lambda cell: (cell.network, cell.seed)):
        if len(group) > 1:
            accuracies = ", ".join(f"{result.best.val_accuracy:.4f}" for result in group)
            rows.append((network, str(seed), accuracies, _mean(group)))
    return _table(("network", "seed", "val acc. of each fold", "over the folds"), rows) if rows else ""


def _variants(results: Results) -> str:
    varied = {cell.network for cell in results if cell.variant}
    plain = {c: r for c, r in results.items() if c.network in varied and c.fold == 0 and c.share == 1 and not c.weights}
    rows = []
    for (variant,), group in _grouped(plain, lambda cell: (cell.variant,)):
        epochs = ", ".join(str(result.best.number) for result in group)
        train = np.mean([result.best.train_accuracy for result in group])
        rows.append((variant or "as published", f"{train:.4f}", _mean(group), epochs))
    note = "\nThe binary loss asks of each label whether it is that; its values are of another scale, and left out.\n"
    return (
        _table(("what is different", "train acc.", "val acc. over the seeds", "best epoch"), rows) + note
        if rows
        else ""
    )


def _grouped(
    results: Results, key: Callable[[Cell], tuple[object, ...]]
) -> Iterable[tuple[tuple[object, ...], list[Result]]]:
    """Results by what their cells share, in the order of their keys."""
    ordered = sorted(results.items(), key=lambda item: tuple(map(str, key(item[0]))))
    for value, group in groupby(ordered, key=lambda item: key(item[0])):
        yield value, [result for _, result in group]


def _mean(group: Sequence[Result]) -> str:
    """Mean of the best accuracies with its 95 % interval (Student), or the only one with that of its clips (Wilson)."""
    values = [result.best.val_accuracy for result in group]
    mean = float(np.mean(values))
    if len(values) > 1:
        _, low, high = mean_interval(values)
        return f"{mean:.4f} ({low:.4f} to {high:.4f}; {len(values)} trainings)"
    low, high = wilson_interval(round(mean * group[0].val_clips), group[0].val_clips)
    return f"{mean:.4f} ({low:.4f} to {high:.4f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return f"{table(head, rows)}\n" if rows else ""
