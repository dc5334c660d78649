"""Which folders are taken, and what is told of them without decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws_stream.errors import AudioError
from models.corpora import Sources, minutes
from tests.corpus import write_corpus

RATE = 16_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=2)


def test_noise_is_found_in_the_corpus_or_beside_it(corpus: Path, tmp_path: Path) -> None:
    assert Sources(corpus).noise_folders() == Sources(corpus).val_noise_folders() == (corpus / "_background_noise_",)
    for name in ("background", "train", "val"):
        (tmp_path / "noise" / name).mkdir(parents=True)
    beside = Sources(tmp_path / "words")
    assert beside.noise_folders() == (tmp_path / "noise" / "background", tmp_path / "noise" / "train")
    assert beside.val_noise_folders() == (tmp_path / "noise" / "val",)
    named = Sources(tmp_path / "words", noise=(tmp_path,), val_noise=corpus)
    assert (named.noise_folders(), named.val_noise_folders()) == ((tmp_path,), (corpus,))


def test_the_survey_counts_clips_and_minutes(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "speech" / "train").mkdir(parents=True)
    (tmp_path / "rooms").mkdir()
    for name, seconds in (("one.flac", 60), ("two.flac", 30), ("three.flac", 600)):
        soundfile.write(tmp_path / "speech" / "train" / name, np.zeros(seconds * RATE, np.int16), RATE)
    soundfile.write(tmp_path / "rooms" / "hall.wav", np.ones(100, np.int16), RATE)
    table = "path,keywords_spoken\ntrain/one.flac,\ntrain/two.flac,\ntrain/three.flac,stop go\n"
    (tmp_path / "speech" / "transcripts.csv").write_text(table)
    survey = Sources(corpus, speech=tmp_path / "speech", impulse_responses=tmp_path / "rooms").survey()
    assert survey["clips"] == 24
    assert survey["speech_minutes"] == 1.5  # a keyword is spoken in the third
    assert survey["impulse_responses"] == 1
    alone = Sources(corpus).survey()
    assert (alone["speech_minutes"], alone["impulse_responses"]) == (0, 0)
    assert alone["fingerprint"] == survey["fingerprint"]
    assert alone["fingerprint"] != Sources(corpus, words=(corpus,)).survey()["fingerprint"]


def test_a_file_that_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "noise.wav").write_text("no audio")
    with pytest.raises(AudioError, match=r"noise\.wav: not readable as audio"):
        minutes([tmp_path / "noise.wav"])
