"""`python -m export.operate MODEL -o OUT.onnx --streams A.flac B.flac --target-fa 5`: the operating point of a model.

Thresholds are chosen on composed streams of train or val (`models.compose`; A.jsonl lies beside A.flac) and written
into the file, with what they came to there. Held out: thresholds chosen on all streams but one, counted on that one,
each in its turn; what was chosen on a stream flatters it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import onnx

from export.onnx import replacing, save, update_checksums
from export.thresholds import Counts, Tally, alike, count, each, kept, place
from kws_stream import KeywordModel, zoo
from kws_stream.cli import add_alone, alone_of
from kws_stream.config import DecoderConfig
from kws_stream.evaluation import poisson_interval, wilson_interval
from kws_stream.trace import Replay
from models.command import complete
from models.decoders import read_stream
from models.markdown import table

Rule = Callable[[Tally, float], Counts]
RULES: dict[str, Rule] = {"each": each, "alike": alike, "kept": kept}
"""a threshold for each keyword, all of the file's moved by the same log-odds, or those of the file"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m export.operate", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="path to an .onnx file, or the name of one that ships")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx", help="may be MODEL itself")
    parser.add_argument("--streams", type=Path, nargs="+", required=True, metavar="STREAM.flac")
    parser.add_argument("--target-fa", type=float, default=5.0, metavar="N", help="false alarms an hour (%(default)g)")
    parser.add_argument(
        "--rule", choices=RULES, default="each", help="thresholds of their own, moved all alike, or kept as they are"
    )
    add_alone(parser)
    options = parser.parse_args(arguments)
    if not options.target_fa > 0:
        parser.error(f"--target-fa {options.target_fa:g}: expected more than 0")
    return options


def hold_out(tallies: Sequence[Tally], rule: Rule, target: float) -> tuple[int, int]:
    """Misses and alarms on each stream at what the others chose, added up."""
    figures = []
    for left, tally in enumerate(tallies):
        others = reduce(add, [other for number, other in enumerate(tallies) if number != left])
        figures.append(tally.at(rule(others, target)))
    return sum(misses for misses, _ in figures), sum(alarms for _, alarms in figures)


def describe(misses: int, alarms: int, whole: Tally) -> dict[str, Any]:
    """With 95 % intervals: Wilson's of the share that is missed, Garwood's of the rate."""
    share = [round(bound, 4) for bound in wilson_interval(misses, whole.words)]
    rate = [round(bound / whole.hours, 2) for bound in poisson_interval(alarms)]
    return {
        "frr": round(misses / whole.words, 4),
        "frr_interval": share,
        "fa_per_hour": round(alarms / whole.hours, 2),
        "fa_interval": rate,
    }


def choose(tallies: Sequence[Tally], rule: Rule, target: float) -> tuple[Counts, dict[str, Any]]:
    """Rows of SHIFTS for the keywords, and what they come to: on the streams, and held out where there are several."""
    whole = reduce(add, tallies)
    rows = rule(whole, target)
    figures = {"chosen_on": describe(*whole.at(rows), whole)}
    if len(tallies) > 1:
        figures["held_out"] = describe(*hold_out(tallies, rule, target), whole)
    return rows, figures


def operate(options: argparse.Namespace) -> str:
    """Choose, write, and say what came of it, as Markdown."""
    model = KeywordModel.load(options.model)
    before = alone_of(options.alone, model.metadata.decoder)
    tallies, streams = [], []
    for path in options.streams:
        trace, truth = read_stream(path, model)
        tallies.append(count(Replay(trace, before), before, truth.utterances))
        streams.append(truth.facts)
    told = [name for name in RULES if (name == "kept") == (options.rule == "kept")]
    found = {name: choose(tallies, RULES[name], options.target_fa) for name in told}
    rows, figures = found[options.rule]
    after = place(before, model.metadata.keywords, rows)
    whole = reduce(add, tallies)
    facts = {
        "target_fa_per_hour": None if options.rule == "kept" else options.target_fa,
        "rule": options.rule,
        "streams": streams,
        "words": whole.words,
        "hours": round(whole.hours, 3),
        **figures,
    }
    accuracy = {**model.metadata.accuracy, "operating_point": facts}
    with replacing(options.output) as part:
        save(onnx.load(zoo.find(options.model)), replace(model.metadata, decoder=after, accuracy=accuracy), part)
        KeywordModel.load(part)
    update_checksums(options.output)
    return report(found, after, model.metadata.keywords)


def report(found: dict[str, tuple[Counts, dict[str, Any]]], after: DecoderConfig, keywords: Sequence[str]) -> str:
    """The rules side by side, and the thresholds that were written."""
    lines = []
    for name, (_, figures) in found.items():
        for where, each_of in figures.items():
            missed = "{:.1%} ({:.1%} to {:.1%})".format(each_of["frr"], *each_of["frr_interval"])
            alarms = "{:.1f} ({:.1f} to {:.1f})".format(each_of["fa_per_hour"], *each_of["fa_interval"])
            lines.append((name, where.replace("_", " "), missed, alarms))
    thresholds = [(word, f"{after.of(word).threshold:.4f}") for word in keywords]
    head = ("rule", "measured", "missed", "false alarms and confusions an hour")
    return f"{table(head, lines)}\n\n{table(('keyword', 'threshold'), thresholds)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return complete("export.operate", lambda: print(operate(options)))


if __name__ == "__main__":
    sys.exit(main())
