"""`python -m models.report RUN`: what a training came to, as pictures and one page that can be passed on.

Read are the best checkpoint of the run, its TensorBoard events, and the validation split; the test split is for
`kws-eval` alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator, ScalarEvent

from kws_stream.cli import page
from kws_stream.errors import KwsError, ModelError
from models.answers import Answers, answer_validation, rank_speakers
from models.calibration import fit_temperature
from models.command import complete
from models.complexity import count_multiplies
from models.page import clip_table, confusion_table, facts, recall_table, speaker_table
from models.registry import parameter_count, trainable_count
from models.task import KeywordTask, load_checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TAGS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
WORST_CLIPS, WORST_SPEAKERS = 40, 10
DPI = 192
TEMPLATE = Path(__file__).with_name("report.html")


@dataclass(frozen=True)
class Run:
    """What a training left behind."""

    name: str
    task: KeywordTask
    """of the best checkpoint"""
    best: int
    """epoch of that, counted from 1"""
    history: dict[str, dict[int, float]]
    """scalars by TensorBoard's tag and epoch"""
    ended: datetime
    pace: float | None
    """seconds an epoch; None when there was but one"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m models.report", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run of models.train")
    parser.add_argument("--data", type=Path, help="corpus whose validation split to judge on (default: the run's own)")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="where to write (default: RUN/report)")
    return parser.parse_args(arguments)


def load_run(folder: Path) -> Run:
    """The best checkpoint and its history; ModelError when the folder is none of models.train."""
    path = folder / "best.ckpt"
    if not path.is_file():
        raise ModelError(f"no {path}; expected the folder of a run of models.train")
    events = read_events(folder)
    task = load_checkpoint(path)
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    best = checkpoint["epoch"] + 1
    steps = checkpoint["global_step"] // best  # an epoch
    times = [event.wall_time for event in events["val/loss"]]
    return Run(
        name=folder.resolve().name,
        task=task,
        best=best,
        # A learning rate is written at the first step of its epoch, everything else at the last.
        history={tag: {event.step // steps + 1: event.value for event in series} for tag, series in events.items()},
        ended=datetime.fromtimestamp(times[-1]),
        pace=float(np.median(np.diff(times))) if len(times) > 1 else None,
    )


def read_events(folder: Path) -> dict[str, list[ScalarEvent]]:
    """The scalars of a run by tag, one an epoch; ModelError when there are none.

    What a resumed or restarted training wrote again replaces what was written of that step and after it before.
    """
    accumulator = EventAccumulator(str(folder), size_guidance={SCALARS: 0}).Reload()
    tags = accumulator.Tags()["scalars"]
    if missing := [tag for tag in TAGS if tag not in tags]:
        raise ModelError(f"{folder}: no TensorBoard events of {', '.join(missing)}; expected those of models.train")
    return {tag: _unbroken(accumulator.Scalars(tag)) for tag in tags if tag in TAGS or tag.startswith("lr-")}


def _unbroken(events: Sequence[ScalarEvent]) -> list[ScalarEvent]:
    kept: list[ScalarEvent] = []
    for event in sorted(events, key=lambda event: event.wall_time):
        while kept and kept[-1].step >= event.step:
            kept.pop()
        kept.append(event)
    return kept


def find_corpus(task: KeywordTask, data: Path | None) -> Path:
    """`data`, or the folder that the checkpoint names; ModelError when that is none, or not on this machine."""
    if data is not None:
        return data
    named = task.hparams["corpus"]
    if named is None:
        raise ModelError("the checkpoint names no corpus; give a folder of word folders (--data)")
    if not Path(named).is_dir():
        raise ModelError(f"the corpus of the run, {named}, is not there; give a folder of word folders (--data)")
    return Path(named)


def summarise(run: Run, answers: Answers) -> list[tuple[str, str, str]]:
    """The figures at the top: name, value, note."""
    task, result = run.task, answers.evaluation
    hits = int(result.confusion.trace())
    epochs = max(run.best, *run.history["val/loss"])
    seconds = task.config.samples(task.frames) / task.config.sample_rate
    counted = count_multiplies(task.network, task.frames, task.config.bins)
    return [
        ("accuracy", page.percent(result.accuracy), f"{page.interval(hits, result.clips)}, {result.clips:,} clips"),
        ("loss", f"{answers.losses.mean():.3f}", "cross entropy, nats"),
        ("calibration error", page.percent(result.reliability.error), "ECE as trained"),
        ("best epoch", f"{run.best} of {epochs}", f"{run.pace:.0f} s each" if run.pace else ""),
        ("parameters", f"{parameter_count(task.network):,}", f"{trainable_count(task.network):,} trainable"),
        ("multiplies", f"{counted / 1e6:.3g} M", f"{counted:,} an inference"),
        ("context", f"{seconds:.2f} s", f"{task.frames} x {task.config.bins} {task.config.kind}"),
    ]


def load_plots() -> ModuleType:
    """`models.plots`; KwsError without matplotlib."""
    try:
        from models import plots
    except ImportError as error:
        raise KwsError(f"a report needs matplotlib ({error}); pip install matplotlib") from error
    return plots


def draw(plots: ModuleType, run: Run, answers: Answers) -> dict[str, Figure]:
    """The pictures by name."""
    measured = {"as trained": answers.evaluation.reliability, "with a temperature": answers.scaled.reliability}
    return {
        "curves": plots.draw_curves(run.history, run.best),
        "confusion": plots.draw_confusion(answers.evaluation),
        "recall": plots.draw_recall(answers.evaluation),
        "speakers": plots.draw_speakers(rank_speakers(answers)),
        "reliability": plots.draw_reliability(measured),
    }


def compose(run: Run, answers: Answers, corpus: Path) -> dict[str, str]:
    """The parts of the page that are no picture, by their names in the template."""
    logged = run.history["val/accuracy"].get(run.best)
    noted = "" if logged is None else f", where the training noted an accuracy of {page.percent(logged)},"
    subtitle = (
        f"{run.name}, trained until {run.ended:%Y-%m-%d %H:%M}: the checkpoint of epoch {run.best}{noted} on the "
        f"validation split of {corpus.resolve().name}. "
        "A split that also chose the checkpoint flatters it: expect somewhat less of new speakers."
    )
    speakers = [speaker for speaker in rank_speakers(answers) if speaker.mistakes]
    worst = np.argsort(-answers.losses, kind="stable")[:WORST_CLIPS].tolist()
    return {
        "subtitle": escape(subtitle),
        "tiles": page.tiles(summarise(run, answers)),
        "counts": confusion_table(answers.evaluation),
        "labels": recall_table(answers.evaluation),
        "worst_speakers": speaker_table(speakers[:WORST_SPEAKERS]),
        "temperature": f"{fit_temperature(answers.logits, answers.truth):.3g}",
        "clips": clip_table(answers, worst),
        "facts": facts(run.task.hparams["provenance"] or {}),
    }


def report(folder: Path, data: Path | None = None, output: Path | None = None) -> Path:
    """Judge, draw, write, and return the path of the page."""
    plots = load_plots()
    run = load_run(folder)
    corpus = find_corpus(run.task, data)
    answers = answer_validation(run.task, corpus)
    output = output or folder / "report"
    parts = compose(run, answers, corpus)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, figure in draw(plots, run, answers).items():
            figure.savefig(output / f"{name}.png", dpi=DPI)
            parts[name] = page.picture(output / f"{name}.png", name, figure.get_figwidth())
        path = output / "index.html"
        text = page.fill(f"{run.task.hparams['architecture']}: {run.name}", parts, TEMPLATE)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KwsError(f"cannot write the report to {output}: {error}") from error
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return complete("models.report", lambda: print(report(options.run, options.data, options.output)))


if __name__ == "__main__":
    sys.exit(main())
