"""What triggered, kept on disk: a wav and a JSON file for each event, within a limit."""

from __future__ import annotations

import json
import logging
import re
import wave
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kws_stream.errors import KwsError
from kws_stream.model import KeywordModel
from kws_stream.tap import AudioPiece

log = logging.getLogger("kws_stream")
NAME = re.compile(r"\d{8}T\d{6}-.+\.json")
"""of the files that a recorder writes, and so may remove"""
LIMIT_MB = 500


class Kept(NamedTuple):
    """A recording on disk."""

    path: Path
    """of the JSON file; the wav lies beside it"""
    size: int
    """bytes of both"""


class EventRecorder:
    """A callback for `Listener(on_audio=...)` that writes the audio around each event as 16-bit wav, and beside it what
    the event was.

    When the folder holds more than `limit_mb` of its files, the oldest are removed, those of earlier sessions
    included. What cannot be written is logged, and listening goes on.
    """

    def __init__(self, folder: Path, model: KeywordModel, source: str = "", limit_mb: float = LIMIT_MB) -> None:
        """Raises KwsError when the folder cannot be made."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._kept = sorted(Kept(path, _size(path)) for path in folder.iterdir() if NAME.fullmatch(path.name))
        except OSError as error:
            raise KwsError(f"{folder}: cannot keep events there ({error.strerror})") from error
        self.folder, self.source = folder, source
        self._model = model
        self._rate = model.metadata.frontend.sample_rate
        self._limit = limit_mb * 1e6
        # The clock only names files: two sessions must not overwrite each other.
        self._session = datetime.now().strftime("%Y%m%dT%H%M%S")
        self._pieces: dict[int, list[AudioPiece]] = {}

    def __call__(self, piece: AudioPiece) -> None:
        """Collect; write when the event is complete."""
        pieces = self._pieces.setdefault(id(piece.event), [])
        pieces.append(piece)
        if not piece.last:
            return
        del self._pieces[id(piece.event)]
        try:
            self._write(pieces)
        except OSError as error:
            log.warning("%s: an event could not be kept (%s)", self.folder, error)

    def _write(self, pieces: list[AudioPiece]) -> None:
        event, start = pieces[0].event, pieces[0].start
        samples = np.concatenate([piece.samples for piece in pieces])
        facts = {
            "keyword": event.keyword,
            "score": round(event.score, 4),
            "time": round(event.time, 3),
            "fired": pieces[0].fired,
            "start": round(start / self._rate, 4),
            "seconds": round(len(samples) / self._rate, 4),
            "source": self.source,
            "model": self._model.name,
            "fingerprint": self._model.fingerprint,
        }
        kind = "" if pieces[0].fired else "-near-miss"
        source = re.sub(r"\W+", "_", Path(self.source).stem)[:40] or "audio"
        word = re.sub(r"\W+", "_", event.keyword)
        path = self.folder / f"{self._session}-{source}-{event.time:010.3f}-{word}{kind}.json"
        whole = np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2")
        with path.with_suffix(".wav").open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self._rate)
            file.writeframes(whole.tobytes())
        path.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        self._kept.append(Kept(path, _size(path)))
        self._prune()

    def _prune(self) -> None:
        """The oldest go first, and the newest stays."""
        total = sum(kept.size for kept in self._kept)
        while total > self._limit and len(self._kept) > 1:
            oldest = self._kept.pop(0)
            oldest.path.with_suffix(".wav").unlink(missing_ok=True)
            oldest.path.unlink(missing_ok=True)
            total -= oldest.size


def _size(path: Path) -> int:
    sound = path.with_suffix(".wav")
    return path.stat().st_size + (sound.stat().st_size if sound.exists() else 0)
