"""`python -m models.operating_point --model M --data DIR --noise DIR`: what thresholds and smoothing buy and cost.

Each recording holds the ten keywords once, by ten speakers, over noise. Of the validation split, unless one asks for
another: thresholds are never chosen on test clips.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from kws_stream import DecoderConfig, KeywordEvent, KeywordModel, KeywordSpotter, KeywordThreshold
from kws_stream.errors import AudioError
from kws_stream.evaluation import poisson_interval
from kws_stream.scoring import judge
from kws_stream.truth import Utterance
from models.command import complete
from models.compose import compose
from models.dataset import Split, list_audio, list_clips
from models.labels import KEYWORDS
from models.recordings import Samples, list_sentences, read_mono

SNR_DB = 15.0


@dataclass(frozen=True)
class Score:
    """Events against the truth."""

    words: int = 0
    """words spoken"""
    hits: int = 0
    """words spotted in time"""
    confusions: int = 0
    """events of another keyword than the one that was spoken just then"""
    outside: int = 0
    """events when nothing was spoken"""
    duplicates: int = 0
    """further events for a word that was a hit already"""

    def __add__(self, other: Score) -> Score:
        return Score(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def score(events: Sequence[KeywordEvent], words: Sequence[Utterance]) -> Score:
    """Compare events with the words of one recording."""
    found = judge(events, words)
    return Score(len(words), len(found.hits), len(found.confusions), len(found.false_alarms), len(found.duplicates))


def stitch(corpus: Path, noise: Path, split: Split, count: int) -> Iterator[tuple[Samples, list[Utterance]]]:
    """`count` recordings, the same ones every time."""
    clips = list_clips(corpus, split)
    ground = np.concatenate([read_mono(path) for path in list_audio(noise)])
    for seed in range(count):
        rng = np.random.default_rng(seed)
        chosen, speakers = [], set()
        for keyword in rng.permutation(KEYWORDS):
            others = [clip for clip in clips if clip.word == keyword and clip.speaker not in speakers]
            if not others:
                raise AudioError(f"{corpus}: expected clips of every keyword by ten speakers; {keyword!r} lacks one")
            chosen.append(others[rng.integers(len(others))])
            speakers.add(chosen[-1].speaker)
        yield compose(chosen, ground, SNR_DB, gap=(0.5, 1.5), seed=seed)


def sweep(model: KeywordModel, recordings: Sequence[tuple[Samples, list[Utterance]]]) -> None:
    """Print a row for each pair of smoothing and threshold."""
    print("smoothing_ms threshold  words hits confusions outside duplicates")
    for smoothing in (160, 240, 320, 400):
        for threshold in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98):
            decoder = DecoderConfig(smoothing, KeywordThreshold(threshold, threshold / 2))
            spotter = KeywordSpotter(model, decoder=decoder)
            total = Score()
            for samples, words in recordings:
                spotter.reset()
                total += score(spotter.push(samples), words)
            print(f"{smoothing:12} {threshold:9}  " + "{:5} {:4} {:10} {:7} {:10}".format(*astuple(total)))


def count_alarms(model: KeywordModel, paths: Sequence[Path]) -> None:
    """Print how often the model, as it ships, fires on sentences without keywords."""
    spotter = KeywordSpotter(model)
    alarms, seconds = 0, 0.0
    for path in paths:
        spotter.reset()
        alarms += len(spotter.push(read_mono(path)))
        seconds += spotter.seconds
    hours = seconds / 3600
    low, high = poisson_interval(alarms)
    print(
        f"{alarms} false alarms in {seconds / 60:.1f} minutes of speech without keywords: "
        f"{alarms / hours:.0f} an hour (95 % interval {low / hours:.0f} to {high / hours:.0f})"
    )


def command(options: argparse.Namespace) -> None:
    """Sweep thresholds over stitched recordings, and count alarms on sentences where there are some."""
    model = KeywordModel.load(options.model)
    sweep(model, list(stitch(options.data, options.noise, options.split, options.recordings)))
    if options.speech:
        folder = options.speech / options.split
        count_alarms(model, list_sentences(folder, options.speech / "transcripts.csv", KEYWORDS))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m models.operating_point", description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of word folders")
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise of the same split")
    parser.add_argument("--speech", type=Path, help="folder with val/ and transcripts.csv: false alarms an hour, too")
    parser.add_argument("--split", choices=("train", "val"), default="val")
    parser.add_argument("--recordings", type=int, default=30)
    options = parser.parse_args(arguments)
    return complete("models.operating_point", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
