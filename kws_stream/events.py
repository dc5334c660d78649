"""What a spotter reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeywordEvent:
    """One keyword heard once."""

    keyword: str
    """the label, as the model's metadata spells it"""

    score: float
    """smoothed posterior at the decision, 0 to 1"""

    time: float
    """seconds of audio since the stream began, at the sample on which the decision fell"""
