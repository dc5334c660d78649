"""Nothing of the test split is in another: neither its speakers nor its sounds. That no command opens it is in
test_untouched.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from models.dataset import hash_split, list_audio, list_clips, speaker_of
from models.duplicates import (
    CLIP,
    THRESHOLD,
    Floats,
    fingerprint_clips,
    fingerprint_recording,
    nearest,
    read_clips,
)
from models.recordings import SAMPLE_RATE, Samples, opus_coded, read_mono

SPLITS = ("train", "val", "test")
HEARD = {"ambience_pyroomacoustics_doing_the_dishes.opus", "ambience_howl_dude_miaowing.opus"}
"""Files of `noise/test` that hold two of the six recordings of `noise/background` under other names."""


class Sounds(NamedTuple):
    """The clips of train, then those of val."""

    paths: list[Path]
    train: int
    """how many are of train"""
    fingerprints: Floats


def clips_of(data: Path, split: str) -> list[Path]:
    return [clip.path for clip in list_clips(data / "speech_commands", split)]  # type: ignore[arg-type]


def speaker(path: Path) -> str:
    """Of `SPEAKER_nohash_N`, or `WORD_SPEAKER_nohash_N` in the folder of unknown test words."""
    return speaker_of(path.name).split("_")[-1]


def reader(path: Path) -> tuple[str, int]:
    """Corpus and speaker of a sentence, or of a word that was cut out of one."""
    found = re.match(r"(?:libri(?:speech_)?|so|speechocean_)(\d+)[_-]|LJ\d", path.name)
    assert found, f"a name of an unknown form: {path.name}"
    return path.name[0], int(found[1] or 0)  # l(ibrispeech), s(peechocean) or L(JSpeech), which has one reader


def second(path: Path) -> Samples:
    """`(CLIP,)`: a second from near the beginning of a sentence or a noise."""
    frames = CLIP + SAMPLE_RATE // 2
    samples, rate = soundfile.read(path, frames=frames, dtype="int16", fill_value=0)  # to seek takes longer
    assert rate == SAMPLE_RATE
    return samples[-CLIP:]


@pytest.fixture(scope="module")
def known(data: Path) -> Sounds:
    train, val = clips_of(data, "train"), clips_of(data, "val")
    return Sounds(train + val, len(train), fingerprint_clips(read_clips(train + val)))


def test_no_speaker_of_a_test_clip_is_in_train_or_val(data: Path) -> None:
    train, val, test = ({speaker(p) for p in clips_of(data, s) if "_nohash_" in p.name} for s in SPLITS)
    assert (len(test) > 100, test & train, test & val, train & val) == (True, set(), set(), set())


@pytest.mark.parametrize("split", SPLITS)
def test_every_clip_lies_where_the_hash_of_its_speaker_says(data: Path, split: str) -> None:
    """`_unknown_` included; clips of silence have no speaker."""
    paths = clips_of(data, split)
    named = [path for path in paths if "_nohash_" in path.name]
    assert {path.parent.name for path in paths if "_nohash_" not in path.name} <= {"_silence_"}
    assert {hash_split(speaker(path)) for path in named} == {split}


def test_no_reader_of_a_test_sentence_is_in_train_or_val(data: Path) -> None:
    test = {reader(path) for path in list_audio(data / "speech" / "test")}
    heard = {
        reader(path)
        for split in ("train", "val")
        for path in [*list_audio(data / "speech" / split), *(data / "cut_words" / split).glob("*/*")]
    }
    cut = {reader(path) for path in (data / "cut_words" / "train").glob("*/*")}
    assert {corpus for corpus, _ in cut & {reader(path) for path in list_audio(data / "speech" / "train")}} == {
        "l",
        "s",
    }
    assert len(test) > 50
    assert len(heard) > 300
    assert test & heard == set()


def test_no_test_clip_sounds_like_a_clip_of_train_or_val(data: Path, known: Sounds) -> None:
    """The nearest of all, for each of them; `models.duplicates` says how near copies are."""
    paths = clips_of(data, "test")
    index, similarity = nearest(read_clips(paths), known.fingerprints)
    close = [
        f"{path} is {known.paths[at]} ({value:.2f})"
        for path, at, value in zip(paths, index, similarity, strict=True)
        if value > THRESHOLD
    ]
    assert close == []


def test_no_clip_of_val_sounds_like_one_of_train(known: Sounds) -> None:
    """Different speakers saying the same words: what THRESHOLD was set by, along with the copies below."""
    train = known.fingerprints[: known.train]
    assert nearest(read_clips(known.paths[known.train :]), train)[1].max() < THRESHOLD


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_copy_would_be_found(data: Path, known: Sounds, split: str) -> None:
    """Each has its low bits cleared, another level and another place, was coded, and hides among the clips of train."""
    clips = read_clips([path for path in clips_of(data, split) if path.parent.name != "_silence_"][::25])
    copies = [opus_coded(np.pad((clip >> 2 << 2) // 2, (160, 0))[:CLIP], 0.9) for clip in clips]
    pool = np.concatenate([known.fingerprints[: known.train], fingerprint_clips(np.stack(copies))])
    index, similarity = nearest(clips, pool)
    np.testing.assert_array_equal(index, known.train + np.arange(len(clips)))
    assert similarity.min() > THRESHOLD


def test_no_test_sentence_sounds_like_one_of_train_or_val(data: Path) -> None:
    heard = [path for split in ("train", "val") for path in list_audio(data / "speech" / split)]
    test = list_audio(data / "speech" / "test")
    pool = fingerprint_clips(np.stack([second(path) for path in heard]))
    assert nearest(np.stack([second(path) for path in test]), pool)[1].max() < THRESHOLD


def test_the_official_silence_is_cut_from_the_official_noise(data: Path) -> None:
    """So a network that learnt from `noise/background` has heard the silence of the test split: as the corpus was
    published, and as everybody measures on it. Its words are another matter, see above."""
    background = [list(fingerprint_recording(read_mono(path))) for path in list_audio(data / "noise" / "background")]
    pool = np.concatenate([block for blocks in background for block in blocks])
    silence = read_clips([path for path in clips_of(data, "test") if path.parent.name == "_silence_"])
    assert len(silence) > 200
    assert nearest(silence, pool, reach=1)[1].min() > THRESHOLD


@pytest.mark.slow
def test_noise_of_the_test_split_is_in_no_other_but_for_two_files(data: Path) -> None:
    paths = list_audio(data / "noise" / "test")
    clips = np.stack([second(path) for path in paths])
    highest = np.zeros(len(clips))
    for folder in ("background", "train", "val"):
        for path in list_audio(data / "noise" / folder):
            for block in fingerprint_recording(read_mono(path)):
                highest = np.maximum(highest, nearest(clips, block, reach=1)[1])
    assert {path.name for path, value in zip(paths, highest, strict=True) if value > THRESHOLD} == HEARD
