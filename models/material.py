"""What a stream is made of: the recordings of one split, and ways to draw from them without end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from kws_stream.errors import AudioError
from models.dataset import Clip, Split, list_audio, list_clips
from models.labels import KEYWORDS, UNKNOWN
from models.recordings import SAMPLE_RATE, list_sentences, load_impulse_responses, read_mono
from models.spoken import Floats, rms

T = TypeVar("T")
SEGMENT = (15.0, 60.0)
"""seconds of one noise before the next follows"""
CROSSFADE = SAMPLE_RATE // 2


@dataclass(frozen=True)
class Material:
    """Recordings of one split; nothing of another is among them."""

    split: Split
    keywords: Mapping[str, Sequence[Clip]]
    others: Sequence[Clip]
    """clips of words that are no keywords"""

    noise: Sequence[Path]
    sentences: Sequence[Path]
    """running speech without keywords"""

    responses: NDArray[np.float32]
    """`(rooms, n)` impulse responses"""


def gather(corpus: Path, noise: Path, speech: Path | None, rooms: Path | None, split: Split) -> Material:
    """The recordings of `split` in these folders; all but the corpus hold a folder of that name.

    Raises AudioError where one lacks it, or a keyword lacks clips.
    """
    clips = list_clips(corpus, split)
    keywords = {word: [clip for clip in clips if clip.word == word] for word in KEYWORDS}
    if missing := [word for word, own in keywords.items() if not own]:
        raise AudioError(f"{corpus}: expected clips of every keyword for {split}; there are none of {missing}")
    return Material(
        split,
        keywords,
        [clip for clip in clips if clip.label == UNKNOWN],
        list_audio(_of(noise, split)),
        list_sentences(_of(speech, split), speech / "transcripts.csv", KEYWORDS) if speech else [],
        load_impulse_responses(list_audio(_of(rooms, split))) if rooms else np.zeros((0, 1), np.float32),
    )


def _of(folder: Path, split: Split) -> Path:
    if not (folder / split).is_dir():
        raise AudioError(f"{folder}: expected a folder {split}/ in it, so that no stream mixes splits")
    return folder / split


class Deck(Generic[T]):
    """Things in a random order, all of them before any comes again."""

    def __init__(self, things: Sequence[T], rng: np.random.Generator) -> None:
        self._things = things
        self._rng = rng
        self._order: list[int] = []

    def draw(self) -> T:
        """The next one; a new order begins when all were drawn."""
        if not self._order:
            self._order = self._rng.permutation(len(self._things)).tolist()
        return self._things[self._order.pop()]


@dataclass(frozen=True)
class Stretch:
    """Where in the stream which noise is."""

    path: Path
    start: int
    stop: int
    """samples"""


class Ground:
    """Noise without end: pieces of the recordings at a level of 1 (RMS), each fading into the next."""

    def __init__(self, paths: Sequence[Path], rng: np.random.Generator) -> None:
        self._pieces = self._draw(Deck(paths, rng), rng)
        self._waiting = np.zeros(CROSSFADE, np.float32)
        self._position = 0

    def take(self, count: int) -> tuple[Floats, list[Stretch]]:
        """The next `count` samples `(count,)`, and the noises that begin in them."""
        parts, begun, missing = [np.zeros(0, np.float32)], [], count
        while missing:
            if len(self._waiting) <= CROSSFADE:
                begun.append(self._go_on())
            part = self._waiting[: min(missing, len(self._waiting) - CROSSFADE)]
            self._waiting = self._waiting[len(part) :]
            parts.append(part)
            self._position += len(part)
            missing -= len(part)
        return np.concatenate(parts), begun

    def _go_on(self) -> Stretch:
        """The rest of one piece fades while the next begins."""
        path, piece = next(self._pieces)
        rising = np.linspace(0, 1, CROSSFADE, dtype=np.float32)
        # Equal power: the two are not correlated.
        mixed = self._waiting * np.sqrt(1 - rising) + piece[:CROSSFADE] * np.sqrt(rising)
        self._waiting = np.concatenate((mixed, piece[CROSSFADE:]))
        return Stretch(path, self._position, self._position + len(self._waiting))

    @staticmethod
    def _draw(deck: Deck[Path], rng: np.random.Generator) -> Iterator[tuple[Path, Floats]]:
        idle = 0
        while True:
            path = deck.draw()
            signal = read_mono(path)
            seconds = rng.uniform(*SEGMENT)
            start = int(rng.integers(max(1, len(signal) - round(seconds * SAMPLE_RATE))))
            piece = signal[start : start + round(seconds * SAMPLE_RATE)].astype(np.float32) / np.float32(32768)
            idle += 1
            if len(piece) > 2 * CROSSFADE and piece.any():
                idle = 0
                yield path, piece / rms(piece)
            elif idle > 1000:
                raise AudioError(f"{path.parent}: expected noise of a second or more, and found none")
