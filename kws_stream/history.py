"""The newest part of a stream, in samples and in feature frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import FrontendConfig
from kws_stream.frontend import log_mel_of

Floats = NDArray[np.float32]


class Newest:
    """The newest rows of a stream, one behind the other in memory."""

    def __init__(self, *row: int) -> None:
        """`row`: the shape of one."""
        self._buffer: Floats = np.empty((0, *row), np.float32)
        self._origin = 0  # row of the stream with which the buffer begins
        self.start: int = 0
        """Rows of the stream in front of those that are kept."""
        self.stop: int = 0
        """Rows of the stream until now."""

    def push(self, rows: Floats) -> None:
        """The next ones."""
        stop = self.stop + len(rows)
        if stop - self._origin > len(self._buffer):
            # A new one, with some room to spare: who was given rows of the old one may still look at them.
            old = self.cut(self.start, self.stop)
            room = len(old) + len(rows)
            self._buffer = np.empty((room + max(len(rows), room // 4), *old.shape[1:]), np.float32)
            self._buffer[: len(old)] = old
            self._origin = self.start
        self._buffer[self.stop - self._origin : stop - self._origin] = rows
        self.stop = stop

    def cut(self, start: int, stop: int) -> Floats:
        """Rows of the stream, which must be kept; they are not copied."""
        return self._buffer[start - self._origin : stop - self._origin]

    def drop(self, stop: int) -> None:
        """Keep no row in front of `stop`; where that is yet to come, it is what will be pushed next."""
        self.start = max(self.start, stop)
        if stop > self.stop:
            self._origin += stop - self.stop
            self.stop = stop


class FeatureHistory:
    """`log_mel` of those stretches of a stream that are asked for: a frame that nobody asks for is never computed, and
    no frame twice."""

    def __init__(self, config: FrontendConfig) -> None:
        self._config = config
        self._log_mel = log_mel_of(config)
        self.reset()

    def reset(self) -> None:
        """As good as new."""
        self._samples = Newest()
        self._features = Newest(self._config.bins)
        self.frames: int = 0
        """Frames since the stream began."""

    @property
    def kept(self) -> int:
        """Frames that can still be asked for."""
        return self.frames - self._features.start

    def push(self, samples: Floats) -> None:
        """The next samples `(n,)`."""
        self._samples.push(samples)
        self.frames = self._config.frames(self._samples.stop)

    def cut(self, start: int, stop: int) -> Floats:
        """Frames of the stream, `(stop - start, bins)`."""
        features, hop = self._features, self._config.hop
        if start > features.stop:
            self.forget(start)
        if stop > features.stop:
            features.push(self._log_mel(self._samples.cut(features.stop * hop, self._config.samples(stop))))
            self._samples.drop(stop * hop)
        return features.cut(start, stop)

    def forget(self, stop: int) -> None:
        """No frame in front of `stop` will be asked for."""
        self._features.drop(stop)
        self._samples.drop(self._features.stop * self._config.hop)
