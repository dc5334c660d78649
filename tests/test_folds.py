"""Who is in which fold, and that nobody is in two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kws_stream.errors import AudioError
from models.dataset import list_clips
from models.folds import CLIP, Folds, draw_silence, load_folds, rank
from models.labels import LABELS
from models.lightcnn import LOG_SPECTROGRAM
from tests.corpus import write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=10)


@pytest.fixture(scope="module")
def folds(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return load_folds(corpus, LOG_SPECTROGRAM, 5, tmp_path_factory.mktemp("cache"))


def test_no_speaker_is_in_two_folds(corpus: Path, folds: Folds) -> None:
    clips = [*list_clips(corpus, "train"), *list_clips(corpus, "val")]
    by_speaker: dict[str, set[int]] = {}
    for clip, fold in zip(clips, folds.folds, strict=False):
        by_speaker.setdefault(clip.speaker, set()).add(int(fold))
    assert len(by_speaker) == 20
    assert all(len(found) == 1 for found in by_speaker.values())
    assert len(set(folds.folds.tolist())) == 5


def test_every_row_is_judged_once(folds: Folds) -> None:
    held, learnt = [folds.part(fold, True) for fold in range(5)], [folds.part(fold, False) for fold in range(5)]
    assert sum(part.rows for part in held) == len(folds.labels)
    assert all(a.rows + b.rows == len(folds.labels) for a, b in zip(held, learnt, strict=True))
    assert (np.bincount(folds.labels, minlength=12)[LABELS.index("silence")]) == 20  # as an average keyword


def test_features_are_log_spectrograms_before_standardisation(folds: Folds) -> None:
    part = folds.part(0, False)
    assert part.features.shape[1:] == (99, 161)
    config = part.measure(LOG_SPECTROGRAM)
    standard = (part.features.astype(np.float32) - config.mean) / config.std
    assert abs(standard.mean()) < 0.05
    assert abs(standard.std() - 1) < 0.05


def test_a_smaller_share_is_a_part_of_a_larger_one_and_has_all_labels() -> None:
    labels, keys = np.repeat(np.arange(3), 100).astype(np.uint8), [str(row) for row in range(300)]
    ranks = rank(keys, labels, np.zeros(300, np.int64))
    for share in (0.1, 0.3, 1.0):
        assert np.bincount(labels[ranks < share]).tolist() == [round(100 * share)] * 3
    assert not np.array_equal(np.flatnonzero(ranks < 0.1)[:10], np.arange(10))  # not the first by name


def test_silence_of_two_folds_comes_from_two_stretches() -> None:
    noise = (np.arange(5 * 20_000) // 20_000).astype(np.int16)  # the number of the stretch
    rows = draw_silence(noise, 40, 5)
    assert rows.shape == (40, CLIP)
    assert all((row == number % 5).all() for number, row in enumerate(rows))


def test_the_spectrograms_are_kept(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_folds(corpus, LOG_SPECTROGRAM, 5, tmp_path)
    monkeypatch.setattr("models.folds.load_clips", lambda *arguments: pytest.fail("decoded again"))
    np.testing.assert_array_equal(load_folds(corpus, LOG_SPECTROGRAM, 5, tmp_path).features, first.features)


def test_a_folder_without_clips(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no folder"):
        load_folds(tmp_path / "nowhere", LOG_SPECTROGRAM, 5, tmp_path)
