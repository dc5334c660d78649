"""What is drawn, from recordings in which every sample says where it is from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from kws_stream.errors import AudioError
from models.batches import (
    Batch,
    Mixture,
    MixtureConfig,
    TrainingData,
    half_of,
    load_training_data,
    load_validation,
)
from models.corpora import Sources
from models.labels import KEYWORDS, LABELS, SILENCE, UNKNOWN
from models.recordings import CLIP, ROW, Clips, Recordings
from tests.corpus import write_corpus

NOISE, PAUSE, SPEECH = 7, 9, 20_000
"""every sample of these recordings"""
WORD = slice(4000, 12_000)
"""where a keyword is in its clip; its samples are 1000 times its number, from 1 on, and SOUND"""
SOUND = np.resize(np.array([1, -1], np.int16), 8000)
SOUND[-1] = 0  # or pre-emphasis hears it end a sample later
RISING = np.arange(1, 15_001, dtype=np.int16)
"""the only unknown word"""


def clips_of(samples: np.ndarray, length: int) -> Clips:
    """A label of one clip."""
    return Clips(samples[None], np.array([length]), np.ones(1))


def recording_of(value: int) -> Recordings:
    return Recordings(np.full(2 * ROW, value, np.int16), np.arange(0, ROW, 160))


@pytest.fixture
def data() -> TrainingData:
    clips = {UNKNOWN: clips_of(np.pad(RISING, (0, CLIP - len(RISING))), len(RISING))}
    for number, word in enumerate(KEYWORDS, 1):
        samples = np.zeros(CLIP, np.int16)
        samples[WORD] = 1000 * number * SOUND
        clips[word] = clips_of(samples, CLIP)
    silent = torch.empty(0, CLIP)
    return TrainingData(clips, recording_of(NOISE), silent, recording_of(SPEECH), recording_of(PAUSE))


def draw(data: TrainingData, count: int = 400, seed: int = 0, **shares: float) -> Batch:
    return Mixture(data, MixtureConfig(**shares)).draw(np.random.default_rng(seed), count)


def share(rows: torch.Tensor) -> float:
    return rows.float().mean().item()


def test_every_label_comes_in_its_share_and_sounds_like_it(data: TrainingData) -> None:
    batch = draw(data, 1500, unknown_share=0.3, silence_share=0.2)
    expected = [{UNKNOWN: 0.3, SILENCE: 0.2}.get(label, 0.05) for label in LABELS]
    np.testing.assert_allclose(np.bincount(batch.labels, minlength=12) / 1500, expected, atol=0.04)
    keywords = batch.labels < len(KEYWORDS)
    assert torch.equal(batch.samples[keywords, 8000] * 32768, 1000.0 * (batch.labels[keywords] + 1))
    assert not batch.samples[keywords, CLIP:].any()
    assert (batch.lengths[keywords] == CLIP).all()
    assert batch.samples.shape == batch.noise.shape == (1500, ROW)
    assert (batch.noise * 32768 == NOISE).all()


def test_unknown_rows_are_words_speech_halves_of_keywords_and_reversed_words(data: TrainingData) -> None:
    shares = {"speech_share": 0.3, "parts_share": 0.2, "reversed_share": 0.1}
    batch = draw(data, unknown_share=1, silence_share=0, **shares)
    samples = (batch.samples * 32768).long()
    words = torch.from_numpy(RISING).long()
    speech = (samples == SPEECH).all(1)
    halves = batch.lengths == 4000
    backwards = (samples[:, :15_000] == words.flip(0)).all(1)
    plain = (samples[:, :15_000] == words).all(1)
    assert [share(kind) for kind in (speech, halves, backwards, plain)] == pytest.approx([0.3, 0.2, 0.1, 0.4], abs=0.06)
    assert (speech | halves | backwards | plain).all()
    assert (batch.lengths[speech] == ROW).all()
    assert (samples[halves, :4000] % 1000 == 0).all()
    assert not samples[halves, 4000:].any()
    assert len(samples[halves, 0].unique()) == len(KEYWORDS)


def test_without_running_speech_there_are_more_words(data: TrainingData) -> None:
    data.speech = None
    batch = draw(data, unknown_share=1, silence_share=0, speech_share=0.5, parts_share=0, reversed_share=0)
    assert (batch.lengths == 15_000).all()


def test_a_pass_has_as_many_rows_as_clips_or_as_many_as_asked_for(data: TrainingData) -> None:
    assert len(Mixture(data)) == 11
    assert len(Mixture(data, MixtureConfig(rows=7))) == 7


def test_silence_is_noise_pauses_and_digital_silence(data: TrainingData) -> None:
    batch = draw(data, unknown_share=0, silence_share=1, quiet_share=0.2, pause_share=0.3)
    samples = (batch.samples * 32768).long()
    kinds = [(samples == NOISE).all(1), (samples == PAUSE).all(1), (samples.abs() <= 2).all(1)]
    assert [share(kind) for kind in kinds] == pytest.approx([0.5, 0.3, 0.2], abs=0.06)
    assert (batch.lengths == ROW).all()


def test_the_generator_decides(data: TrainingData) -> None:
    first, again, other = (draw(data, 20, seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.labels, other.labels)


def test_half_of_a_word_is_half_of_its_sound() -> None:
    samples = np.random.default_rng(0).integers(-2, 3, CLIP).astype(np.int16)
    samples[WORD] = (np.arange(8000) % 100 + 1000) * SOUND
    np.testing.assert_array_equal(half_of(samples, late=False), samples[4000:8000])
    np.testing.assert_array_equal(half_of(samples, late=True), samples[8000:12_000])


def test_a_clip_without_sound_has_empty_halves(data: TrainingData) -> None:
    assert len(half_of(np.zeros(CLIP, np.int16), late=True)) == 0
    data.clips = {label: clips_of(np.zeros(CLIP, np.int16), CLIP) for label in data.clips}
    batch = draw(data, 5, unknown_share=1, silence_share=0, speech_share=0, parts_share=1)
    assert not batch.samples.any()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=2)


def test_more_folders_of_words_are_drawn_from_by_their_size_and_the_corpus_more_often(
    corpus: Path, tmp_path: Path
) -> None:
    for number in range(8):
        path = tmp_path / "train" / ("yes" if number else "tree") / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(CLIP, 0.5), CLIP)
    loaded = load_training_data(Sources(corpus, words=(tmp_path,)), MixtureConfig(corpus_weight=3))
    yes, unknown = loaded.clips["yes"], loaded.clips[UNKNOWN]
    assert (len(yes.samples), len(unknown.samples)) == (2 + 7, 4 + 1)
    assert yes.weights[:2].sum() == pytest.approx(3 * 2**0.5 / (3 * 2**0.5 + 7**0.5))
    assert unknown.weights[:4].sum() == pytest.approx(3 * 2 / (3 * 2 + 1))
    assert len(Mixture(loaded)) == 24 + 8


def test_a_corpus_without_a_keyword_is_refused(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, clips=1)
    for path in (corpus / "train" / "stop").iterdir():
        path.unlink()
    with pytest.raises(AudioError, match=r"no clip of 'stop' to learn from"):
        load_training_data(Sources(corpus))


def test_validation_clips_come_as_they_are(corpus: Path) -> None:
    samples, labels = load_validation(Sources(corpus))
    assert len(samples) == len(labels) == 24 + 2
    assert labels.tolist().count(LABELS.index(SILENCE)) == 2
    recorded, _ = soundfile.read(sorted((corpus / "val" / "bird").iterdir())[0], dtype="float32")
    assert (samples[:, : len(recorded)] == torch.from_numpy(recorded)).all(1).sum() == 1
