"""The pictures of a report. No colour that some cannot tell apart: blue and vermilion, of Okabe and Ito 2008."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter
from scipy.stats import binom

from kws_stream.evaluation import Evaluation, Reliability, wilson_interval

if TYPE_CHECKING:
    from models.answers import Speaker  # torch takes a while to import, and pictures need none

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
STARTS = {"scratch": BLUE, "pretrained": VERMILION}
PERCENT = PercentFormatter(1, decimals=0)


def draw_curves(history: Mapping[str, Mapping[int, float]], best: int) -> Figure:
    """Loss, accuracy and learning rate from `history`, scalars by TensorBoard's tag and epoch; `best` is the epoch of
    the checkpoint."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    for axes, figure_of in ((loss, "loss"), (accuracy, "accuracy")):
        for split, name, colour in (("train", "training", VERMILION), ("val", "validation", BLUE)):
            _line(axes, history[f"{split}/{figure_of}"], color=colour, label=name)
        axes.legend(frameon=False)
    accuracy.yaxis.set_major_formatter(PERCENT)
    for tag in (tag for tag in history if tag.startswith("lr-")):
        _line(rate, history[tag], color=GREY)
    rate.set_ylim(bottom=0)
    for axes, title in ((loss, "loss (nats)"), (accuracy, "accuracy"), (rate, "learning rate")):
        tidy(axes, title, "epoch")
        axes.grid(alpha=0.25)
        _mark(axes, best, "best")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def draw_confusion(result: Evaluation) -> Figure:
    """Counts and shares of each row: what is right in blue, what is wrong in orange on a scale of its own, since the
    few mistakes are what one looks for."""
    count = len(result.labels)
    totals = result.confusion.sum(1)
    shares = result.confusion / totals[:, None].clip(1)
    diagonal = np.eye(count, dtype=bool)
    worst = max(0.05, shares[~diagonal].max())
    figure = Figure(figsize=(8.3, 7.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.ma.masked_where(~diagonal, shares), cmap="Blues", vmin=0, vmax=1)
    axes.imshow(np.ma.masked_where(diagonal | (shares == 0), shares), cmap="Oranges", vmin=0, vmax=worst)
    for row, column in zip(*np.nonzero(result.confusion), strict=True):
        share = shares[row, column]
        colour = "white" if share > (0.5 if row == column else 0.6 * worst) else "black"
        place: dict[str, Any] = {"ha": "center", "color": colour}
        axes.text(column, row - 0.02, result.confusion[row, column], va="bottom", fontsize=9.5, **place)
        axes.text(column, row + 0.05, f"{share:.1%}", va="top", fontsize=7, **place)
    axes.set_xticks(range(count), result.labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), [f"{label} ({total})" for label, total in zip(result.labels, totals, strict=True)])
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#dddddd", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    tidy(axes, f"confusion of {result.clips:,} clips", "answer", "truth (clips)")
    axes.spines[:].set_visible(False)
    return figure


def draw_recall(result: Evaluation) -> Figure:
    """Recall of each label with its 95 % interval (Wilson 1927), best first; labels without clips are left out."""
    ranked = sorted(result.recall.items(), key=lambda item: item[1], reverse=True)
    figure = Figure(figsize=(8, 0.9 + 0.34 * len(ranked)), layout="constrained")
    axes = figure.subplots()
    lowest = 1.0
    for place, (label, recall) in enumerate(ranked):
        index = result.labels.index(label)
        hits, clips = int(result.confusion[index, index]), int(result.confusion[index].sum())
        low, high = wilson_interval(hits, clips)
        lowest = min(lowest, low)
        axes.plot([low, high], [place, place], color=BLUE, linewidth=2.5, alpha=0.45, solid_capstyle="butt")
        axes.plot(recall, place, "o", color=BLUE, markersize=6)
        axes.annotate(f"{hits}/{clips}", (1.01, place), xycoords=("axes fraction", "data"), fontsize=8.5, va="center")
    _mark(axes, result.accuracy, f"all {result.accuracy:.1%}")
    axes.set_yticks(range(len(ranked)), [label for label, _ in ranked])
    axes.set_ylim(len(ranked) - 0.5, -0.5)
    axes.set_xlim(np.floor(lowest * 20) / 20, 1.005)
    axes.xaxis.set_major_formatter(PERCENT)
    axes.grid(axis="x", alpha=0.25)
    tidy(axes, "recall by label, 95% intervals", "recall")
    return figure


