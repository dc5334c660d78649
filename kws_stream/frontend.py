"""From samples to feature frames, in numpy.

A frame depends on its own window of samples and on nothing else (no statistic of the clip, no padding), so frame i of a
signal is samples [i * hop, i * hop + window) whoever computes it and however the signal was cut into blocks.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import FrontendConfig
from kws_stream.errors import AudioError

Floats = NDArray[np.float32]
FRAMES = 64
"""computed together: of more, what they need leaves the cache"""
MULTIPLIES = 1 << 18
"""of a product of matrices, up to which OpenBLAS starts no threads"""


def to_float(samples: NDArray[np.generic]) -> Floats:
    """`(n,)` samples as float32 in [-1, 1): int16 is divided by 32768, floats are taken as they are.

    Raises AudioError for other shapes and types, and for NaN or infinite samples.
    """
    if samples.ndim != 1:
        raise AudioError(f"expected mono samples of shape (n,), got shape {samples.shape}; downmix first")
    floats: Floats = samples.astype(np.float32, copy=False)
    if samples.dtype == np.int16:
        floats /= np.float32(32768)
        return floats
    if samples.dtype not in (np.float32, np.float64):
        raise AudioError(f"expected float32 or int16 samples, got {samples.dtype}")
    # A sum of squares is NaN or infinite as soon as one sample is; where they are merely huge, all are looked at.
    if not math.isfinite(floats.dot(floats)) and not np.isfinite(floats).all():
        raise AudioError("expected finite samples, got NaN or infinity; the recording is damaged")
    return floats


class LogMel:
    """The features of one configuration: whole frames of a signal, or of a piece of one."""

    def __init__(self, config: FrontendConfig) -> None:
        self.config = config
        self._window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.window) / config.window)  # float64
        # (2 * dft bins, bins): a power is the sum of two squares, which lie side by side.
        self._filters = np.repeat(mel_filters(config), 2, 0) if config.kind == "log_mel" else None
        self._block = max(1, MULTIPLIES // (2 * (config.window // 2 + 1) * config.mel_bins))  # frames
        self._floor, self._mean, self._std = (np.float32(value) for value in (config.floor, config.mean, config.std))

    def __call__(self, samples: Floats) -> Floats:
        """`(n,)` samples in [-1, 1) -> `(frames, bins)`, as `log_mel`."""
        config = self.config
        count = config.frames(len(samples))
        if count == 0:
            return np.empty((0, config.bins), np.float32)
        if count > FRAMES:
            starts, reach = range(0, count, FRAMES), config.samples(FRAMES)
            return np.concatenate([self(samples[start * config.hop :][:reach]) for start in starts])
        samples = np.ascontiguousarray(samples, np.float32)
        # (frames, window) without a copy; numpy's own sliding_window_view takes as long as the DFT of a short block.
        strided: Floats = np.ndarray((count, config.window), np.float32, samples, strides=(4 * config.hop, 4))
        # Window and DFT are float64: a bin can lie 100 dB under its neighbours, below the rounding of float32.
        spectrum = np.fft.rfft(strided * self._window)  # (frames, window) -> (frames, window // 2 + 1)
        squares: Floats = spectrum.view(np.float64).astype(np.float32)  # (frames, 2 * dft bins)
        squares *= squares
        power = self._filtered(squares)  # (frames, bins)
        power += self._floor
        np.log(power, out=power)
        power -= self._mean
        power /= self._std
        return power

    def _filtered(self, squares: Floats) -> Floats:
        """`(frames, 2 * dft bins)` -> `(frames, bins)`"""
        if self._filters is None:
            return squares[:, ::2] + squares[:, 1::2]
        if len(squares) <= self._block:
            return squares @ self._filters
        power = np.empty((len(squares), self.config.bins), np.float32)
        for start in range(0, len(squares), self._block):
            np.matmul(squares[start : start + self._block], self._filters, out=power[start : start + self._block])
        return power


def log_mel(samples: Floats, config: FrontendConfig | None = None) -> Floats:
    """Features of a whole signal: `(n,)` samples in [-1, 1) -> `(frames, bins)`, for both kinds.

    Periodic Hann window, power spectrum, triangular HTK mel filters of unit height (for `log_mel`), natural logarithm.
    torchaudio's `MelSpectrogram(center=False, power=2, norm=None, mel_scale="htk")` is the same function.
    """
    return log_mel_of(config or FrontendConfig())(samples)


class StreamingLogMel:
    """`log_mel` over a stream: the frames of all pushes together are the frames of the whole signal."""

    def __init__(self, config: FrontendConfig | None = None) -> None:
        self.config = config or FrontendConfig()
        self._log_mel = log_mel_of(self.config)
        self.reset()

    def reset(self) -> None:
        """Forget the samples that wait for a frame."""
        self._tail: Floats = np.empty(0, np.float32)

    def push(self, samples: Floats) -> Floats:
        """Any number of samples `(n,)` -> the frames `(frames, bins)` that they complete, possibly none."""
        self._tail = np.concatenate((self._tail, samples))
        frames = self._log_mel(self._tail)
        self._tail = self._tail[len(frames) * self.config.hop :]
        return frames


@lru_cache(maxsize=8)
def log_mel_of(config: FrontendConfig) -> LogMel:
    """The same one for all that ask: its tables are made once, and hold as much as a second of samples."""
    return LogMel(config)


def mel_filters(config: FrontendConfig) -> Floats:
    """Triangular filters `(window // 2 + 1, mel_bins)`, centres evenly spaced on the HTK mel scale.

    mel(f) = 2595 log10(1 + f / 700): Young et al., "The HTK Book", section 5.4.
    """
    bins_hz = np.linspace(0, config.sample_rate / 2, config.window // 2 + 1)
    low, high = 2595 * np.log10(1 + np.array([config.low_hz, config.high_hz]) / 700)
    corners = 700 * (10 ** (np.linspace(low, high, config.mel_bins + 2) / 2595) - 1)  # (mel_bins + 2,)
    widths = np.diff(corners)
    distance = corners[None, :] - bins_hz[:, None]  # (dft bins, mel_bins + 2)
    rising = -distance[:, :-2] / widths[:-1]
    falling = distance[:, 2:] / widths[1:]
    filters: Floats = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return filters
