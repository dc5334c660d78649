"""`kws-eval clips`: how often a model is right on a folder of word folders; `kws-eval stream`: on a long recording."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kws_stream.cli import add_model, evaluate_stream, parser, run
from kws_stream.cli.figures import new_figure, plot_confusion, plot_reliability, save
from kws_stream.evaluation import Evaluation, evaluate_clips, list_labelled
from kws_stream.model import KeywordModel


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    command = parser("kws-eval", "Measure a model.")
    what = command.add_subparsers(dest="what", required=True)
    evaluate_stream.add_parser(what)
    clips = what.add_parser("clips", help="accuracy on single words")
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


def command(options: argparse.Namespace) -> int:
    """Evaluate and print."""
    return evaluate_stream.command(options) if options.what == "stream" else evaluate_folder(options)


def evaluate_folder(options: argparse.Namespace) -> int:
    """Single words."""
    drawings = ((options.plot, plot_confusion), (options.reliability, plot_reliability))
    # Figures first: nobody waits for an evaluation to learn that matplotlib is missing.
    figures = [(path, draw, new_figure("--plot and --reliability")) for path, draw in drawings if path]
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
