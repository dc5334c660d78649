"""Where there is speech, so that the network may rest where there is none."""

from __future__ import annotations

from typing import NamedTuple

# What the module webrtcvad wraps. That reads the version of its package when it is imported, which takes longer and
# needs more memory than all the rest of it.
import _webrtcvad
import numpy as np
from numpy.typing import NDArray

from kws_stream.config import GateConfig

Samples = NDArray[np.generic]
FRAME_MS = 20
ALWAYS = 1 << 62
"""A sample index that no stream reaches."""


class Span(NamedTuple):
    """A stretch of the stream in which the gate is open: positions `start < position <= stop`, in samples."""

    start: int
    stop: int
    known_at: int
    """position at which this was decided; behind `start` by the look-back"""


class VoiceActivity:
    """webrtcvad over a stream, one decision for each 20 ms."""

    def __init__(self, mode: int, sample_rate: int = 16_000) -> None:
        self.frame = sample_rate * FRAME_MS // 1000  # samples
        self._mode = mode
        self._sample_rate = sample_rate
        self.reset()

    def reset(self) -> None:
        """A fresh detector: webrtcvad adapts to the noise it hears."""
        self._vad = _webrtcvad.create()
        _webrtcvad.init(self._vad)
        _webrtcvad.set_mode(self._vad, self._mode)
        self._tail: bytes = b""

    def push(self, samples: Samples) -> list[bool]:
        """`(n,)` samples, int16 or floats in [-1, 1) -> whether there is speech, for every frame that they complete."""
        self._tail += to_int16(samples).tobytes()
        size = 2 * self.frame  # bytes
        whole = len(self._tail) // size * size
        frames = (self._tail[at : at + size] for at in range(0, whole, size))
        decisions = [_webrtcvad.process(self._vad, self._sample_rate, frame, self.frame) for frame in frames]
        self._tail = self._tail[whole:]
        return decisions


class SpeechGate:
    """The stretches of a stream that a network should hear.

    Each frame of speech opens the gate from `look_back_ms` before its start to `hangover_ms` after its end. A stretch
    is reported once, as soon as it is known, in stream order and without overlap; adjoining ones are not merged.
    """

    def __init__(self, config: GateConfig | None = None, sample_rate: int = 16_000) -> None:
        self.config = config or GateConfig()
        self.look_back = round(self.config.look_back_ms * sample_rate / 1000)  # samples
        self.hangover = round(self.config.hangover_ms * sample_rate / 1000)  # samples
        self._activity = None if self.config.mode is None else VoiceActivity(self.config.mode, sample_rate)
        self.reset()

    def reset(self) -> None:
        """As good as new: position 0, closed, a fresh detector."""
        self._position: int = 0  # samples that the detector has judged
        self._open_until: int = 0
        if self._activity is not None:
            self._activity.reset()

    @property
    def delay(self) -> int:
        """Samples after which a position that lies in no span never will."""
        return self.look_back + self._activity.frame if self._activity else 0

    def push(self, samples: Samples) -> list[Span]:
        """`(n,)` samples, int16 or floats in [-1, 1) -> the spans that became known with them."""
        if self._activity is None:
            spans = [Span(0, ALWAYS, 0)] if self._open_until == 0 else []
            self._open_until = ALWAYS
            return spans
        spans = []
        for speech in self._activity.push(samples):
            start = self._position
            self._position += self._activity.frame
            if speech:
                span = Span(
                    max(start - self.look_back, self._open_until), self._position + self.hangover, self._position
                )
                self._open_until = span.stop
                spans.append(span)
        return spans


def to_int16(samples: Samples) -> Samples:
    """`(n,)` samples, int16 or floats in [-1, 1) -> little-endian int16; what is louder is clipped."""
    if samples.dtype == np.int16:
        return samples.astype("<i2", copy=False)
    scaled = np.multiply(samples, np.float32(32768))
    np.rint(scaled, out=scaled)
    return scaled.clip(-32768, 32767, out=scaled).astype("<i2")
