"""Which clips there are: a folder of word folders, and the split by speaker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from kws_stream.errors import AudioError
from models.labels import label_of

Split = Literal["train", "val", "test"]
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus"})
BACKGROUND = "_background_noise_"
_LIST_FILES = {"val": "validation_list.txt", "test": "testing_list.txt"}
_MAX_SPEAKERS = 2**27 - 1


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of one word."""

    path: Path
    word: str
    """name of its folder"""

    @property
    def label(self) -> str:
        """One of `models.labels.LABELS`."""
        return label_of(self.word)

    @property
    def speaker(self) -> str:
        """The part of the name in front of `_nohash_`."""
        return speaker_of(self.path.name)


def speaker_of(name: str) -> str:
    """Speaker of a file `SPEAKER_nohash_N.wav`; other names are their own speaker."""
    return name.split("_nohash_")[0]


def hash_split(name: str, val_percent: float = 10.0, test_percent: float = 10.0) -> Split:
    """The split of a file name by the rule of the corpus: a hash of its speaker, so that none stands in two splits.

    Warden 2018 (1804.03209), section 7: SHA-1 of the speaker modulo 2^27 - 1, as a percentage of that range.
    """
    digest = int(hashlib.sha1(speaker_of(name).encode()).hexdigest(), 16)
    percent = (digest % (_MAX_SPEAKERS + 1)) * (100.0 / _MAX_SPEAKERS)
    if percent < val_percent:
        return "val"
    return "test" if percent < val_percent + test_percent else "train"


def list_clips(root: Path, split: Split) -> list[Clip]:
    """The clips of one split below `root`, sorted by path.

    Three layouts, tried in this order: `root/{train,val,test}/WORD/*`; `root/WORD/*` with the official
    `validation_list.txt` and `testing_list.txt`; `root/WORD/*` split by `hash_split`. Only the asked split is opened.
    Raises AudioError when the folder holds no clip for it, or is itself one split of a corpus.
    """
    if not root.is_dir():
        raise AudioError(f"no folder {root}; expected one folder a word in it, or train/ val/ test/ with those")
    if (root / "train").is_dir():
        clips = list(_word_folders(root / split))
    else:
        whole = root.resolve().parent
        if root.resolve().name in get_args(Split) and (whole / "train").is_dir():
            # Split once more by hash, the test clips would end up in the training.
            raise AudioError(f"{root} is one split of a corpus; give the whole one: {whole}")
        lists = _official_lists(root)
        clips = [clip for clip in _word_folders(root) if _split_of(clip, lists) == split]
    if not clips:
        kinds = " ".join(sorted(AUDIO_SUFFIXES))
        raise AudioError(f"no clips for {split} below {root}; expected WORD/SPEAKER_nohash_N with one of {kinds}")
    return clips


def list_audio(root: Path) -> list[Path]:
    """Every recording directly in `root`, sorted; AudioError when there is none."""
    paths = sorted(p for p in root.glob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        raise AudioError(f"no recordings in {root}")
    return paths


def fingerprint(clips: Iterable[Clip]) -> str:
    """SHA-256 over names and sizes: tells whether two trainings saw the same files, without reading them again."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(f"{clip.word}/{clip.path.name}:{clip.path.stat().st_size}\n".encode())
    return digest.hexdigest()


def _word_folders(folder: Path) -> Iterable[Clip]:
    for word in sorted(p for p in folder.glob("*") if p.is_dir() and p.name != BACKGROUND):
        for path in sorted(word.iterdir()):
            if path.suffix.lower() in AUDIO_SUFFIXES:
                yield Clip(path, word.name)


def _split_of(clip: Clip, lists: dict[str, frozenset[str]]) -> str:
    if not lists:
        return hash_split(clip.path.name)
    entry = f"{clip.word}/{clip.path.name}"
    return next((split for split, entries in lists.items() if entry in entries), "train")


def _official_lists(root: Path) -> dict[str, frozenset[str]]:
    return {
        split: frozenset((root / name).read_text().split())
        for split, name in _LIST_FILES.items()
        if (root / name).is_file()
    }
