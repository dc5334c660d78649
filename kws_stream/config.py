"""How a model wants its audio treated. Plain frozen values: milliseconds and Hz here, samples and frames inside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

FeatureKind = Literal["log_mel", "log_spectrogram"]


def _check(condition: bool, expectation: str, value: object) -> None:
    if not condition:
        raise ValueError(f"{expectation}, got {value!r}")


@dataclass(frozen=True)
class FrontendConfig:
    """The one definition of the features, shared by training (torchaudio) and run time (numpy)."""

    kind: FeatureKind = "log_mel"
    """`log_mel`, or `log_spectrogram` (every DFT bin; the seed study)"""

    sample_rate: int = 16_000
    """Hz"""

    window_ms: float = 25.0
    """length of one analysis window, which is also the DFT length: no padding"""

    hop_ms: float = 10.0
    """advance from frame to frame"""

    mel_bins: int = 40
    """mel filters; `log_spectrogram` has window / 2 + 1 bins whatever stands here"""

    low_hz: float = 20.0
    """lower edge of the first mel filter"""

    high_hz: float = 7600.0
    """upper edge of the last mel filter"""

    floor: float = 1e-6
    """power added before the logarithm, above the rounding noise of 16-bit samples"""

    mean: float = 0.0
    """subtracted from the logarithm: one constant measured on training data, never a statistic of the input"""

    std: float = 1.0
    """divides the logarithm after `mean` went off"""

    def __post_init__(self) -> None:
        _check(self.kind in ("log_mel", "log_spectrogram"), "kind must be log_mel or log_spectrogram", self.kind)
        _check(self.sample_rate > 0, "sample_rate must be positive", self.sample_rate)
        _check(0 < self.hop_ms <= self.window_ms, "hop_ms must be positive and at most window_ms", self.hop_ms)
        _check(self.mel_bins > 0, "mel_bins must be positive", self.mel_bins)
        _check(
            0 <= self.low_hz < self.high_hz <= self.sample_rate / 2,
            "low_hz and high_hz must lie in order between 0 and half the sample rate",
            (self.low_hz, self.high_hz),
        )
        _check(self.floor > 0, "floor must be positive", self.floor)
        _check(self.std > 0, "std must be positive", self.std)

    @cached_property
    def window(self) -> int:
        """Samples in an analysis window."""
        return round(self.window_ms * self.sample_rate / 1000)

    @cached_property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop_ms * self.sample_rate / 1000)

    @property
    def bins(self) -> int:
        """Values in a frame."""
        return self.mel_bins if self.kind == "log_mel" else self.window // 2 + 1

    def frames(self, samples: int) -> int:
        """Whole frames in so many samples."""
        return max(0, (samples - self.window) // self.hop + 1)

    def samples(self, frames: int) -> int:
        """Samples that so many frames span."""
        return (frames - 1) * self.hop + self.window


@dataclass(frozen=True, slots=True)
class GateConfig:
    """When the network may rest."""

    mode: int | None = 2
    """webrtcvad aggressiveness, 0 (lets most through) to 3; None leaves the gate open"""

    look_back_ms: float = 200.0
    """how far before the first speech frame the gate counts as open"""

    hangover_ms: float = 800.0
    """how long it stays open after the last one: a word must be able to cross the network's whole context"""

    def __post_init__(self) -> None:
        _check(self.mode in (None, 0, 1, 2, 3), "VAD mode must be 0, 1, 2, 3 or None", self.mode)
        _check(self.look_back_ms >= 0, "look_back_ms must not be negative", self.look_back_ms)
        _check(self.hangover_ms >= 0, "hangover_ms must not be negative", self.hangover_ms)


@dataclass(frozen=True, slots=True)
class KeywordThreshold:
    """When one keyword fires, and when it may fire again."""

    threshold: float = 0.6
    """smoothed posterior from which on the keyword fires"""

    release: float = 0.3
    """it fires again only after its smoothed posterior fell below this"""

    refractory_ms: float = 500.0
    """and not sooner than this after its last event"""

    def __post_init__(self) -> None:
        _check(0 < self.threshold <= 1, "threshold must lie in (0, 1]", self.threshold)
        _check(0 <= self.release <= self.threshold, "release must lie between 0 and threshold", self.release)
        _check(self.refractory_ms >= 0, "refractory_ms must not be negative", self.refractory_ms)


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """From posteriors to events."""

    smoothing_ms: float = 400.0
    """posteriors of this much audio are averaged (Chen, Parada, Heigold 2014, their w_smooth)"""

    default: KeywordThreshold = KeywordThreshold()
    """for every keyword that `keywords` does not name"""

    keywords: tuple[tuple[str, KeywordThreshold], ...] = ()
    """keywords with values of their own"""

    alone: float = 0.0
    """natural log-odds taken from a score behind speech that is no keyword, because a command stands alone; in
    proportion to how much of the second and a half before the word was such speech. 0 switches it off. It waits for
    nothing, so it costs no latency (ADR 15)"""

    def __post_init__(self) -> None:
        _check(self.smoothing_ms >= 0, "smoothing_ms must not be negative", self.smoothing_ms)
        _check(self.alone >= 0, "alone must not be negative", self.alone)

    def of(self, keyword: str) -> KeywordThreshold:
        """The values that hold for `keyword`."""
        return dict(self.keywords).get(keyword, self.default)
