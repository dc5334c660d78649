"""What a microphone, a room and a speaker may do to a word. Vectorised over the batch, on whatever device it lies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.recordings import CLIP, ROW, SAMPLE_RATE


@dataclass(frozen=True)
class AugmentConfig:
    """How far the recordings are bent. Ranges are uniform."""

    shift_ms: float = 80.0
    """moves a clip to either side, by at most this; the crop moves it by as much again"""

    speed: float = 0.12
    """plays it slower or faster, pitch included, by at most this fraction"""

    reverb_share: float = 0.3
    """of the clips are convolved with a room impulse response"""

    noise_share: float = 0.8
    """of the clips get noise"""

    snr_db: tuple[float, float] = (-2.0, 35.0)
    gain_db: tuple[float, float] = (-20.0, 6.0)
    """level of the mixture against the recording"""

    tilt_db: float = 6.0
    """the spectrum is tilted by at most this, end to end in either direction: microphones differ"""

    vocal_tract: float = 0.0
    """moves every bin up or down by at most this fraction of its place: throats differ in length (Jaitly and Hinton
    2013, Vocal Tract Length Perturbation)"""

    time_mask: int = 12
    """frames at most in each of two masks (SpecAugment, Park et al. 2019, 1904.08779)"""

    bin_mask: int = 5
    """bins at most in each of two masks"""


OF_FEATURES = ("tilt_db", "vocal_tract", "time_mask", "bin_mask")
"""fields that bend features, anew each time they are used; the others bend samples, before the features are computed"""


def uniform(batch: Tensor, low: float, high: float) -> Tensor:
    """`(batch, 1)` uniform values on the device of `batch`."""
    return torch.empty(len(batch), 1, device=batch.device).uniform_(low, high)


def warp(samples: Tensor, lengths: Tensor, config: AugmentConfig) -> Tensor:
    """Shift and change of speed by linear interpolation: `(batch, ROW)` -> `(batch, ROW)`.

    `lengths` `(batch,)`: samples of each row that are recording, from its beginning; the rest is padding. A short one
    lands anywhere in the part that every crop of the row shares. One of a second or more is continued beyond its
    ends by its mirror image, because no microphone stops at the ends of a word.
    """
    count = samples.shape[1]
    lengths = lengths.unsqueeze(1)  # (batch, 1)
    speed = 1 + uniform(samples, -config.speed, config.speed)
    slack = count - lengths
    start = slack / 2 + uniform(samples, -0.5, 0.5) * (slack - 2 * (ROW - CLIP)).clamp_min(0)
    start = start + uniform(samples, -1, 1) * config.shift_ms * SAMPLE_RATE / 1000 * (slack > 0)
    middle = lengths / 2
    at = (torch.arange(count, device=samples.device) - start - middle) * speed + middle  # (batch, n) places in the clip
    inside = (at >= 0) & (at < lengths - 1)
    last = lengths - 1.001
    at = torch.where(lengths >= CLIP, last - (last - at.abs()).abs(), at).clamp_min(0).minimum(last.clamp_min(0))
    left = at.long().clamp_max(count - 2)
    value = torch.lerp(samples.gather(1, left), samples.gather(1, left + 1), at - left)
    return value * (inside | (lengths >= CLIP))


def reverberate(samples: Tensor, responses: Tensor, share: float) -> Tensor:
    """Convolve `share` of the rows `(batch, n)` with random `responses` `(responses, m)` of unit energy."""
    rows = torch.nonzero(torch.rand(len(samples), device=samples.device) < share).squeeze(1)
    if len(rows) == 0 or len(responses) == 0:
        return samples
    chosen = responses[torch.randint(len(responses), (len(rows),), device=samples.device)]
    size = samples.shape[1] + chosen.shape[1]
    spectrum = torch.fft.rfft(samples[rows], size) * torch.fft.rfft(chosen, size)
    wet = torch.fft.irfft(spectrum, size)[:, : samples.shape[1]]
    return samples.index_copy(0, rows, wet)


def mix(samples: Tensor, noise: Tensor, config: AugmentConfig) -> Tensor:
    """Add `noise` `(batch, n)` at a random ratio to most rows, then set a random level and clip as a converter does.

    Rows of silence (all zeros) get the noise at its own level.
    """
    signal = samples.square().mean(1, keepdim=True).sqrt()  # (batch, 1) RMS
    level = noise.square().mean(1, keepdim=True).sqrt().clamp_min(1e-5)
    ratio = 10 ** (uniform(samples, *config.snr_db) / 20)
    scale = torch.where(signal > 0, signal / (ratio * level), torch.ones_like(signal))
    chosen = (uniform(samples, 0, 1) < config.noise_share) | (signal == 0)
    mixture = samples + noise * scale * chosen
    gain = 10 ** (uniform(samples, *config.gain_db) / 20)
    return (mixture * gain).clamp(-1, 1)


def crop(features: Tensor, frames: int) -> Tensor:
    """A random stretch of `frames` of each row: `(batch, more frames, bins)` -> `(batch, frames, bins)`."""
    start = torch.randint(features.shape[1] - frames + 1, (len(features), 1), device=features.device)
    at = start + torch.arange(frames, device=features.device)  # (batch, frames)
    return features.gather(1, at.unsqueeze(2).expand(-1, -1, features.shape[2]))


def scale_bins(features: Tensor, factors: Tensor) -> Tensor:
    """What stood at bin `f * factor` stands at bin `f`: features `(batch, 1, frames, bins)`, factors `(batch, 1)`.

    By linear interpolation between bins; above the last one its value goes on. The original scales Hertz; mel bins, at
    even steps in Hertz up to 1 kHz and in ratio above, are scaled where they are, which needs no spectrum.
    """
    bins = features.shape[3]
    at = (torch.arange(bins, device=features.device) * factors).clamp_max(bins - 1)  # (batch, bins)
    left = at.long().clamp_max(bins - 2)
    share = (at - left)[:, None, None, :]
    index = left[:, None, None, :].expand_as(features)
    return torch.lerp(features.gather(3, index), features.gather(3, index + 1), share)


def bend_spectrum(features: Tensor, std: float, config: AugmentConfig) -> Tensor:
    """Scale, tilt, mask features `(batch, 1, frames, bins)`; `std` is what the front end divided the logarithm by."""
    batch, _, frames, bins = features.shape
    if config.vocal_tract:
        features = scale_bins(features, 1 + uniform(features, -config.vocal_tract, config.vocal_tract))
    nats_per_db = torch.log(torch.tensor(10.0)).item() / 10
    ramp = torch.linspace(-0.5, 0.5, bins, device=features.device)  # (bins,)
    tilt = uniform(features, -config.tilt_db, config.tilt_db) * nats_per_db / std  # (batch, 1)
    features = features + (tilt * ramp)[:, None, None, :]
    for _ in range(2):
        features = features * _mask(batch, frames, config.time_mask, features.device)[:, None, :, None]
        features = features * _mask(batch, bins, config.bin_mask, features.device)[:, None, None, :]
    return features


def _mask(batch: int, size: int, longest: int, device: torch.device) -> Tensor:
    """`(batch, size)`: 0 in one random stretch of at most `longest`, 1 elsewhere."""
    length = torch.randint(0, longest + 1, (batch, 1), device=device)
    start = (torch.rand(batch, 1, device=device) * (size - length)).long()
    at = torch.arange(size, device=device)
    return ((at < start) | (at >= start + length)).float()
