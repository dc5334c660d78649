from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws_stream import AudioError
from models.dataset import Clip
from models.recordings import (
    CLIP,
    ROW,
    Clips,
    list_sentences,
    load_clips,
    load_impulse_responses,
    load_recordings,
    load_speech,
    merge,
    opus_coded,
    read_mono,
)

RATE = 16_000


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    rng = np.random.default_rng(0)
    lengths = {"often": [8000, 16_000, 20_000, 9000], "seldom": [12_000]}
    for word, values in lengths.items():
        (tmp_path / word).mkdir()
        for number, length in enumerate(values):
            soundfile.write(tmp_path / word / f"{number}.flac", rng.normal(0, 0.1, length), RATE)
    return [Clip(path, path.parent.name) for path in sorted(tmp_path.rglob("*.flac"))]


def test_rows_of_a_second(clips: list[Clip]) -> None:
    loaded = load_clips(clips)
    assert loaded.samples.shape == (5, CLIP)
    assert loaded.lengths.tolist() == [8000, 16_000, 16_000, 9000, 12_000]
    assert not loaded.samples[0, 8000:].any()
    np.testing.assert_array_equal(loaded.samples[2], read_mono(clips[2].path)[2000:18_000])


def test_a_rare_word_is_drawn_more_often_than_its_clips_but_not_as_often_as_a_common_one(clips: list[Clip]) -> None:
    weights = load_clips(clips).weights
    assert weights.sum() == pytest.approx(1)
    assert weights[4] / weights[:4].sum() == pytest.approx(1 / 2)  # sqrt(1) / sqrt(4)


def test_merged_folders_are_drawn_from_by_their_shares_and_each_by_its_own_weights() -> None:
    few = Clips(np.full((2, CLIP), 1, np.int16), np.array([1000, 2000]), np.array([0.25, 0.75]))
    many = Clips(np.full((4, CLIP), 2, np.int16), np.array([3000] * 4), np.full(4, 0.25))
    merged = merge([few, many], shares=[3, 1])
    assert merged.samples[:, 0].tolist() == [1, 1, 2, 2, 2, 2]
    assert merged.lengths.tolist() == [1000, 2000, 3000, 3000, 3000, 3000]
    assert merged.weights.tolist() == pytest.approx([0.1875, 0.5625, 0.0625, 0.0625, 0.0625, 0.0625])
    with pytest.raises(ValueError, match="shorter"):
        merge([few, many], shares=[1])


def test_the_cache_holds_the_same(clips: list[Clip], tmp_path: Path) -> None:
    first = load_clips(clips, coded_share=0.5, seed=1, cache=tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    written = kept.stat().st_mtime_ns
    again = load_clips(clips, coded_share=0.5, seed=1, cache=tmp_path / "cache")
    np.testing.assert_array_equal(first.samples, again.samples)
    assert kept.stat().st_mtime_ns == written
    load_clips(clips, coded_share=0.5, seed=2, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_opus_keeps_the_sound_and_leaves_its_mark() -> None:
    at = np.arange(RATE) / RATE
    noise = np.random.default_rng(0).normal(0, 300, RATE)
    samples = (8000 * np.sin(2 * np.pi * 300 * at) + noise).astype(np.int16)
    coded = opus_coded(samples, level=0.9)
    assert len(coded) == len(samples)
    assert np.corrcoef(samples, coded)[0, 1] > 0.98
    assert np.abs(samples - coded.astype(int)).max() > 100


def test_slices_stay_inside(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.linspace(0, 0.9, 3 * RATE), RATE)
    recordings = load_recordings([tmp_path / "a.wav"])
    rows = recordings.draw(np.random.default_rng(0), 50)
    assert rows.shape == (50, ROW)
    assert (np.diff(rows.astype(int), axis=1) >= 0).all()


def test_speech_is_speech_and_a_pause_is_a_pause(data: Path) -> None:
    speech, pauses = load_speech(
        list_sentences(data / "speech" / "val", data / "speech" / "transcripts.csv", ["yes", "no", "on"])
    )
    rng = np.random.default_rng(0)
    level = [np.sqrt(np.mean((source.draw(rng, 200) / 32768) ** 2)) for source in (speech, pauses)]
    assert level[0] > 5 * level[1]


def test_sentences_with_keywords_and_without_transcripts_are_left_out(tmp_path: Path) -> None:
    for name, value in {"free": 0.1, "spoken": 0.2, "unclear": 0.3, "unlisted": 0.4}.items():
        soundfile.write(tmp_path / f"{name}.wav", np.full(2 * RATE, value), RATE)
    table = tmp_path / "transcripts.csv"
    table.write_text(
        "path,corpus,seconds,keywords_spoken,transcript\n"
        "speech/free.wav,x,2,,nothing here\nspeech/spoken.wav,x,2,left on,left on it\nspeech/unclear.wav,x,2,?,\n"
    )
    assert list_sentences(tmp_path, table, ["on", "off"]) == [tmp_path / "free.wav"]


def test_impulse_responses_begin_at_the_direct_sound(tmp_path: Path) -> None:
    response = np.zeros(4000)
    response[500], response[900] = 0.8, 0.4
    soundfile.write(tmp_path / "room.wav", response, RATE)
    (row,) = load_impulse_responses([tmp_path / "room.wav"])
    assert row.shape == (CLIP,)
    assert np.flatnonzero(row).tolist() == [0, 400]
    assert np.square(row).sum() == pytest.approx(1, abs=1e-4)


def test_other_rates_and_damaged_files_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "fast.wav", np.zeros(100), 44_100)
    with pytest.raises(AudioError, match="expected 16000 Hz, got 44100 Hz"):
        read_mono(tmp_path / "fast.wav")
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(AudioError, match="not readable as audio"):
        read_mono(tmp_path / "text.wav")
