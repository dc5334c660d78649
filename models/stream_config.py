"""What a composed stream is made of, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from kws_stream.errors import KwsError


@dataclass(frozen=True)
class StreamConfig:
    """What is drawn, and how often. Ranges are uniform."""

    hours: float = 1.0
    keywords: int = 500
    """utterances of keywords, each keyword as often as any other"""

    snr_db: tuple[float, float] = (5.0, 20.0)
    """level of what is spoken over what else sounds there"""

    level_db: tuple[float, float] = (-38.0, -20.0)
    """RMS of what is spoken, against full scale"""

    gap: tuple[float, float] = (0.5, 3.0)
    """seconds of noise in front of whatever is spoken"""

    speech_share: float = 0.6
    """of what stands between the keywords is sentences"""

    word_share: float = 0.15
    """and so much single words that are no keywords; the rest is noise alone"""

    overlap_share: float = 0.2
    """of the keywords are spoken while another voice reads a sentence, instead of over noise"""

    room_share: float = 0.3
    """of what is spoken is spoken in one of the rooms"""

    speakers: int | None = None
    """voices of keywords, drawn from all; None takes all of them"""

    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("snr_db", "level_db", "gap"):
            low, high = getattr(self, name)
            if low > high:
                raise KwsError(f"{name}: expected two numbers in order, got {low:g} {high:g}")
        for name in ("speech_share", "word_share", "overlap_share", "room_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise KwsError(f"{name}: expected a share from 0 to 1, got {getattr(self, name):g}")
        if self.hours <= 0 or self.keywords < 0 or self.gap[0] < 0 or self.speech_share + self.word_share > 1:
            raise KwsError("expected hours above 0, no negative number of keywords or gap, and shares of at most 1")
        # A clip takes a second.
        if (needed := self.keywords * (1 + sum(self.gap) / 2) / 3600) > self.hours:
            raise KwsError(f"{self.keywords} keywords take {needed:.2f} hours with these gaps, not {self.hours:g}")
