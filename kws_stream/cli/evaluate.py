"""`kws-eval clips`: how often a model is right on a folder of word folders."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kws_stream.cli import add_model, parser, run
from kws_stream.errors import KwsError
from kws_stream.evaluation import Evaluation, evaluate_clips, list_labelled
from kws_stream.model import KeywordModel


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    command = parser("kws-eval", "Measure a model.")
    clips = command.add_subparsers(dest="what", required=True).add_parser("clips", help="accuracy on single words")
    clips.add_argument("folder", type=Path, metavar="DIR", help="holds a folder for each word; other words are unknown")
    add_model(clips)
    clips.add_argument("--json", action="store_true", help="one JSON object")
    clips.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the confusion matrix (needs matplotlib)")
    return command.parse_args(arguments)


def as_text(result: Evaluation) -> str:
    """The figures and the confusion matrix for a terminal."""
    low, high = result.interval
    width = max(map(len, result.labels))
    lines = [
        f"accuracy {result.accuracy:.4f}  95 % interval {low:.4f} to {high:.4f}  {result.clips} clips",
        "",
        f"{'':{width}}  recall  " + " ".join(f"{label[:5]:>5}" for label in result.labels) + "   (columns: answers)",
    ]
    for label, row in zip(result.labels, result.confusion, strict=True):
        recall = f"{result.recall[label]:6.3f}" if label in result.recall else "     -"
        lines.append(f"{label:{width}}  {recall}  " + " ".join(f"{count or '.':>5}" for count in row))
    return "\n".join(lines)


def plot(result: Evaluation, path: Path) -> None:
    """The confusion matrix as a picture, coloured by the share of each row."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise KwsError("--plot needs matplotlib; pip install matplotlib") from error
    count = len(result.labels)
    figure = Figure(figsize=(8, 7), layout="constrained")
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
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise KwsError(f"cannot write the plot {path}: {error}") from error


def command(options: argparse.Namespace) -> int:
    """Evaluate and print."""
    model = KeywordModel.load(options.model)
    clips = list_labelled(options.folder, model.metadata.labels)
    result = evaluate_clips(model, clips)
    print(json.dumps(result.to_json()) if options.json else as_text(result))
    if options.plot:
        plot(result, options.plot)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return run("kws-eval", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
