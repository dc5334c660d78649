"""`python -m models.decoders STREAM.flac --model M`: what a decoder makes of the same posteriors, on a composed stream.

The network hears the stream once. Each decoder has its thresholds swept; its misses are reported where it keeps to so
many false alarms an hour. STREAM.jsonl lies beside the audio, as `models.compose` wrote it, of train or val.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kws_stream import DecoderConfig, FileSource, KeywordModel, KeywordThreshold
from kws_stream.decoder import Scorer, Scores
from kws_stream.errors import KwsError
from kws_stream.operation import measure, shifted, sweep
from kws_stream.scoring import judge
from kws_stream.trace import Replay, Trace, record
from kws_stream.truth import Truth, read_truth
from models.command import complete
from models.markdown import table

AIMS = (1.0, 5.0, 20.0, 60.0)
"""false alarms an hour"""
LONGEST_MS = 1000
"""over which Chen's confidence takes the highest score (their w_max)"""
ALONE = (1.0, 2.0, 4.0)
SMOOTHING_MS = (240, 400, 560)

Change = Callable[[Trace, DecoderConfig, Scores], Scores]
"""what a decoder makes of the smoothed posteriors of the keywords"""


class Decoder(NamedTuple):
    """A way to events that is compared."""

    name: str
    config: DecoderConfig
    change: Change | None = None


def argmax(trace: Trace, config: DecoderConfig, scores: Scores) -> Scores:
    """Only the most probable label has a score, silence and unknown words among the labels."""
    labels = tuple(map(str, range(len(trace.labels))))  # none is left out by its name
    passed = trace.passed
    smoothed = Scorer(labels, trace.stride, config, trace.sample_rate).push(
        trace.posteriors[passed], trace.ends[passed].tolist()
    )
    rows = [
        [score if score >= max(every) else 0.0 for score in row]
        for row, every in zip(scores.rows, smoothed.rows, strict=True)
    ]
    return Scores(rows, scores.fresh)


def chen(trace: Trace, config: DecoderConfig, scores: Scores) -> Scores:
    """Confidence of a keyword of one label: the highest smoothed posterior of late (Chen, Parada, Heigold 2014,
    equation 3)."""
    recent: deque[Sequence[float]] = deque(maxlen=max(1, round(LONGEST_MS * trace.sample_rate / 1000 / trace.stride)))
    rows = []
    for score, fresh in zip(scores.rows, scores.fresh, strict=True):
        if fresh:
            recent.clear()
        recent.append(score)
        rows.append([max(course) for course in zip(*recent, strict=True)])
    return Scores(rows, scores.fresh)


def decoders(smoothing_ms: float) -> list[Decoder]:
    """Those that are compared."""
    plain = DecoderConfig(smoothing_ms, KeywordThreshold(0.8, 0.8, 0))
    shipped = replace(plain, default=KeywordThreshold(0.8, 0.4, 500))
    return [
        Decoder("argmax", plain, argmax),
        Decoder("Chen 2014", plain, chen),
        Decoder("hysteresis, refractory", shipped),
        *(Decoder(f"the same, alone {weight:g}", replace(shipped, alone=weight)) for weight in ALONE),
    ]


def row_of(decoder: Decoder, trace: Trace, truth: Truth) -> list[str]:
    """Misses for each aim; duplicates, and delay from the end of the word, at the last."""
    replay = Replay(trace, decoder.config)
    if decoder.change:
        replay.scores = decoder.change(trace, decoder.config, replay.scores)
    points = sweep(replay, decoder.config, truth.utterances)
    row, config = [], None
    for aim in AIMS:
        allowed = [point for point in points if point.false_alarm_rate <= aim]
        best = max(allowed, key=lambda point: (point.hits, point.shift), default=None)
        row.append(f"{best.miss_rate:.1%}".replace("%", " %") if best else "-")
        config = shifted(decoder.config, best.shift) if best else None
    if config is None:
        return [*row, "-", "-"]
    events = replay.events(config)
    judged = judge(events, truth.utterances)
    delays = [1000 * (event.time - truth.utterances[index].end) for index, event in judged.hits.items()]
    middle, late = np.percentile(delays, (50, 95)) if delays else (0.0, 0.0)
    twice = measure(events, truth.utterances, trace.seconds).duplicates
    return [*row, str(twice), f"{middle:.0f}, {late:.0f}"]


def compare(trace: Trace, truth: Truth) -> str:
    """The table, in Markdown."""
    aims = [f"missed at {aim:g} FA/h" for aim in AIMS]
    head = ["smoothing ms", "decoder", *aims, f"twice at {AIMS[-1]:g}", "ms from word end, p50, p95"]
    rows = []
    for smoothing in SMOOTHING_MS:
        for decoder in decoders(smoothing):
            rows.append([f"{smoothing:g}", decoder.name, *row_of(decoder, trace, truth)])
    return table(head, rows)


def read_stream(audio: Path, model: KeywordModel) -> tuple[Trace, Truth]:
    """One pass over a stream by which something may be chosen; KwsError for another, which is for reports alone."""
    truth = read_truth(audio.with_suffix(".jsonl"), model.metadata.keywords)
    if truth.facts.get("split") not in ("train", "val"):
        raise KwsError(
            f"{audio}: what is chosen is chosen on streams of train or val, and this one is of "
            f"{truth.facts.get('split')}; compose one with --split val"
        )
    return record(model, FileSource(audio)), truth


def command(options: argparse.Namespace) -> None:
    """Compare, print, and write where it is wanted."""
    told = compare(*read_stream(options.audio, KeywordModel.load(options.model)))
    print(told)
    if options.output:
        try:
            options.output.write_text(told + "\n", encoding="utf-8")
        except OSError as error:
            raise KwsError(f"{options.output}: cannot be written ({error.strerror})") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m models.decoders", description=__doc__)
    parser.add_argument("audio", type=Path, metavar="STREAM.flac")
    parser.add_argument("--model", required=True)
    parser.add_argument("-o", "--output", type=Path, metavar="TABLE.md", help="also write the table here")
    options = parser.parse_args(arguments)
    return complete("models.decoders", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
