"""Transcribed sentences as features and phones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from kws_stream.config import FrontendConfig
from kws_stream.errors import AudioError
from kws_stream.frontend import log_mel, to_float
from models.augment import AugmentConfig
from models.phones import Inventory
from models.recordings import Recordings
from models.sentences import PhoneBatches, Renderings, Sentence, list_transcribed, plain, render
from tests.sentences import write_sentences

CONFIG = FrontendConfig()
HISS = Recordings(np.random.default_rng(0).integers(-300, 300, 160_000).astype(np.int16), np.arange(1))
ESPEAK = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> list[Sentence]:
    if not shutil.which("espeak-ng"):
        pytest.skip("needs espeak-ng")
    return list_transcribed(write_sentences(tmp_path_factory.mktemp("speech")), "train")


def test_only_what_has_a_transcript_is_listed(sentences: list[Sentence]) -> None:
    assert [sentence.path.name for sentence in sentences] == [f"train{number}.flac" for number in range(6)]
    assert all(len(sentence.phones) > 5 for sentence in sentences)


def test_a_folder_without_transcripts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="expected a CSV"):
        list_transcribed(tmp_path, "train")
    (tmp_path / "transcripts.csv").write_text("path,transcript\nother.flac,yes\n")
    with pytest.raises(AudioError, match="no recording"):
        list_transcribed(tmp_path, "train")


def test_plain_features_are_those_of_the_runtime(sentences: list[Sentence]) -> None:
    samples, _ = soundfile.read(sentences[0].path, dtype="int16")
    expected = log_mel(to_float(samples), CONFIG)  # mean 0 and standard deviation 1, as the bank has them
    ours = plain(sentences, CONFIG)[0]
    np.testing.assert_allclose(ours.float().numpy(), expected * CONFIG.std + CONFIG.mean, atol=0.02)  # float16


def test_versions_differ_and_come_again(sentences: list[Sentence]) -> None:
    renderings = Renderings(sentences, 2, CONFIG, HISS, torch.empty(0, 1), AugmentConfig())
    assert len(renderings) == 12
    first, second = renderings[0], renderings[len(sentences)]
    assert first.shape != second.shape or not torch.equal(first, second)
    assert torch.equal(first, renderings[0])
    longest = len(plain(sentences, CONFIG)[0])
    for features in (first, second):
        assert longest / 1.15 < len(features) < longest * 1.15
    assert torch.equal(render(renderings, workers=0)[7], renderings[7])


def test_batches_hold_every_sentence_once_an_epoch(sentences: list[Sentence]) -> None:
    inventory = Inventory([sentence.phones for sentence in sentences], rare=1)
    features = render(Renderings(sentences, 2, CONFIG, HISS, torch.empty(0, 1), AugmentConfig()), workers=0)
    batches = PhoneBatches(features, sentences, inventory, CONFIG, batch_size=4, seed=1)
    assert len(batches) == 2
    seen = []
    for epoch in range(3):
        batches.epoch = epoch
        drawn = list(batches)
        assert sum(len(batch.frames) for batch in drawn) == len(sentences)
        for batch in drawn:
            assert batch.features.shape[:2] == (len(batch.frames), 1)
            assert batch.features.shape[2] == batch.frames.max()
            assert batch.counts.sum() == len(batch.phones)
            assert (batch.phones > 0).all()  # 0 is none
            for row, frames in zip(batch.features, batch.frames, strict=True):
                assert not row[:, frames:].any()
        seen.append(sorted(int(frames) for batch in drawn for frames in batch.frames))
    assert seen[0] != seen[1]  # another version
    assert seen[0] == seen[2]
