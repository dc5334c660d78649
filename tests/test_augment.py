from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from kws_stream.config import FrontendConfig
from models import augment
from models.augment import AugmentConfig
from models.recordings import CLIP, ROW

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
    """Eight rows, each a burst of 440 Hz in the middle of its second, from 0.4 s to 0.6 s; the rest is padding."""
    at = torch.arange(ROW) / RATE
    return (0.3 * torch.sin(2 * torch.pi * 440 * at) * ((at > 0.4) & (at < 0.6))).repeat(8, 1)


def row_of(length: int, rows: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of `length` samples of one, and the lengths."""
    samples = torch.zeros(rows, ROW)
    samples[:, :length] = 1
    return samples, torch.full((rows,), length)


def middle(samples: torch.Tensor) -> torch.Tensor:
    """Where the energy of each row lies, in samples."""
    energy = samples.square()
    return (energy * torch.arange(samples.shape[1])).sum(1) / energy.sum(1)


def test_without_shift_and_speed_a_full_row_stays_as_it_is() -> None:
    samples = torch.sin(torch.arange(ROW) / 20).repeat(2, 1)
    warped = augment.warp(samples, torch.full((2,), ROW), STILL)
    torch.testing.assert_close(warped, samples, atol=1e-3, rtol=0)


def test_a_second_lies_in_the_middle_of_the_row_between_mirror_images_of_its_ends() -> None:
    samples = torch.zeros(1, ROW)
    samples[0, :CLIP] = torch.sin(torch.arange(CLIP) ** 1.2 / 100)
    warped = augment.warp(samples, torch.tensor([CLIP]), STILL)
    beside = (ROW - CLIP) // 2
    mirrored = functional.pad(samples[:, :CLIP], (beside, beside), mode="reflect")
    torch.testing.assert_close(warped, mirrored, atol=1e-3, rtol=0)


@pytest.mark.parametrize("length", [CLIP, ROW])
def test_a_second_and_more_leave_no_gap_at_the_ends(length: int) -> None:
    """However far they are shifted, and however fast they are played: a network would learn to look for the gap."""
    warped = augment.warp(*row_of(length), AugmentConfig())
    torch.testing.assert_close(warped, torch.ones_like(warped))


def test_shifts_stay_in_their_range(tones: torch.Tensor) -> None:
    config = AugmentConfig(shift_ms=100, speed=0)
    moved = middle(augment.warp(tones, torch.full((8,), CLIP), config)) - ROW / 2
    assert moved.abs().max() <= 1601
    assert moved.std() > 300


def test_a_slice_of_a_recording_is_not_shifted() -> None:
    """It began anywhere."""
    samples = torch.sin(torch.arange(ROW) / 20).repeat(4, 1)
    warped = augment.warp(samples, torch.full((4,), ROW), AugmentConfig(shift_ms=100, speed=0))
    torch.testing.assert_close(warped, samples, atol=1e-3, rtol=0)


def test_speed_stretches_and_squeezes(tones: torch.Tensor) -> None:
    samples = tones[:1].repeat(64, 1)
    warped = augment.warp(samples, torch.full((64,), CLIP), AugmentConfig(shift_ms=0, speed=0.2))
    longer = warped.square().sum(1) / samples.square().sum(1)
    assert 1 / 1.2 - 0.01 < longer.min() < 1 / 1.15
    assert 1 / 0.85 < longer.max() < 1 / 0.8 + 0.01
    torch.testing.assert_close(middle(warped), torch.full((64,), ROW / 2), atol=30, rtol=0)


def test_a_short_clip_lands_anywhere_in_what_all_crops_share() -> None:
    """The last 98 frames begin 160 ms into the row; the first end 80 samples before a second is over."""
    config = FrontendConfig()
    last = (config.frames(ROW) - 98) * config.hop
    first_ends = config.samples(98)
    assert (last, first_ends) == (ROW - CLIP, CLIP - 80)
    samples, lengths = row_of(4000, 200)
    warped = augment.warp(samples, lengths, STILL)
    torch.testing.assert_close(warped.sum(1), samples.sum(1), rtol=1e-3, atol=0)
    heard = warped.any(0).nonzero().squeeze(1)
    assert last <= heard.min() < last + 500
    assert first_ends - 500 < heard.max() <= first_ends + 80


def test_what_no_crop_could_hold_lies_in_the_middle() -> None:
    warped = augment.warp(*row_of(15_000, 2), STILL)
    for row in warped:
        assert row.nonzero()[[0, -1], 0].tolist() == pytest.approx([1780, 16_779], abs=1)


def test_a_crop_is_a_stretch_from_anywhere() -> None:
    frames = torch.arange(114.0)[None, :, None].expand(300, 114, 3)
    cropped = augment.crop(frames, 98)
    assert cropped.shape == (300, 98, 3)
    starts = cropped[:, :1, :1]
    torch.testing.assert_close(cropped, (starts + torch.arange(98.0)[:, None]).expand(-1, -1, 3))
    assert starts.unique().tolist() == list(range(17))
    torch.testing.assert_close(augment.crop(frames, 114), frames)


def test_noise_comes_at_the_wanted_ratio(tones: torch.Tensor) -> None:
    noise = torch.randn(8, ROW) * 0.01
    added = augment.mix(tones, noise, STILL) - tones
    ratio = tones.square().mean(1) / added.square().mean(1)
    torch.testing.assert_close(10 * ratio.log10(), torch.full((8,), 10.0), atol=0.01, rtol=0)


def test_silence_keeps_the_noise_at_its_own_level() -> None:
    noise = torch.randn(8, ROW) * 0.01
    torch.testing.assert_close(augment.mix(torch.zeros(8, ROW), noise, STILL), noise)


def test_a_room_leaves_the_level_and_smears_the_sound(tones: torch.Tensor) -> None:
    response = torch.zeros(1, CLIP)
    response[0, 0], response[0, 3200] = 0.8, 0.6  # unit energy: an echo after 200 ms
    wet = augment.reverberate(tones, response, share=1)
    torch.testing.assert_close(wet.square().sum(1), tones.square().sum(1), rtol=0.02, atol=0)
    assert (middle(wet) - middle(tones) > 1000).all()
    assert augment.reverberate(tones, response, share=0) is tones
    assert augment.reverberate(tones, torch.empty(0, CLIP), share=1) is tones


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


def test_a_formant_moves_by_the_factor() -> None:
    peak = torch.exp(-(((torch.arange(40) - 20) / 2) ** 2))  # (bins,)
    features = peak.repeat(3, 1, 98, 1)
    moved = augment.scale_bins(features, torch.tensor([[1.0], [1.25], [0.8]]))
    torch.testing.assert_close(moved[0], features[0])
    for row, place in ((1, 16), (2, 25)):
        assert (moved[row].argmax(2) == place).all()
        torch.testing.assert_close(moved[row].amax(2), torch.ones(1, 98))


def test_above_the_last_bin_its_value_goes_on() -> None:
    ramp = torch.arange(40.0).repeat(1, 1, 5, 1)
    moved = augment.scale_bins(ramp, torch.tensor([[1.1]]))
    torch.testing.assert_close(moved[0, 0, 0], (torch.arange(40) * 1.1).clamp_max(39))


def test_vocal_tracts_differ_by_row_and_within_their_range() -> None:
    ramp = torch.arange(40.0).repeat(500, 1, 4, 1)
    config = AugmentConfig(tilt_db=0, vocal_tract=0.1, time_mask=0, bin_mask=0)
    factors = augment.bend_spectrum(ramp, 1.0, config)[:, 0, :, 20] / 20  # (batch, frames)
    assert (factors == factors[:, :1]).all(), "one throat a row"
    assert 0.9 <= factors.min() < 0.91
    assert 1.09 < factors.max() <= 1.1
    still = AugmentConfig(tilt_db=0, time_mask=0, bin_mask=0)
    torch.testing.assert_close(augment.bend_spectrum(ramp, 1.0, still), ramp)