def draw_speakers(speakers: Sequence[Speaker]) -> Figure:
    """How many speakers are understood how well, and how many would be if all were understood alike: then each clip
    of each is recognised with the probability of the accuracy over all, and the rest is chance."""
    share = sum(speaker.hits for speaker in speakers) / sum(speaker.clips for speaker in speakers)
    observed, expected = np.zeros(11), np.zeros(11)  # 0 to <10 %, ..., 90 to <100 %, 100 %
    for speaker in speakers:
        observed[speaker.hits * 10 // speaker.clips] += 1
        hits = np.arange(speaker.clips + 1)
        np.add.at(expected, hits * 10 // speaker.clips, binom.pmf(hits, speaker.clips, share))
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(11), observed, color=BLUE, width=0.85)
    look: dict[str, Any] = {"color": VERMILION, "markeredgecolor": "white", "markersize": 7, "clip_on": False}
    axes.plot(range(11), expected, "D", label="expected if all were understood alike", **look)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    shares = [*(f"{low}-{low + 9}" for low in range(0, 100, 10)), "100"]
    axes.set_xticks(range(11), [f"{share}\n({n:.0f})" for share, n in zip(shares, observed, strict=True)])
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    tidy(axes, f"accuracy of {len(speakers):,} speakers", "clips recognised, % (speakers)", "speakers")
    return figure


def draw_reliability(measured: Mapping[str, Reliability]) -> Figure:
    """Accuracy by confidence, of several ways to compute posteriors by name, over how many answers each bin holds."""
    figure = Figure(figsize=(6, 5.6), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    looks = ((BLUE, "o"), (VERMILION, "D"))
    for shift, ((name, bins), (colour, marker)) in enumerate(zip(measured.items(), looks, strict=False)):
        filled = bins.count > 0
        confidence, accuracy, count = bins.confidence[filled], bins.accuracy[filled], bins.count[filled]
        hits = np.rint(accuracy * count).astype(int)
        low, high = np.array([wilson_interval(*pair) for pair in zip(hits.tolist(), count.tolist(), strict=True)]).T
        axes.vlines(confidence, low, high, color=colour, alpha=0.35, linewidth=2)
        axes.plot(confidence, accuracy, marker, color=colour, markersize=5, label=f"{name}: ECE {bins.error:.1%}")
        width = 1 / len(bins.count)
        left = (np.arange(len(bins.count)) + 0.1 + 0.4 * shift) * width
        counts.bar(left, bins.count, 0.4 * width, align="edge", color=colour)
    axes.legend(frameon=False, loc="upper left")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    counts.set_yscale("log")
    counts.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PERCENT)
    tidy(axes, "reliability, 95% intervals", "", "answers that are right")
    tidy(counts, "", "confidence: posterior of the answer", "clips")
    return figure


def draw_learning(accuracies: Mapping[tuple[str, str], Mapping[int, Sequence[float]]]) -> Figure:
    """Accuracy by the clips that were learnt from, of networks and starts: the mean over the seeds, and every seed as a
    point. A start has its colour, a network its line and its mark."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    networks = dict.fromkeys(network for network, _ in accuracies)
    looks = dict(zip(networks, itertools.cycle((("-", "o"), ("--", "D"), (":", "s"), ("-.", "^"))), strict=False))
    for (network, start), by_clips in accuracies.items():
        (style, marker), colour = looks[network], STARTS[start]
        clips = sorted(by_clips)
        axes.plot(
            clips, [np.mean(by_clips[count]) for count in clips], style, color=colour, label=f"{network}, {start}"
        )
        for count in clips:
            axes.plot([count] * len(by_clips[count]), by_clips[count], marker, color=colour, alpha=0.5, markersize=4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(PERCENT)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    tidy(axes, "accuracy on other speakers", "clips to learn from")
    return figure


def draw_courses(courses: Mapping[int, Mapping[str, Sequence[Sequence[float]]]]) -> Figure:
    """Validation accuracy by epoch: a panel for each number of clips to learn from, a line for each training, a colour
    for each start."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    panels = figure.subplots(1, len(courses), sharey=True, squeeze=False)
    for axes, (clips, by_start) in zip(panels.flat, sorted(courses.items()), strict=True):
        for start, lines in sorted(by_start.items()):
            for number, line in enumerate(lines):
                epochs = dict(enumerate(line, 1))
                _line(axes, epochs, color=STARTS[start], alpha=0.75, label=None if number else start)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_formatter(PERCENT)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="lower right")
        tidy(axes, f"{clips:,} clips to learn from", "epoch", "accuracy on other speakers" * (axes is panels[0, 0]))
    return figure


def _line(axes: Axes, values: Mapping[int, float], **look: Any) -> None:
    """Values by epoch; the points themselves only while they are few."""
    axes.plot(list(values), list(values.values()), marker="o" if len(values) < 30 else "", markersize=3.5, **look)


def _mark(axes: Axes, x: float, note: str) -> None:
    """A dotted line from bottom to top, with a note above it."""
    axes.axvline(x, color="black", linewidth=0.8, linestyle=":")
    axes.annotate(note, (x, 1), xycoords=("data", "axes fraction"), fontsize=8.5, ha="center", va="bottom")


def tidy(axes: Axes, title: str, x: str, y: str = "") -> None:
    """Title and names of the axes, and no frame."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=16)  # above the notes of _mark
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
