"""Folders to learn from, and what lies in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import soundfile

from kws_stream.errors import AudioError
from models.dataset import BACKGROUND, Clip, fingerprint, list_audio, list_clips
from models.labels import KEYWORDS
from models.recordings import list_sentences


@dataclass(frozen=True)
class Sources:
    """Folders to learn from. Only `corpus` has splits by rule; the others name a folder of the split itself."""

    corpus: Path
    """a folder that `list_clips` reads"""

    noise: tuple[Path, ...] = ()
    """folders of long recordings without speech"""

    impulse_responses: Path | None = None
    """a folder of room impulse responses"""

    words: tuple[Path, ...] = ()
    """more folders of word folders, each holding `train/` and `val/`"""

    speech: Path | None = None
    """a folder with `train/`, `val/` and `transcripts.csv`: running speech"""

    cache: Path | None = None
    """a folder for decoded clips"""

    val_noise: Path | None = None
    """a folder of noise for validation"""

    def noise_folders(self) -> tuple[Path, ...]:
        """The named ones, or the corpus' own, or `background/` and `train/` of a folder `noise/` beside it."""
        if self.noise:
            return self.noise
        if (own := self.corpus / BACKGROUND).is_dir():
            return (own,)
        beside = self.corpus.resolve().parent / "noise"
        return tuple(path for path in (beside / "background", beside / "train") if path.is_dir())

    def val_noise_folders(self) -> tuple[Path, ...]:
        """The named one, or `noise/val/` beside the corpus, or else those of the training."""
        beside = self.corpus.resolve().parent / "noise" / "val"
        if self.val_noise:
            return (self.val_noise,)
        return (beside,) if beside.is_dir() else self.noise_folders()

    def training_clips(self) -> list[list[Clip]]:
        """The clips to learn from, of each folder of words; those of the corpus first."""
        return [list_clips(folder, "train") for folder in (self.corpus, *self.words)]

    def sentences(self, split: str) -> list[Path]:
        """Recordings of running speech without keywords; none where there is no folder of them."""
        if self.speech is None:
            return []
        return list_sentences(self.speech / split, self.speech / "transcripts.csv", KEYWORDS)

    def responses(self) -> list[Path]:
        """Room impulse responses."""
        return list_audio(self.impulse_responses) if self.impulse_responses else []

    def survey(self) -> dict[str, object]:
        """What a checkpoint says about its training data, and a bank is known by. Nothing is decoded for it."""
        clips = [clip for folder in self.training_clips() for clip in folder]
        noise = [path for folder in self.noise_folders() for path in list_audio(folder)]
        return {
            "clips": len(clips),
            "fingerprint": fingerprint(clips),
            "noise_minutes": minutes(noise),
            "speech_minutes": minutes(self.sentences("train")),
            "impulse_responses": len(self.responses()),
        }


def minutes(recordings: Iterable[Path]) -> float:
    """Their length together, by their headers; AudioError for a file that has none."""
    seconds = 0.0
    for path in recordings:
        try:
            seconds += soundfile.info(path).duration
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{path}: not readable as audio ({error.error_string})") from error
    return round(seconds / 60, 1)
