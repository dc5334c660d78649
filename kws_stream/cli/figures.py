"""The pictures of `kws-eval`. matplotlib is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kws_stream.errors import KwsError
from kws_stream.evaluation import Evaluation, poisson_interval, wilson_interval
from kws_stream.operation import Point

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(wanted_by: str) -> Figure:
    """KwsError without matplotlib, which names the options that want it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise KwsError(f"{wanted_by} need matplotlib; pip install matplotlib") from error
    return Figure(figsize=(8, 7), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write the picture; KwsError when that cannot be done."""
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise KwsError(f"cannot write the plot {path}: {error}") from error


def plot_confusion(result: Evaluation, figure: Figure) -> None:
    """The confusion matrix, coloured by the share of each row."""
    count = len(result.labels)
    axes = figure.subplots()
    shares = result.confusion / result.confusion.sum(1, keepdims=True).clip(1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(count):
        for column in range(count):
            if result.confusion[row, column]:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(
                    column, row, result.confusion[row, column], ha="center", va="center", color=colour, fontsize=8
                )
    axes.set_xticks(range(count), result.labels, rotation=45)
    axes.set_yticks(range(count), result.labels)
    axes.set(xlabel="answer", ylabel="truth")
    low, high = result.interval
    axes.set_title(f"accuracy {result.accuracy:.3f} (95 %: {low:.3f} to {high:.3f}), {result.clips} clips")
    figure.colorbar(image, label="share of the row")


def plot_reliability(result: Evaluation, figure: Figure) -> None:
    """Accuracy over confidence with 95 % intervals, and the number of answers below."""
    reliability = result.reliability
    bins = len(reliability.count)
    filled = reliability.count > 0
    confidence, accuracy, count = (
        values[filled] for values in (reliability.confidence, reliability.accuracy, reliability.count)
    )
    bounds = np.array([wilson_interval(round(share * n), n) for share, n in zip(accuracy, count.tolist(), strict=True)])
    whiskers = np.abs(bounds - accuracy[:, None]).T  # (2, filled bins): down, up
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    upper.plot((0, 1), (0, 1), color="grey", linestyle="--", label="calibrated")
    upper.errorbar(confidence, accuracy, whiskers, fmt="o", capsize=3, label="answers, 95 % intervals")
    upper.set(ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1.02))
    upper.set_title(f"calibration error {reliability.error:.3f}, {result.clips} clips")
    upper.legend(loc="lower right")
    lower.bar((np.flatnonzero(filled) + 0.5) / bins, count, width=0.9 / bins)
    lower.set(xlabel="posterior of the answer", ylabel="answers", yscale="log", ylim=(0.5, None))


def plot_det(curve: Sequence[Point], points: Mapping[float, Point | None], default: Point, figure: Figure) -> None:
    """Misses over false alarms an hour, with 95 % intervals of the marked points; none at all is drawn at the left."""
    axes = figure.subplots()
    least = 0.5 / default.hours  # half an alarm: there is no zero on a logarithmic axis
    rates = [max(point.false_alarm_rate, least) for point in curve]
    axes.plot(rates, [point.miss_rate for point in curve], color="#0072B2", label="all thresholds moved alike")
    marked = [(point, f"at most {aim:g} an hour") for aim, point in points.items() if point]
    for (point, name), colour in zip(
        [*marked, (default, "default")], [*["#0072B2"] * len(marked), "#D55E00"], strict=True
    ):
        low, high = (bound / point.hours for bound in poisson_interval(point.false_alarms))
        below, above = wilson_interval(point.words - point.hits, point.words)
        x, y = max(point.false_alarm_rate, least), point.miss_rate
        axes.plot((max(low, least), max(high, least)), (y, y), color=colour, alpha=0.35, linewidth=2)
        axes.plot((x, x), (below, above), color=colour, alpha=0.35, linewidth=2)
        axes.plot(x, y, "o" if name != "default" else "D", color=colour, label=f"{name}: {y:.1%} missed")
    axes.set(xscale="log", xlabel="false alarms an hour", ylabel="keywords missed", ylim=(0, None))
    axes.set_title(f"{default.words} keywords, {default.hours:.2f} hours outside them; 95 % intervals")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.25)
    axes.legend()
