from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.compose import LEVEL_DB, compose
from models.dataset import Clip
from models.spoken import spoken_part

RATE = 16_000


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Three "words": tones from 0.3 s to 0.6 s of different levels, in faint noise."""
    rng = np.random.default_rng(0)
    at = np.arange(RATE) / RATE
    for number, level in enumerate((0.01, 0.1, 0.5)):
        tone = level * np.sin(2 * np.pi * 600 * at) * ((at >= 0.3) & (at < 0.6))
        soundfile.write(tmp_path / f"{number}.wav", tone + rng.normal(0, level / 1000, RATE), RATE)
    return [Clip(tmp_path / f"{number}.wav", f"word{number}") for number in range(3)]


def test_the_spoken_part_of_a_clip(clips: list[Clip]) -> None:
    for clip in clips:
        samples, _ = soundfile.read(clip.path, dtype="float32")
        assert spoken_part(samples) == pytest.approx((0.3 * RATE, 0.6 * RATE), abs=160)


def test_a_click_beside_the_word_is_no_part_of_it() -> None:
    at = np.arange(RATE) / RATE
    samples = (0.3 * np.sin(2 * np.pi * 600 * at) * ((at >= 0.5) & (at < 0.8))).astype(np.float32)
    samples[1600:1760] = 0.1
    samples[-400:] = np.random.default_rng(0).uniform(-1, 1, 400)  # louder than the word, for 25 ms
    assert spoken_part(samples) == pytest.approx((0.5 * RATE, 0.8 * RATE), abs=160)


def test_the_background_of_a_clip_is_no_part_of_the_word() -> None:
    at = np.arange(RATE) / RATE
    rumble = 0.5 * np.sin(2 * np.pi * 30 * at) + np.random.default_rng(0).normal(0, 0.01, RATE)
    samples = (rumble + 0.2 * np.sin(2 * np.pi * 600 * at) * ((at >= 0.2) & (at < 0.5))).astype(np.float32)
    assert spoken_part(samples) == pytest.approx((0.2 * RATE, 0.5 * RATE), abs=160)


def test_all_of_a_clip_in_which_nothing_stands_out() -> None:
    assert spoken_part(np.zeros(RATE, np.float32)) == (0, RATE)


def test_words_stand_where_the_truth_says_at_the_same_level(clips: list[Clip]) -> None:
    noise = np.random.default_rng(1).normal(0, 1000, 20 * RATE).astype(np.int16)
    samples, words = compose(clips, noise, snr_db=30, gap=(0.5, 1.0), seed=0)
    assert [word.keyword for word in words] == ["word0", "word1", "word2"]
    signal = samples / 32768
    for word in words:
        spoken = signal[round(word.onset * RATE) : round(word.end * RATE)]
        assert 20 * np.log10(np.sqrt(np.mean(spoken**2))) == pytest.approx(LEVEL_DB, abs=0.5)
    quiet = signal[: round(words[0].onset * RATE) - 800]
    assert 20 * np.log10(np.sqrt(np.mean(quiet**2))) == pytest.approx(LEVEL_DB - 30, abs=1)
    for before, after in pairwise(words):
        assert 0.5 <= after.onset - before.end - 0.7 + 0.02 <= 1.05


def test_the_seed_decides(clips: list[Clip]) -> None:
    noise = np.random.default_rng(1).normal(0, 1000, 20 * RATE).astype(np.int16)
    first, again, other = (compose(clips, noise, 20, (0.5, 1.0), seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other)
