"""`kws-submit`: a label for every clip of a flat folder, as a submission to Kaggle wants it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kws_stream import zoo
from kws_stream.cli import add_model, parser, run
from kws_stream.cli.evaluate import accuracy_line, confusion_lines
from kws_stream.errors import AudioError, SubmissionError
from kws_stream.evaluation import Evaluation
from kws_stream.labelling import label_clips
from kws_stream.model import KeywordModel
from kws_stream.partial import PartialSubmission, origin_of
from kws_stream.submission import list_flat, read_solution, read_submission, score

SILENCE = "silence"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    command = parser("kws-submit", "Label every clip of a folder, or check a file of such labels.")
    command.add_argument("folder", type=Path, metavar="FOLDER", help="the clips lie in it, without folders between")
    add_model(command)
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("-o", "--output", type=Path, metavar="FILE", help="write a submission; run again, it goes on")
    what.add_argument("--check", type=Path, metavar="FILE", help="only check a submission against FOLDER")
    command.add_argument("--solution", type=Path, metavar="FILE", help="CSV with fname and label: print the accuracy")
    command.add_argument(
        "--unreadable",
        choices=("stop", SILENCE),
        default="stop",
        help="what a clip that cannot be read does: stop the run (what was done is kept), or count as silence",
    )
    command.add_argument(
        "--threads", type=positive, default=cores(), metavar="N", help="that work at once (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="the result as one JSON object")
    return command.parse_args(arguments)


def positive(text: str) -> int:
    """A number of one or more, for argparse."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def submit(options: argparse.Namespace, model: KeywordModel, names: Sequence[str]) -> dict[str, str]:
    """Write the submission, from where an earlier run stopped; label by clip."""
    labels = model.metadata.labels
    substitute = None if options.unreadable == "stop" else SILENCE
    if substitute and substitute not in labels:
        raise SubmissionError(f"--unreadable {substitute}: the model has no such label; its labels: {' '.join(labels)}")
    origin = origin_of(zoo.find(options.model), options.folder)
    lenient = substitute is not None
    with PartialSubmission(options.output, origin, options.folder, names, labels, lenient) as partial:
        if partial.done:
            print(f"kws-submit: goes on after {partial.done} of {len(names)} clips", file=sys.stderr)
        try:
            complete(partial, model, options.threads, substitute)
        except AudioError as error:
            raise SubmissionError(
                f"{error}; what was done is kept ({partial.done} clips): mend or remove it and run again, or add "
                f"--unreadable {SILENCE}"
            ) from error
        except KeyboardInterrupt:
            message = f"stopped after {partial.done} of {len(names)} clips; the same command goes on from there"
            print(f"kws-submit: {message}", file=sys.stderr)
            raise
        return partial.finish()


def complete(partial: PartialSubmission, model: KeywordModel, threads: int, substitute: str | None) -> None:
    """Label the clips that have none yet; AudioError at one that cannot be read, unless it gets the `substitute`."""
    with progress(partial.done, partial.done + len(partial.remaining)) as advance:
        for batch in label_clips(model, partial.remaining, threads, substitute):
            partial.append(batch.labels)
            advance(len(batch.labels))
            for error in batch.unreadable if substitute else ():
                print(f"kws-submit: {error}; labelled {substitute}", file=sys.stderr)


@contextmanager
def progress(done: int, total: int) -> Iterator[Callable[[int], None]]:
    """What to call after so many clips more: it moves a bar where stderr is a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from kws_stream.cli.progress import progress_bar  # rich takes a while to import

    with progress_bar() as bar:
        task = bar.add_task("clips", total=total, completed=done)
        yield lambda count: bar.advance(task, count)


def as_text(path: Path, answers: Mapping[str, str], result: Evaluation | None) -> str:
    """For a terminal: what the file is, and how often it is right."""
    lines = [f"{path}: {len(answers)} clips, each once, in order, with labels of the model"]
    if result:
        lines += [accuracy_line(result), "", *confusion_lines(result)]
    return "\n".join(lines)


def as_json(path: Path, answers: Mapping[str, str], result: Evaluation | None) -> str:
    """The same for machines. A submission has no posteriors, so there is no calibration error."""
    figures = result.to_json() if result else {}
    figures.pop("ece", None)
    return json.dumps({"submission": str(path), "rows": len(answers), **figures})


def command(options: argparse.Namespace) -> int:
    """Write or check, and print."""
    model = KeywordModel.load(options.model)
    labels = model.metadata.labels
    names = list_flat(options.folder)
    # The solution first: nobody waits for a submission to learn that there is nothing to compare it with.
    truth = read_solution(options.solution, frozenset(names), labels) if options.solution else None
    answers = submit(options, model, names) if options.output else read_submission(options.check, names, labels)
    result = score(answers, truth, labels) if truth else None
    print((as_json if options.json else as_text)(options.output or options.check, answers, result))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return run("kws-submit", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
