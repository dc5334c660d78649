"""The ring between an audio device, which must never wait, and the thread that reads it."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.generic]


class Taken(NamedTuple):
    """What a read returned."""

    samples: Samples
    """`(n, channels)`, a copy"""

    lost: int
    """samples that were overwritten in front of them"""


class RingBuffer:
    """The newest `capacity` samples of a stream; one thread writes, one reads.

    When the reader falls behind, the oldest samples are overwritten and the next read counts them, so that the reader's
    clock stays right.
    """

    def __init__(self, capacity: int, channels: int = 1, dtype: str = "int16") -> None:
        self.capacity = capacity
        self._samples = np.zeros((capacity, channels), dtype)
        self._written = 0  # samples since the stream began
        self._taken = 0
        self._closed = False
        self._ready = threading.Condition()

    def write(self, samples: Samples) -> None:
        """Append `(n, channels)`; never waits for the reader."""
        samples = samples[-self.capacity :] if (extra := len(samples) - self.capacity) > 0 else samples
        with self._ready:
            self._written += max(0, extra)
            at = self._written % self.capacity
            first = min(len(samples), self.capacity - at)
            self._samples[at : at + first] = samples[:first]
            self._samples[: len(samples) - first] = samples[first:]
            self._written += len(samples)
            self._ready.notify()

    def take(self, count: int, timeout: float | None = None) -> Taken | None:
        """The next `count` samples. None when the ring is closed and holds fewer, or after `timeout` seconds."""
        with self._ready:
            if not self._ready.wait_for(lambda: self._closed or self._written - self._taken >= count, timeout):
                return None
            lost = max(0, self._written - self._taken - self.capacity)
            if self._written - self._taken - lost < count:
                return None
            self._taken += lost
            rows = np.arange(self._taken, self._taken + count) % self.capacity
            self._taken += count
            return Taken(self._samples[rows], lost)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Wake the reader: no more samples will come."""
        with self._ready:
            self._closed = True
            self._ready.notify()
