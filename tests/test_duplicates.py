"""The bundled recording, cut into clips and bent in the ways in which the same clip comes twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws_stream import AudioError
from models.duplicates import (
    HOP,
    THRESHOLD,
    find_duplicates,
    fingerprint_clips,
    fingerprint_recording,
    nearest,
    read_clips,
)
from models.recordings import CLIP, SAMPLE_RATE, Samples, opus_coded

CHANGES: dict[str, Callable[[Samples], Samples]] = {
    "low bits cleared": lambda clip: clip >> 4 << 4,
    "16 dB quieter": lambda clip: (clip * 0.16).astype(np.int16),
    "6 dB louder, clipped": lambda clip: (clip * 2.0).clip(-32768, 32767).astype(np.int16),
    "10 ms later": lambda clip: np.pad(clip, (160, 0))[:CLIP],
    "45 ms earlier": lambda clip: np.pad(clip, (0, 720))[720:],
    "last tenth cut off": lambda clip: clip[: CLIP * 9 // 10],
    "coded at 40 kbit/s": lambda clip: opus_coded(clip, 0.85),
    "coded at 18 kbit/s": lambda clip: opus_coded(clip, 0.95),
    "all of that": lambda clip: opus_coded(np.pad((clip >> 3 << 3) // 3, (160, 0))[:CLIP], 0.9),
}


@pytest.fixture(scope="module")
def clips(example: Samples) -> Samples:
    """`(clips, CLIP)`: the seconds of the recording in which something is said."""
    rows = example[: len(example) // CLIP * CLIP].reshape(-1, CLIP)
    return rows[np.abs(rows).max(1) > 1000]


def write(folder: Path, clips: Samples) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number}.wav" for number in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        soundfile.write(path, clip, SAMPLE_RATE)
    return paths


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_the_same_sound(change: str, clips: Samples) -> None:
    copies = np.zeros_like(clips)
    for copy, clip in zip(copies, clips, strict=True):
        changed = CHANGES[change](clip)
        copy[: len(changed)] = changed
    index, similarity = nearest(copies, fingerprint_clips(clips))
    np.testing.assert_array_equal(index, np.arange(len(clips)))
    assert similarity.min() > THRESHOLD


def test_other_words_of_the_same_voices_are_not(clips: Samples) -> None:
    for number in range(len(clips)):
        others = np.delete(clips, number, 0)
        assert nearest(clips[number : number + 1], fingerprint_clips(others))[1] < THRESHOLD


def test_a_clip_is_found_in_the_recording_that_it_was_cut_from(example: Samples) -> None:
    start = 3 * CLIP + 37
    pool = np.concatenate(list(fingerprint_recording(example, block=100)))
    np.testing.assert_allclose(pool, np.concatenate(list(fingerprint_recording(example))), atol=1e-6)
    index, similarity = nearest(example[start : start + CLIP][None] >> 3 << 3, pool, reach=1)
    assert abs(int(index[0]) * HOP - start) <= HOP
    assert similarity[0] > THRESHOLD


def test_a_recording_of_less_than_a_second_holds_no_clip(example: Samples) -> None:
    assert list(fingerprint_recording(example[: CLIP - 1])) == []


def test_digital_silence_is_like_nothing(clips: Samples) -> None:
    silence = np.zeros((1, CLIP), np.int16)
    assert not fingerprint_clips(silence).any()
    assert nearest(silence, fingerprint_clips(clips))[1] == 0


def test_files_are_told_by_their_sound(clips: Samples, tmp_path: Path) -> None:
    pool = write(tmp_path / "pool", clips[3:])
    asked = write(tmp_path / "asked", np.concatenate([clips[:4], clips[5:6] // 2]))
    matches = find_duplicates(asked, pool)
    assert [(match.path, match.other) for match in matches] == [(asked[3], pool[0]), (asked[4], pool[2])]
    assert matches[0].similarity == pytest.approx(1)
    assert find_duplicates(asked, []) == find_duplicates([], pool) == []


def test_short_files_are_followed_by_zeros_and_long_ones_cut(example: Samples, tmp_path: Path) -> None:
    for name, count in (("short", 9000), ("long", 20_000)):
        soundfile.write(tmp_path / f"{name}.wav", example[:count], SAMPLE_RATE)
    short, long = read_clips([tmp_path / "short.wav", tmp_path / "long.wav"])
    np.testing.assert_array_equal(short, np.pad(example[:9000], (0, CLIP - 9000)))
    np.testing.assert_array_equal(long, example[:CLIP])


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    with pytest.raises(AudioError, match=r"bad\.wav: not readable"):
        find_duplicates([tmp_path / "bad.wav"], [tmp_path / "bad.wav"])
