"""The audio around events: what was heard before, and what follows, with nothing lost in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws_stream.events import KeywordEvent
from kws_stream.history import Newest

Floats = NDArray[np.float32]


class AudioPiece(NamedTuple):
    """A stretch of the stream that belongs to an event; the pieces of one event adjoin."""

    event: KeywordEvent
    start: int
    """position of the first sample, counted since the stream began"""
    samples: Floats
    """`(n,)` in [-1, 1) at the model's sample rate; zeros where the device lost samples"""
    last: bool
    """no more will come for this event"""
    fired: bool = True
    """False for a near miss"""


@dataclass
class _Open:
    """An event whose audio is not complete."""

    event: KeywordEvent
    position: int
    """of the first sample that was not handed out"""
    stop: float
    fired: bool


class AudioTap:
    """From `pre_roll` seconds before each event to `post_roll` seconds after it, handed out as it comes.

    Together, the pieces of an event are the samples of the stream between these times, however it was cut into blocks.
    """

    def __init__(self, pre_roll: float, post_roll: float, sample_rate: int = 16_000, late: float = 0.0) -> None:
        """`post_roll` may be infinite. `late`: seconds by which an event may be older than the block that it comes
        with."""
        self._rate = sample_rate
        self._before = round(pre_roll * sample_rate)
        self._after = post_roll * sample_rate
        self._keep = self._before + round(late * sample_rate)
        self.reset()

    def reset(self) -> None:
        """As good as new."""
        self._kept = Newest()
        self._open: list[_Open] = []

    def push(
        self,
        samples: Floats,
        events: Sequence[KeywordEvent] = (),
        near_misses: Sequence[KeywordEvent] = (),
        last: bool = False,
    ) -> list[AudioPiece]:
        """A block `(n,)` and what fell in it -> what it completes of all events that are open; `last`: the stream ends,
        and with it every event."""
        self._kept.push(samples)
        for fired, fell in ((True, events), (False, near_misses)):
            for event in fell:
                at = round(event.time * self._rate)
                self._open.append(_Open(event, max(self._kept.start, at - self._before), at + self._after, fired))
        pieces = []
        for item in self._open:
            stop = max(item.position, int(min(item.stop, self._kept.stop)))
            done = last or stop >= item.stop
            if stop > item.position or done:
                piece = self._kept.cut(item.position, stop).copy()
                pieces.append(AudioPiece(item.event, item.position, piece, done, item.fired))
                item.position = stop
        finished = {id(piece.event) for piece in pieces if piece.last}
        self._open = [item for item in self._open if id(item.event) not in finished]
        self._kept.drop(self._kept.stop - self._keep)
        return pieces

    def skip(self, samples: int) -> list[AudioPiece]:
        """So many samples were lost: zeros stand for them, so that the audio keeps its time."""
        pieces: list[AudioPiece] = []
        for start in range(0, samples, self._rate):
            pieces += self.push(np.zeros(min(self._rate, samples - start), np.float32))
        return pieces

    def close(self, event: KeywordEvent) -> None:
        """Nothing more is wanted for `event`."""
        self._open = [item for item in self._open if item.event is not event]
