"""The 12-label task: ten keywords, everything else that is spoken, and everything that is not."""

KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SILENCE = "silence"
UNKNOWN = "unknown"
LABELS = (*KEYWORDS, SILENCE, UNKNOWN)
"""Order of a model's outputs."""


def label_of(word: str) -> str:
    """The label of a folder of that name: `_silence_` and `_unknown_` lose their bars, other words are unknown."""
    word = word.strip("_").lower()
    return word if word in LABELS else UNKNOWN
