"""The sound of a room: listened to, kept, and words spoken into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws_stream.evaluation import read_clip
from kws_stream.sources import Block, Source
from kws_stream.truth import Utterance

Floats = NDArray[np.float32]
KEPT_SECONDS = 60
"""of the ambient sound, in which the positives are spoken"""
GAP_SECONDS = 1.5
"""of it in front of each of them"""


class Excerpt:
    """Another source, for so many seconds; keeps how it began."""

    def __init__(self, source: Source, seconds: float = inf) -> None:
        self.name, self.overruns, self.lost = source.name, 0, 0
        self._source, self._seconds = source, seconds
        self._pieces: list[Floats] = []

    @property
    def beginning(self) -> Floats:
        """`(n,)`, of KEPT_SECONDS or little more."""
        return np.concatenate(self._pieces)

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        """Those of the source. Raises as it does."""
        wanted, heard = self._seconds * sample_rate, 0
        for block in self._source.blocks(sample_rate):
            samples = block.samples[: int(min(len(block.samples), wanted - heard))]
            if heard < KEPT_SECONDS * sample_rate:
                self._pieces.append(samples)
            heard += len(samples)
            self.lost += block.lost
            yield Block(samples, block.lost)
            if heard >= wanted:
                break
        self.close()

    def close(self) -> None:
        self._source.close()


class Sewn:
    """Clips one after another in the ambient sound of a room."""

    overruns = lost = 0

    def __init__(self, name: str, clips: Sequence[tuple[Path, str]], ambient: Floats) -> None:
        """`clips`: each with its keyword."""
        self.name = name
        self.utterances: list[Utterance] = []
        """where they are, as far as `blocks` came"""
        self._clips, self._ambient = clips, ambient

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        """A clip a block, with the gap in front of it. Raises AudioError for a clip that cannot be read."""
        gap = np.zeros(round(GAP_SECONDS * sample_rate), np.float32)
        at = 0
        for path, keyword in self._clips:
            clip = read_clip(path, sample_rate)
            onset, at = at + len(gap), at + len(gap) + len(clip)
            self.utterances.append(Utterance(keyword, onset / sample_rate, at / sample_rate))
            yield Block(self._in_room(np.concatenate((gap, clip)), at))
        yield Block(self._in_room(gap, at + len(gap)))

    def close(self) -> None: ...

    def _in_room(self, samples: Floats, stop: int) -> Floats:
        places = np.arange(stop - len(samples), stop) % len(self._ambient)
        mixed: Floats = np.clip(samples + self._ambient[places], -1, 1)
        return mixed
