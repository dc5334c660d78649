"""`python benchmarks/quiet_hour.py --data DIR [--model M]`: what the speech gate saves where little is said, and costs.

An hour of a quiet room, four fifths of it without a word, made of validation recordings below `DIR/speech_commands`
and `DIR/speech`: single words and sentences, as loud as they were recorded, over faint hiss. The same spotter hears it
with the gate open all the time and with the gate of the model's file; printed is the processor time of both, and every
event that one of them has and the other does not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws_stream import GateConfig, KeywordEvent, KeywordModel, KeywordSpotter
from models.command import complete
from models.dataset import list_audio, list_clips
from models.markdown import table
from models.recordings import SAMPLE_RATE, read_mono

SPOKEN = 0.2
"""of the time, pauses within sentences included"""
WORDS = 0.4
"""of what is spoken: single words"""
HISS = 4.0
"""of 32768, RMS: -78 dB of full scale"""
BLOCK = 1280
"""samples, 80 ms"""
SAME_SECONDS = 0.5
"""two events of a keyword no farther apart are one"""


class Cost(NamedTuple):
    """Of one spotter for the whole recording."""

    cpu_percent: float
    inferences: int
    events: list[KeywordEvent]


def compose(words: Sequence[Path], sentences: Sequence[Path], seconds: float, seed: int = 0) -> NDArray[np.int16]:
    """`(n,)`: recordings in random order, with gaps of random length between, as long as `seconds`."""
    rng = np.random.default_rng(seed)
    recordings: list[NDArray[np.int16]] = []
    for paths, share in ((words, WORDS), (sentences, 1 - WORDS)):
        left = SPOKEN * share * seconds * SAMPLE_RATE
        while left > 0:
            recordings.append(read_mono(paths[rng.integers(len(paths))]))
            left -= len(recordings[-1])
    rng.shuffle(recordings)  # type: ignore[arg-type]
    count = round(seconds * SAMPLE_RATE)
    room = rng.normal(0, HISS, count)
    gaps = rng.dirichlet(np.ones(len(recordings) + 1)) * max(0, count - sum(map(len, recordings)))
    at = 0
    for gap, recording in zip(gaps, recordings, strict=False):
        at += int(gap)
        room[at : at + len(recording)] += recording[: count - at]
        at += len(recording)
    return room.round().clip(-32768, 32767).astype(np.int16)


def hear(model: KeywordModel, samples: NDArray[np.int16], gate: GateConfig | None) -> Cost:
    """Push `samples` `(n,)` block by block; `gate` None is that of the file."""
    spotter = KeywordSpotter(model, gate=gate)
    events: list[KeywordEvent] = []
    began = time.process_time()
    for start in range(0, len(samples), BLOCK):
        events += spotter.push(samples[start : start + BLOCK])
    spent = time.process_time() - began
    return Cost(100 * spent * SAMPLE_RATE / len(samples), spotter.inferences, events)


def missing(events: Sequence[KeywordEvent], others: Sequence[KeywordEvent]) -> list[KeywordEvent]:
    """Those of `events` that have no counterpart among `others`."""
    return [
        event
        for event in events
        if not any(other.keyword == event.keyword and abs(other.time - event.time) < SAME_SECONDS for other in others)
    ]


def command(options: argparse.Namespace) -> None:
    """Compose, hear twice, print."""
    model = KeywordModel.load(options.model)
    words = [clip.path for clip in list_clips(options.data / "speech_commands", "val")]
    samples = compose(words, list_audio(options.data / "speech" / "val"), 3600 * options.hours)
    found = {"open": hear(model, samples, GateConfig(mode=None)), "as the file says": hear(model, samples, None)}
    wide, gated = found.values()
    rows = [(name, f"{c.cpu_percent:.3f}", f"{c.inferences:,}", len(c.events)) for name, c in found.items()]
    less = wide.cpu_percent / gated.cpu_percent
    print(f"{model.name}, {options.hours:g} h, {SPOKEN:.0%} of it spoken: {less:.1f} times less with the gate\n")
    print(table(("gate", "CPU % of a core", "inferences", "events"), rows))
    for title, events in (
        ("lost by the gate", missing(wide.events, gated.events)),
        ("only with the gate", missing(gated.events, wide.events)),
    ):
        shown = ", ".join(f"{e.keyword} at {e.time:.2f} s ({e.score:.2f})" for e in events)
        print(f"\n{title}: {shown or 'none'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python benchmarks/quiet_hour.py", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech_commands/ and speech/")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--hours", type=float, default=1.0)
    options = parser.parse_args(arguments)
    return complete("quiet_hour", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
