"""`kws-eval clips`: how often a model is right on a folder of word folders."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kws_stream.cli import add_model, parser, run
from kws_stream.errors import KwsError
from kws_stream.evaluation import Evaluation, evaluate_clips, list_labelled, wilson_interval
from kws_stream.model import KeywordModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    command = parser("kws-eval", "Measure a model.")
    clips = command.add_subparsers(dest="what", required=True).add_parser("clips", help="accuracy on single words")
    clips.add_argument("folder", type=Path, metavar="DIR", help="holds a folder for each word; other words are unknown")
    add_model(clips)
    clips.add_argument("--json", action="store_true", help="one JSON object")
    clips.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the confusion matrix (needs matplotlib)")
    clips.add_argument(
        "--reliability", type=Path, metavar="FILE.png", help="draw accuracy over posterior (needs matplotlib)"
    )
    return command.parse_args(arguments)


def as_text(result: Evaluation) -> str:
    """The figures and the confusion matrix for a terminal."""
    reliability = result.reliability
    calibration = f"ECE {reliability.error:.4f}  mean posterior of the answers {reliability.mean_confidence:.4f}"
    return "\n".join([accuracy_line(result), calibration, "", *confusion_lines(result)])


def accuracy_line(result: Evaluation) -> str:
    """How often the answers are right, and how sure that is."""
    low, high = result.interval
    return f"accuracy {result.accuracy:.4f}  95 % interval {low:.4f} to {high:.4f}  {result.clips} clips"


def confusion_lines(result: Evaluation) -> list[str]:
    """A line for each label: its recall, and the counts of the answers."""
    width = max(map(len, result.labels))
    head = f"{'':{width}}  recall  " + " ".join(f"{label[:5]:>5}" for label in result.labels) + "   (columns: answers)"
    lines = [head]
    for label, row in zip(result.labels, result.confusion, strict=True):
        recall = f"{result.recall[label]:6.3f}" if label in result.recall else "     -"
        lines.append(f"{label:{width}}  {recall}  " + " ".join(f"{count or '.':>5}" for count in row))
    return lines


def new_figure() -> Figure:
    """KwsError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise KwsError("--plot and --reliability need matplotlib; pip install matplotlib") from error
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


def command(options: argparse.Namespace) -> int:
    """Evaluate and print."""
    drawings = ((options.plot, plot_confusion), (options.reliability, plot_reliability))
    # Figures first: nobody waits for an evaluation to learn that matplotlib is missing.
    figures = [(path, draw, new_figure()) for path, draw in drawings if path]
    model = KeywordModel.load(options.model)
    clips = list_labelled(options.folder, model.metadata.labels)
    result = evaluate_clips(model, clips)
    print(json.dumps(result.to_json()) if options.json else as_text(result))
    for path, draw, figure in figures:
        draw(result, figure)
        save(figure, path)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return run("kws-eval", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
