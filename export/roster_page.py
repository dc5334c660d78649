"""What `export.roster` found, as a table and a picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.markdown import table
from models.plots import BLUE, GREY, PERCENT, VERMILION, tidy


class Entry(NamedTuple):
    """A network, trained and measured."""

    name: str
    paper: str
    parameters: int
    """with batch-norm running statistics"""
    multiplies: int
    """of an answer: to a window, or by a streaming network to its next stride"""
    accuracy: float
    """on the validation words"""
    interval: tuple[float, float]
    """95 %, of these clips"""
    clips: int
    milliseconds: float
    """of processor time for an answer in onnxruntime"""
    streaming: bool


def find_front(entries: Sequence[Entry], cost: str) -> list[Entry]:
    """Those that no other beats in accuracy at the same `cost` (name of a field) or less, cheapest first."""
    front: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: (getattr(entry, cost), -entry.accuracy)):
        if not front or entry.accuracy > front[-1].accuracy:
            front.append(entry)
    return front


def draw_page(entries: Sequence[Entry], training: argparse.Namespace, picture: str) -> str:
    """Markdown, the most accurate first; `training` is the recipe that all were trained by."""
    fronts = {name: {entry.name for entry in find_front(entries, name)} for name in ("multiplies", "milliseconds")}
    rows = []
    for entry in sorted(entries, key=lambda entry: -entry.accuracy):
        low, high = entry.interval
        rows.append(
            (
                f"`{entry.name}`",
                f"{entry.parameters:,}",
                f"{entry.multiplies / 1e6:,.1f}" + " *" * (entry.name in fronts["multiplies"]),
                f"{entry.milliseconds:.3f}" + " *" * (entry.name in fronts["milliseconds"]),
                f"{entry.accuracy:.3f} ({low:.3f} to {high:.3f})",
                entry.paper or "ours",
            )
        )
    streaming = ", ".join(f"`{entry.name}`" for entry in entries if entry.streaming)
    head = ("network", "parameters", "M multiplies", "CPU ms", "accuracy", "paper")
    epochs, rate, batch = training.epochs, training.learning_rate, training.batch
    return f"""# Every network, trained alike

Written by `python -m export.roster`; nothing in it was entered by hand.

{len(entries)} networks, each once (seed {training.seed}), {epochs} epochs in batches of {batch}, one cycle up to a
learning rate of {rate:g}{"".join(f", {setting}" for setting in training.set)}: a modest recipe that is the same for all
and made for none. It tells what a network learns soon, not what it can learn: the files in the zoo took many times as
long, and large networks are served worst. Accuracy on the {entries[0].clips:,} validation words (without silence),
which also chose the epoch, with their 95 % interval (Wilson); another seed would move it, too.

Multiplies are those of an answer; CPU ms is what it takes in onnxruntime on one thread, all networks in turns, the
fastest of several rounds. Streaming networks ({streaming or "none here"}) go on from their states, so that an answer
costs them the frames of a stride and not a whole context. A star: no other network is both cheaper and more accurate.

![Accuracy over multiplies and over processor time]({picture})

{table(head, rows)}
"""


def draw_pareto(entries: Sequence[Entry]) -> Figure:
    """Accuracy over multiplies and over processor time, the networks that nothing beats joined and named."""
    figure = Figure(figsize=(9, 10), layout="constrained")
    panels = figure.subplots(2, 1, sharey=True)
    names = {"multiplies": "multiplies of an answer", "milliseconds": "CPU ms of an answer in onnxruntime"}
    for axes, (cost, name) in zip(panels, names.items(), strict=True):
        _draw_front(axes, entries, cost)
        tidy(axes, f"accuracy over {name}", name, "accuracy on validation words")
    return figure


def _draw_front(axes: Axes, entries: Sequence[Entry], cost: str) -> None:
    front = find_front(entries, cost)
    others = [entry for entry in entries if entry not in front]
    axes.plot(
        [getattr(entry, cost) for entry in others], [entry.accuracy for entry in others], "o", color=GREY, alpha=0.5
    )
    places = [getattr(entry, cost) for entry in front]
    axes.step(places, [entry.accuracy for entry in front], where="post", color=BLUE, linewidth=1, alpha=0.6)
    axes.plot(places, [entry.accuracy for entry in front], "o", color=VERMILION)
    for entry, place in zip(front, places, strict=True):
        note: dict[str, Any] = {"xytext": (-4, 5), "textcoords": "offset points", "fontsize": 8, "ha": "right"}
        axes.annotate(entry.name, (place, entry.accuracy), **note)
    axes.set_xscale("log")
    axes.set_xlim(left=min(places) / 10)  # room for the name of the cheapest
    # What is far below the others would press them together; it stands in the table.
    best = max(entry.accuracy for entry in entries)
    axes.set_ylim(max(min(entry.accuracy for entry in entries), best - 0.25) - 0.01, best + 0.015)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.grid(alpha=0.25)
