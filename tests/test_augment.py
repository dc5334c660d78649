from __future__ import annotations

import pytest
import torch

from models import augment
from models.augment import AugmentConfig

RATE = 16_000
STILL = AugmentConfig(
    shift_ms=0,
    speed=0,
    reverb_share=0,
    noise_share=1,
    snr_db=(10, 10),
    gain_db=(0, 0),
    tilt_db=0,
    time_mask=0,
    bin_mask=0,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def tones() -> torch.Tensor:
    """Eight rows, each a burst of 440 Hz in the middle."""
    at = torch.arange(RATE) / RATE
    return (0.3 * torch.sin(2 * torch.pi * 440 * at) * ((at > 0.4) & (at < 0.6))).repeat(8, 1)


def middle(samples: torch.Tensor) -> torch.Tensor:
    """Where the energy of each row lies, in samples."""
    energy = samples.square()
    return (energy * torch.arange(samples.shape[1])).sum(1) / energy.sum(1)


def test_without_shift_and_speed_nothing_moves(tones: torch.Tensor) -> None:
    lengths = torch.full((8,), RATE)
    torch.testing.assert_close(augment.warp(tones, lengths, STILL)[:, :-1], tones[:, :-1], atol=1e-4, rtol=0)


def test_shifts_stay_in_their_range(tones: torch.Tensor) -> None:
    config = AugmentConfig(shift_ms=100, speed=0)
    moved = middle(augment.warp(tones, torch.full((8,), RATE), config)) - RATE / 2
    assert moved.abs().max() <= 1601
    assert moved.std() > 300


def test_a_short_clip_lands_anywhere_and_stays_whole() -> None:
    samples = torch.zeros(64, RATE)
    samples[:, :4000] = 0.3
    warped = augment.warp(samples, torch.full((64,), 4000), STILL)
    torch.testing.assert_close(warped.sum(1), samples.sum(1), rtol=1e-3, atol=0)
    assert middle(warped).min() < 4000
    assert middle(warped).max() > 12_000


def test_noise_comes_at_the_wanted_ratio(tones: torch.Tensor) -> None:
    noise = torch.randn(8, RATE) * 0.01
    added = augment.mix(tones, noise, STILL) - tones
    ratio = tones.square().mean(1) / added.square().mean(1)
    torch.testing.assert_close(10 * ratio.log10(), torch.full((8,), 10.0), atol=0.01, rtol=0)


def test_silence_keeps_the_noise_at_its_own_level() -> None:
    noise = torch.randn(8, RATE) * 0.01
    torch.testing.assert_close(augment.mix(torch.zeros(8, RATE), noise, STILL), noise)


def test_a_room_leaves_the_level_and_smears_the_sound(tones: torch.Tensor) -> None:
    response = torch.zeros(1, RATE)
    response[0, 0], response[0, 3200] = 0.8, 0.6  # unit energy: an echo after 200 ms
    wet = augment.reverberate(tones, response, share=1)
    torch.testing.assert_close(wet.square().sum(1), tones.square().sum(1), rtol=0.02, atol=0)
    assert (middle(wet) - middle(tones) > 1000).all()
    assert augment.reverberate(tones, response, share=0) is tones
    assert augment.reverberate(tones, torch.empty(0, RATE), share=1) is tones


def test_masks_are_no_larger_than_asked_for() -> None:
    config = AugmentConfig(tilt_db=0, time_mask=10, bin_mask=4)
    bent = augment.bend_spectrum(torch.ones(50, 1, 98, 40), 1.0, config)
    frames = (bent == 0).all(3).sum(2)
    bins = (bent == 0).all(2).sum(2)
    assert 0 < frames.max() <= 20
    assert 0 < bins.max() <= 8


def test_the_tilt_is_in_decibels() -> None:
    config = AugmentConfig(tilt_db=6, time_mask=0, bin_mask=0)
    bent = augment.bend_spectrum(torch.zeros(500, 1, 4, 40), 2.0, config)
    decibels = (bent[:, 0, 0, -1] - bent[:, 0, 0, 0]) * 2.0 * 10 / torch.log(torch.tensor(10.0))
    assert 5.5 < decibels.abs().max() <= 6.0
