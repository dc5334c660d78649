"""What a corpus holds: classes, lengths, levels, what is broken, and what stands in two splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log10, sqrt
from pathlib import Path
from typing import get_args

import numpy as np

from kws_stream.errors import AudioError
from models.dataset import AUDIO_SUFFIXES, BACKGROUND, Clip, Split, list_clips
from models.duplicates import Match, find_duplicates
from models.labels import SILENCE, label_of
from models.recordings import SAMPLE_RATE, Samples, read_mono, shown

UNREADABLE, EMPTY, SHORT, SILENT = "unreadable", "no samples", "too short", "digital silence"
PROBLEMS = (UNREADABLE, EMPTY, SHORT, SILENT)
QUANTILES = {"least": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "most": 1.0}
QUIETEST_DB = -100.0
"""level of digital silence; one step of 16 bits is at -90"""


@dataclass(frozen=True)
class Corpus:
    """The files of a corpus, none of them opened."""

    root: Path
    splits: Mapping[Split, Sequence[Clip]]
    noise: Sequence[Path]
    """the long recordings in `_background_noise_`, which the study counts as a class"""

    @property
    def files(self) -> int:
        return sum(map(len, self.splits.values())) + len(self.noise)

    @cached_property
    def words(self) -> dict[str, int]:
        """Files by word, the most frequent first; `_background_noise_` is one, too."""
        return _ranked([clip.word for clips in self.splits.values() for clip in clips] + [BACKGROUND] * len(self.noise))

    @cached_property
    def labels(self) -> dict[str, int]:
        """Files by the label that each would have in the 12-label task, the most frequent first."""
        counts: Counter[str] = Counter()
        for word, count in self.words.items():
            counts[class_of(word)] += count
        return _ranked(counts.elements())


@dataclass(frozen=True, slots=True)
class Measured:
    """A clip that was decoded, or could not be."""

    clip: Clip
    split: Split
    seconds: float = 0.0
    peak: float = 0.0
    """largest sample, 1 at full scale"""
    rms: float = 0.0
    problem: str = ""
    """one of PROBLEMS, or empty"""
    detail: str = ""
    """what the decoder said"""

    @property
    def clipped(self) -> bool:
        """Whether samples lie at the end of the scale: louder ones were perhaps cut."""
        return self.peak >= 32767 / 32768


def class_of(word: str) -> str:
    """The label of a word folder in the 12-label task; `_background_noise_` is silence."""
    return SILENCE if word == BACKGROUND else label_of(word)


def list_corpus(root: Path) -> Corpus:
    """All clips below `root`, split as `models.dataset` says; AudioError when there are none."""
    splits: dict[Split, list[Clip]] = {}
    failures = []
    for split in get_args(Split):
        try:
            splits[split] = list_clips(root, split)
        except AudioError as error:  # a corpus may lack a split
            failures.append(error)
    if not splits:
        raise failures[0]
    noise = [path for path in sorted((root / BACKGROUND).glob("*")) if path.suffix.lower() in AUDIO_SUFFIXES]
    return Corpus(root, splits, noise)


def measure_corpus(corpus: Corpus, shortest: float) -> list[Measured]:
    """Decode every clip; those of less than `shortest` seconds are too short."""
    clips = [(clip, split) for split, found in corpus.splits.items() for clip in found]
    return [measure(clip, split, shortest) for clip, split in shown(clips, f"measuring {len(clips)} clips")]


def measure(clip: Clip, split: Split, shortest: float) -> Measured:
    """Length and level of a clip, and what is wrong with it."""
    try:
        samples = read_mono(clip.path)
    except AudioError as error:
        return Measured(clip, split, problem=UNREADABLE, detail=str(error).removeprefix(f"{clip.path}: "))
    if not len(samples):
        return Measured(clip, split, problem=EMPTY)
    floats = samples / 32768
    seconds, peak, rms = len(samples) / SAMPLE_RATE, float(np.abs(floats).max()), sqrt(float(np.mean(floats**2)))
    problem = SHORT if seconds < shortest else SILENT if not peak else ""
    return Measured(clip, split, seconds, peak, rms, problem)


def find_across(measured: Sequence[Measured]) -> list[Match]:
    """Clips of a split that sound the same as one of an earlier split (train, val, test), the most alike first."""
    found: list[Match] = []
    earlier: list[Path] = []
    for split in get_args(Split):
        own = [one.clip.path for one in measured if one.split == split and one.problem not in (UNREADABLE, EMPTY)]
        found += find_duplicates(own, earlier)
        earlier += own
    return sorted(found, key=lambda match: -match.similarity)


def choose_examples(measured: Sequence[Measured]) -> dict[str, Samples]:
    """Word -> its clip of median level, of the first split that has the word without a problem; sorted by word."""
    by_word: dict[str, list[Measured]] = {}
    for one in measured:
        if not one.problem:
            by_word.setdefault(one.clip.word, []).append(one)
    examples = {}
    for word in sorted(by_word):
        own = [one for one in by_word[word] if one.split == by_word[word][0].split]
        examples[word] = read_mono(sorted(own, key=lambda one: one.rms)[len(own) // 2].clip.path)
    return examples


def figures(measured: Sequence[Measured]) -> dict[str, list[float]]:
    """Quantiles of duration in seconds and of RMS and peak in dB, of the clips that have sound."""
    sound = [one for one in measured if one.peak]
    columns = {
        "seconds": [one.seconds for one in measured if one.seconds],
        "RMS, dB": [decibels(one.rms) for one in sound],
        "peak, dB": [decibels(one.peak) for one in sound],
    }
    return {name: np.quantile(values, list(QUANTILES.values())).tolist() for name, values in columns.items() if values}


def count_problems(measured: Sequence[Measured]) -> dict[str, int]:
    """How many clips have each of them; clipping is none, but worth knowing."""
    counts = Counter(one.problem for one in measured)
    return {**{problem: counts[problem] for problem in PROBLEMS}, "clipped": sum(one.clipped for one in measured)}


def place(path: Path, root: Path) -> str:
    """Where a clip lies in its corpus; a page travels, and the rest of its path means nothing elsewhere."""
    return path.relative_to(root).as_posix()


def decibels(level: float) -> float:
    """Of an amplitude, 1 being full scale; QUIETEST_DB for what lies below."""
    return max(QUIETEST_DB, 20 * log10(level)) if level > 0 else QUIETEST_DB


def _ranked(names: Iterable[str]) -> dict[str, int]:
    """How often each comes; the most frequent first, then by name."""
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))
