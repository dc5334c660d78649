"""What `export.roster` found, as a table and a picture."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.markdown import table
from models.plots import BLUE, GREY, PERCENT, VERMILION, tidy

HALO = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0}
"""behind names that lie on lines"""


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


def draw_page(entries: Sequence[Entry], training: argparse.Namespace, picture: str, floor: float) -> str:
    """Markdown, the most accurate first; `training` is the recipe that all were trained by, `floor` the accuracy of
    whoever always answers what is most frequent."""
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
                f"{entry.accuracy:.3f} ({low:.3f} to {high:.3f})" + " †" * (low <= floor),
                entry.paper or "ours",
            )
        )
    streaming = ", ".join(f"`{entry.name}`" for entry in entries if entry.streaming)
    head = ("network", "parameters", "M multiplies", "CPU ms", "accuracy", "paper")
    return f"""# Every network, trained alike

Written by `python -m export.roster`; nothing in it was entered by hand.

{len(entries)} networks, each once, by `models.train` with `{_options(training)}`:
a modest recipe that is the same for all and made for none. It tells what a network learns soon, not what it can learn:
the files in the zoo took many times as long. Accuracy on the {entries[0].clips:,} validation words (without silence),
which also chose the epoch, with their 95 % interval (Wilson); another seed would move it, too. Who always gives
the most frequent answer is right in {floor:.3f} of them: a dagger stands where the interval reaches down to that, and
so nothing shows that the network learnt anything by this recipe.

Multiplies are those of an answer; CPU ms is what it takes in onnxruntime on one thread, all networks in turns, the
fastest of several rounds. Streaming networks ({streaming or "none here"}) go on from their states, so that an answer
costs them the frames of a stride and not a whole context. `adaptive` costs as much where it goes on behind its first
exit. A star: no other network is both cheaper and more accurate.

![Accuracy over multiplies and over processor time]({picture})

{table(head, rows)}
"""


SHARED = ("data", "noise", "rir", "words", "speech", "epochs", "passes", "batch", "learning_rate", "seed", "set")
"""options of `models.train` that tell what all networks learnt from, and how"""


def _options(training: argparse.Namespace) -> str:
    """Those of SHARED; folders by their names."""
    told = []
    for name in SHARED:
        value = getattr(training, name)
        values = value if isinstance(value, list) else [] if value is None else [value]
        if values:
            shown = " ".join(each.name if isinstance(each, Path) else str(each) for each in values)
            told.append(f"--{name.replace('_', '-')} {shown}")
    return " ".join(told)


def draw_pareto(entries: Sequence[Entry], floor: float, named: Collection[str] = ()) -> Figure:
    """Accuracy over multiplies and over processor time: the networks that nothing beats joined and named, those of
    `named`, too, and a line for `floor`."""
    figure = Figure(figsize=(9, 11), layout="constrained")
    panels = figure.subplots(2, 1, sharey=True)
    names = {"multiplies": "multiplies of an answer", "milliseconds": "CPU ms of an answer in onnxruntime"}
    for axes, (cost, name) in zip(panels, names.items(), strict=True):
        _draw_front(axes, entries, cost, named)
        axes.axhline(floor, color=GREY, linewidth=0.8, linestyle=":")
        tidy(axes, f"accuracy over {name} (dotted: always the most frequent label)", name, "accuracy")
    return figure


def _draw_front(axes: Axes, entries: Sequence[Entry], cost: str, named: Collection[str]) -> None:
    front = find_front(entries, cost)
    others = [entry for entry in entries if entry not in front]
    places, heights = _points(front, cost)
    axes.plot(*_points(others, cost), "o", color=GREY, alpha=0.5)
    axes.step(places, heights, where="post", color=BLUE, linewidth=1, alpha=0.6)
    axes.plot(places, heights, "o", color=VERMILION)
    left: dict[str, Any] = {"xytext": (-4, 5), "ha": "right"}
    below: dict[str, Any] = {"xytext": (0, -11), "ha": "center", "color": GREY, "bbox": HALO}
    for group, look in ((front, left), ([entry for entry in others if entry.name in named], below)):
        for entry, place, height in zip(group, *_points(group, cost), strict=True):
            axes.annotate(entry.name, (place, height), textcoords="offset points", fontsize=8, **look)
    axes.set_xscale("log")
    axes.set_xlim(left=min(places) / 10)  # room for the name of the cheapest
    axes.yaxis.set_major_formatter(PERCENT)
    axes.grid(alpha=0.25)


def _points(entries: Sequence[Entry], cost: str) -> tuple[list[float], list[float]]:
    return [getattr(entry, cost) for entry in entries], [entry.accuracy for entry in entries]
