from __future__ import annotations

from typing import Any

import pytest

from kws_stream import DecoderConfig, FrontendConfig, GateConfig, KeywordThreshold


def test_the_study_front_end_has_99_frames_of_161_bins_in_a_second() -> None:
    config = FrontendConfig(kind="log_spectrogram", window_ms=20)
    assert (config.window, config.hop, config.bins, config.frames(16_000)) == (320, 160, 161, 99)


def test_frames_and_samples_are_each_others_inverse() -> None:
    config = FrontendConfig()
    for frames in (1, 2, 98):
        assert config.frames(config.samples(frames)) == frames
        assert config.frames(config.samples(frames) - 1) == frames - 1
    assert config.frames(0) == 0


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (FrontendConfig, {"kind": "mfcc"}, "log_mel or log_spectrogram, got 'mfcc'"),
        (FrontendConfig, {"hop_ms": 0}, "hop_ms"),
        (FrontendConfig, {"hop_ms": 30}, "at most window_ms"),
        (FrontendConfig, {"high_hz": 9000}, "half the sample rate"),
        (FrontendConfig, {"std": 0}, "std"),
        (GateConfig, {"mode": 4}, "0, 1, 2, 3 or None, got 4"),
        (GateConfig, {"hangover_ms": -1}, "hangover_ms"),
        (KeywordThreshold, {"threshold": 7}, r"\(0, 1\], got 7"),
        (KeywordThreshold, {"threshold": 0.5, "release": 0.6}, "release"),
        (KeywordThreshold, {"refractory_ms": -1}, "refractory_ms"),
        (DecoderConfig, {"smoothing_ms": -1}, "smoothing_ms"),
    ],
)
def test_values_out_of_range_are_refused_by_name(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**values)


def test_a_keyword_may_have_its_own_threshold() -> None:
    strict = KeywordThreshold(0.9, 0.2)
    config = DecoderConfig(keywords=(("off", strict),))
    assert config.of("off") is strict
    assert config.of("on") == KeywordThreshold()
