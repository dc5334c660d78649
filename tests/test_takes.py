"""What comes of a word that a voice says."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from models.synthesisers import ENGINES
from models.synthesize import plan_words
from models.takes import MARGIN, UnspokenError, render, trim

RATE = 16_000
ESPEAK = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")


@pytest.mark.skipif(not shutil.which("flite"), reason="needs flite")
def test_a_mumbled_word_is_slowed() -> None:
    """The diphone voice of flite says `on` within a tenth of a second."""
    voices = [voice for voice in ENGINES["flite"].list_voices() if voice.name == "kal16"]
    takes = plan_words({"on": 14}, voices, seed=0)
    rendered = [(take, *render(take)) for take in takes]
    assert all(len(samples) >= 0.25 * RATE for _, samples, _ in rendered)
    assert any(rate < take.manner.rate for take, _, rate in rendered)


@ESPEAK
def test_a_longer_word_is_hurried_and_a_sentence_left_out() -> None:
    voices = [voice for voice in ENGINES["espeak-ng"].list_voices() if voice.kind == "accent"]
    (take, *_) = plan_words({"extraordinarily": 1}, voices, seed=0)
    samples, rate = render(take)
    assert len(samples) <= RATE
    assert rate > take.manner.rate
    (take, *_) = plan_words({"please would you be so kind as to switch on the light": 1}, voices, seed=0)
    with pytest.raises(UnspokenError, match="longer than a second"):
        render(take)


def test_silence_is_no_word() -> None:
    with pytest.raises(UnspokenError, match="silent"):
        trim(np.zeros(RATE))
    with pytest.raises(UnspokenError, match="silent"):
        trim(np.zeros(0))


def test_trimming_keeps_the_word_and_a_margin() -> None:
    tone = np.sin(np.arange(RATE // 4) * 0.3)
    for before, after in ((0, 0), (5000, 3000)):
        trimmed = trim(np.concatenate([np.zeros(before), tone, np.zeros(after)]))
        assert len(trimmed) == pytest.approx(len(tone) + 2 * MARGIN, abs=RATE // 100)
        assert np.abs(trimmed).max() == pytest.approx(1, abs=1e-3)
        assert trimmed[0] == trimmed[-1] == 0
