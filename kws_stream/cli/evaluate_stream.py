"""`kws-eval stream`: misses, false alarms and delays on a long recording whose truth is known."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws_stream.cli import add_alone, add_model, add_vad, alone_of, gate_of
from kws_stream.cli.figures import new_figure, plot_det, save
from kws_stream.errors import KwsError
from kws_stream.model import KeywordModel
from kws_stream.operation import Point
from kws_stream.profile import decoder_for
from kws_stream.stream_evaluation import Share, StreamEvaluation, evaluate_stream, read_shifts, snr_group
from kws_stream.truth import read_truth

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(to: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """`kws-eval stream`."""
    stream = to.add_parser("stream", help="misses and false alarms an hour on a long recording")
    stream.add_argument("audio", type=Path, metavar="AUDIO")
    stream.add_argument("truth", type=Path, metavar="TRUTH", help="JSON lines with keyword, onset and end in seconds")
    add_model(stream)
    stream.add_argument("--profile", type=Path, metavar="FILE", help="thresholds of kws-calibrate, not the model's own")
    add_vad(stream)
    add_alone(stream)
    stream.add_argument(
        "--points",
        type=Path,
        metavar="FILE.json",
        help="what --json printed of another stream: use the thresholds that were chosen there",
    )
    stream.add_argument("--json", action="store_true", help="one JSON object")
    stream.add_argument("--det", type=Path, metavar="FILE.png", help="draw misses over false alarms (needs matplotlib)")
    stream.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="a page with all of it, and each error to listen to (needs matplotlib)",
    )


def command(options: argparse.Namespace) -> int:
    """Evaluate and print."""
    # Figures first: nobody waits for an evaluation to learn that matplotlib is missing.
    figure = new_figure("--det and --html") if options.det or options.html else None
    model = KeywordModel.load(options.model)
    truth = read_truth(options.truth, model.metadata.keywords)
    result = evaluate_stream(
        model,
        options.audio,
        truth,
        decoder=alone_of(options.alone, decoder_for(model, options.profile)),
        gate=gate_of(options.vad, model.metadata.gate),
        chosen=read_points(options.points, model.fingerprint) if options.points else None,
    )
    print(json.dumps(result.to_json()) if options.json else as_text(result))
    if figure:
        plot_det(result.curve, result.points, result.point, figure)
    if figure and options.det:
        save(figure, options.det)
    if figure and options.html:
        from kws_stream.cli.stream_page import write_page

        write_page(result, figure, options.html)
    return 0


def read_points(path: Path, fingerprint: str) -> Mapping[float, float]:
    """Shifts by aim; KwsError when the file is none of `kws-eval stream --json`."""
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KwsError(f"{path}: cannot be read ({error}); expected what `kws-eval stream --json` printed") from error
    return read_shifts(values, fingerprint, str(path))


def as_text(result: StreamEvaluation) -> str:
    """For a terminal."""
    words, seconds = len(result.truth.utterances), result.trace.seconds
    lines = [
        f"{seconds / 3600:.2f} hours, {result.point.hours:.2f} of them outside of {words} keywords",
        "",
        f"{'':22} missed  95 % interval  false alarms/h  95 % interval     confused  twice",
        point_line("default thresholds", result.point),
        *(
            point_line(f"at most {aim:g} FA/h", point) if point else f"at most {aim:g} FA/h: no threshold reaches it"
            for aim, point in result.points.items()
        ),
    ]
    if words:
        clips, heard = result.recognised / words, 1 - result.point.miss_rate
        lines += [
            f"(thresholds of these points were chosen on {'this' if result.chosen is None else 'another'} stream)",
            "",
            *latency_lines(result),
            gate_line(result),
            f"as clips {clips:.1%} of the keywords are recognised, in the stream {heard:.1%}: gap {clips - heard:+.1%}",
        ]
    else:
        lines += ["", gate_line(result)]
    for title, shares in groups(result).items():
        lines += ["", *share_lines(title, shares)]
    causes = Counter(result.truth.cause(event.time).other for event in result.judged.false_alarms)
    lines += ["", "false alarms during: " + (", ".join(f"{n} {cause}" for cause, n in causes.most_common()) or "none")]
    return "\n".join(lines)


def point_line(name: str, point: Point) -> str:
    """One operating point."""
    figures = point.to_json()
    (low, high), (below, above) = figures["frr_interval"], figures["fa_interval"]
    missed = f"{point.miss_rate:6.1%}  {low:5.1%} to {high:5.1%}" if point.words else f"{'-':>6}{'':16}"
    return (
        f"{name:22} {missed}  {point.false_alarm_rate:14.2f}  "
        f"{below:6.2f} to {above:7.2f}  {point.confusions:8}  {point.duplicates:5}"
    )


def latency_lines(result: StreamEvaluation) -> list[str]:
    """Quantiles, in milliseconds."""
    lines = []
    for name, values in (
        ("onset", result.latency(lambda spoken: spoken.onset)),
        ("end", result.latency(lambda spoken: spoken.end)),
    ):
        shown = ", ".join(f"{quantile} {1000 * value:.0f} ms" for quantile, value in values.items())
        lines.append(f"latency from the {name} of a word: {shown or 'nothing was heard'}")
    return lines


def gate_line(result: StreamEvaluation) -> str:
    """What the gate saves and costs."""
    return f"the gate saves {result.trace.saved:.1%} of the inferences and costs {len(result.lost_to_gate)} words"


def groups(result: StreamEvaluation, speakers: int = 10) -> dict[str, list[Share]]:
    """The tables of a report; of the speakers only those who are missed most, by the lower end of the interval. None
    without keywords."""
    if not result.truth.utterances:
        return {}
    worst = sorted(result.grouped(lambda spoken: spoken.speaker), key=lambda share: -share.interval[0])
    return {
        "signal to noise, dB": result.grouped(snr_group),
        "keyword": result.grouped(lambda spoken: spoken.keyword),
        "speakers missed most": worst[:speakers],
    }


def share_lines(title: str, shares: list[Share]) -> list[str]:
    """A line for each group."""
    lines = [f"{title:22} missed  95 % interval  words"]
    for share in shares:
        low, high = share.interval
        lines.append(f"{share.name:22} {share.missed:6.1%}  {low:5.1%} to {high:5.1%}  {share.words:5}")
    return lines
