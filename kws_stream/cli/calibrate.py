"""`kws-calibrate`: thresholds for this room, measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path

from kws_stream.calibration import Calibration, calibrate
from kws_stream.cli import add_model, add_vad, gate_of, parser, run
from kws_stream.microphone import MicrophoneSource
from kws_stream.model import KeywordModel
from kws_stream.sources import FileSource, Source

SHOWN = 10
"""false alarms that are listed, at most"""


def positive(text: str) -> float:
    """An option's value above 0, or a ValueError, which argparse reports."""
    if (value := float(text)) > 0:
        return value
    raise ValueError


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    command = parser("kws-calibrate", "Find thresholds for a room by listening to it while no keyword is spoken.")
    add_model(command)
    command.add_argument(
        "--ambient", required=True, metavar="FILE|mic", help="what sounds there: a recording, or the microphone now"
    )
    command.add_argument(
        "--target-fa", type=positive, default=0.5, metavar="N", help="false alarms an hour (default: %(default)s)"
    )
    command.add_argument(
        "--positives", type=Path, metavar="DIR", help="clips in word folders: how many are heard there"
    )
    command.add_argument("-o", "--output", type=Path, default=Path("profile.toml"), help="(default: %(default)s)")
    command.add_argument(
        "--minutes", type=positive, help="how long to listen (default: the whole recording, 10 to the microphone)"
    )
    command.add_argument("--device", metavar="NAME|ID", help="recording device for mic: number or part of its name")
    add_vad(command)
    command.add_argument("--json", action="store_true", help="one JSON object")
    return command.parse_args(arguments)


def command(options: argparse.Namespace) -> int:
    """Listen, write the profile, tell."""
    model = KeywordModel.load(options.model)
    source: Source
    seconds: float
    if options.ambient == "mic":
        source, seconds = MicrophoneSource(options.device), 60 * (options.minutes or 10)
        print(f"kws-calibrate: {source.name}, for {seconds / 60:g} minutes; say no keyword", file=sys.stderr)
    else:
        source, seconds = FileSource(options.ambient), 60 * options.minutes if options.minutes else inf
    result = calibrate(
        model,
        source,
        options.target_fa,
        seconds=seconds,
        positives=options.positives,
        gate=gate_of(options.vad, model.metadata.gate),
    )
    result.profile(model).write(options.output)
    if options.json:
        keywords = {word: result.config.of(word).threshold for word in model.metadata.keywords}
        print(json.dumps({**result.to_json(), "thresholds": keywords, "profile": str(options.output)}))
    else:
        print("\n".join([*as_text(result), "", *threshold_lines(result, model), "", f"written: {options.output}"]))
    return 0


def as_text(result: Calibration) -> list[str]:
    """What was measured, and what it is worth."""
    lines = [
        f"{result.ambient}: {duration(result.hours)} without keywords",
        rate_line(result, "with the model's own thresholds", len(result.before)),
        *(f"    {event.time:9.2f} s  {event.keyword:8} {event.score:.3f}" for event in result.before[:SHOWN]),
        *([f"    and {len(result.before) - SHOWN} more"] if len(result.before) > SHOWN else []),
        rate_line(result, "with those found for this room", len(result.now)),
        rate_line(result, "found on one half, counted on the other", result.held_out),
        "",
        f"{duration(result.hours)} of ambient can promise no better than {result.promise:.3g} false alarms an hour"
        + (f"; for {result.target:g} it takes {duration(result.hours_needed)} without one" * (not enough(result))),
    ]
    if heard := result.positives:
        missed, low, high = heard.missed
        lines.append(
            f"of {heard.words} keywords {missed:.1%} are missed (95 % interval {low:.1%} "
            f"to {high:.1%}); with the model's own thresholds {1 - heard.before / heard.words:.1%}"
        )
    return lines


def enough(result: Calibration) -> bool:
    """Whether the recording could show that the target holds."""
    return result.promise <= result.target


def rate_line(result: Calibration, name: str, alarms: int) -> str:
    """Alarms, an hour, and the interval."""
    rate, low, high = result.rate(alarms)
    return f"{name:40} {alarms:5} false alarms, {rate:7.2f} an hour (95 % interval {low:.2f} to {high:.2f})"


def threshold_lines(result: Calibration, model: KeywordModel) -> list[str]:
    """A line for each keyword."""
    lines = [f"{'keyword':12} threshold  before"]
    for word in model.metadata.keywords:
        lines.append(f"{word:12} {result.config.of(word).threshold:9.5f} {result.default.of(word).threshold:7.3f}")
    return lines


def duration(hours: float) -> str:
    """In the unit that one would use."""
    return f"{hours:.1f} hours" if hours >= 1.5 else f"{60 * hours:.1f} minutes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return run("kws-calibrate", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
