"""What is said in a long recording, and when: the ground truth of a stream, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kws_stream.errors import KwsError


@dataclass(frozen=True, slots=True)
class Utterance:
    """One keyword, spoken once."""

    keyword: str
    onset: float
    """seconds of audio since the stream began, where its sound begins"""

    end: float
    """seconds, where it ends"""

    snr_db: float | None = None
    """its level over that of everything else that sounds meanwhile; None where nobody knows"""

    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """Something else in the stream, from which a false alarm may come."""

    other: str
    """what it is: `speech`, `word`, `noise` ..."""

    source: str
    onset: float
    end: float


@dataclass(frozen=True)
class Truth:
    """All that a truth file says."""

    utterances: tuple[Utterance, ...]
    """in the order of their onsets"""

    sounds: tuple[Sound, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    """how the stream was made"""

    def cause(self, time: float) -> Sound:
        """What sounded at `time` or just before: of the sounds there, the one that is least like noise, and the last
        of its kind."""
        there = {sound.other: sound for sound in self.sounds if sound.onset <= time <= sound.end + 1}
        known = (there[other] for other in ("word", "speech", "noise") if other in there)
        return next(known, Sound("nothing known", "", time, time))


def to_line(entry: Utterance | Sound | dict[str, Any]) -> str:
    """One line of a truth file; a dict holds the facts of the stream."""
    values = {"stream": entry} if isinstance(entry, dict) else asdict(entry)
    return json.dumps({name: value for name, value in values.items() if value is not None})


def read_truth(path: Path, keywords: Iterable[str] | None = None) -> Truth:
    """What `to_line` wrote, or others did: lines with `keyword`, `onset` and `end`, and `snr_db` and `speaker` where
    they are known.

    Raises KwsError for a file that cannot be read, a line that is none of these, or a keyword that is none of
    `keywords`, where they are given.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KwsError(f"{path}: cannot be read ({error}); expected the truth of a stream as JSON lines") from error
    utterances: list[Utterance] = []
    sounds: list[Sound] = []
    facts: dict[str, Any] = {}
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if "stream" in values:
                facts = dict(values["stream"])
            else:
                (sounds if "other" in values else utterances).append(_entry(values))  # type: ignore[arg-type]
        except (ValueError, TypeError, KeyError) as error:
            raise KwsError(
                f"{path}:{number}: expected a JSON object with keyword, onset and end in seconds, got {line[:80]!r}"
            ) from error
    known = None if keywords is None else set(keywords)
    if known is not None and (strange := sorted({spoken.keyword for spoken in utterances} - known)):
        raise KwsError(
            f"{path}: the model does not know {', '.join(strange)}; its keywords: {', '.join(sorted(known))}"
        )
    return Truth(tuple(sorted(utterances, key=lambda spoken: spoken.onset)), tuple(sounds), facts)


def _entry(values: dict[str, Any]) -> Utterance | Sound:
    onset, end = float(values["onset"]), float(values["end"])
    if not 0 <= onset <= end:
        raise ValueError("no stretch of time")
    if "other" in values:
        return Sound(str(values["other"]), str(values.get("source", "")), onset, end)
    snr = values.get("snr_db")
    return Utterance(str(values["keyword"]), onset, end, None if snr is None else float(snr), values.get("speaker"))
