from __future__ import annotations

from pathlib import Path

import pytest

from kws_stream import AudioError
from models.dataset import fingerprint, hash_split, list_clips
from models.labels import LABELS, label_of


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names(root: Path, split: str) -> list[str]:
    return [clip.path.relative_to(root).as_posix() for clip in list_clips(root, split)]  # type: ignore[arg-type]


def test_the_twelve_labels() -> None:
    assert len(LABELS) == 12
    assert [label_of(word) for word in ("yes", "_silence_", "silence", "_unknown_", "house", "Go")] == [
        "yes",
        "silence",
        "silence",
        "unknown",
        "unknown",
        "go",
    ]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_hash_is_the_corpus_own(data: Path, split: str) -> None:
    """Every speaker of the official splits falls where the rule says."""
    clips = [clip for clip in list_clips(data / "speech_commands", split) if not clip.word.startswith("_")]  # type: ignore[arg-type]
    assert len(clips) > 1000
    assert {hash_split(clip.path.name) for clip in clips} == {split}


def test_one_speaker_stands_in_one_split() -> None:
    assert len({hash_split(f"1234abcd_nohash_{take}.wav") for take in range(20)}) == 1


def test_folders_of_splits_come_first(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "train/yes/a_nohash_0.wav",
        "val/yes/b_nohash_0.flac",
        "test/no/c_nohash_0.opus",
        "train/yes/notes.txt",
    )
    assert names(tmp_path, "train") == ["train/yes/a_nohash_0.wav"]
    assert names(tmp_path, "val") == ["val/yes/b_nohash_0.flac"]


def test_the_official_lists_decide(tmp_path: Path) -> None:
    tree(tmp_path, "yes/a_nohash_0.wav", "yes/b_nohash_0.wav", "no/c_nohash_0.wav", "_background_noise_/tap.wav")
    (tmp_path / "validation_list.txt").write_text("yes/b_nohash_0.wav\n")
    (tmp_path / "testing_list.txt").write_text("no/c_nohash_0.wav\n")
    assert names(tmp_path, "train") == ["yes/a_nohash_0.wav"]
    assert names(tmp_path, "val") == ["yes/b_nohash_0.wav"]
    assert names(tmp_path, "test") == ["no/c_nohash_0.wav"]


def test_without_either_the_hash_decides(tmp_path: Path) -> None:
    tree(tmp_path, *(f"yes/{speaker:08x}_nohash_0.wav" for speaker in range(200)))
    splits = {split: names(tmp_path, split) for split in ("train", "val", "test")}
    assert sum(map(len, splits.values())) == 200
    assert len(splits["train"]) > 130
    assert all(hash_split(Path(name).name) == split for split, found in splits.items() for name in found)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no folder"):
        list_clips(tmp_path / "nothing", "train")
    with pytest.raises(AudioError, match="no clips for train"):
        list_clips(tmp_path, "train")


def test_training_and_validation_never_open_the_test_folder(data: Path) -> None:
    for split in ("train", "val"):
        assert all(
            "test" not in clip.path.relative_to(data).parts for clip in list_clips(data / "speech_commands", split)
        )  # type: ignore[arg-type]


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    tree(tmp_path, "yes/00000001_nohash_0.wav", "yes/00000002_nohash_0.wav")
    clips = [clip for split in ("train", "val", "test") for clip in _clips(tmp_path, split)]
    before = fingerprint(clips)
    assert fingerprint(clips) == before
    clips[0].path.write_text("longer")
    assert fingerprint(clips) != before


def _clips(root: Path, split: str) -> list:
    try:
        return list_clips(root, split)  # type: ignore[arg-type]
    except AudioError:
        return []


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_is_no_corpus(split: str, tmp_path: Path) -> None:
    """Split once more by hash, the test clips would end up in the training."""
    for name in ("train", "val", "test"):
        (tmp_path / name / "yes").mkdir(parents=True)
        (tmp_path / name / "yes" / "0123abcd_nohash_0.wav").touch()
    with pytest.raises(AudioError, match="is one split of a corpus; give the whole one: "):
        list_clips(tmp_path / split, "train")
