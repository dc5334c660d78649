"""Training end to end on a corpus of seconds: what lands in the run's folder, and that resuming changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.batches import Sources, TrainingBatches, load_training_data, load_validation
from models.labels import LABELS
from models.task import KeywordTask, load_checkpoint
from models.train import average, main
from tests.corpus import write_corpus

# Lightning's own use of torch, and its advice on loaders that hold everything in memory.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def train(corpus: Path, run: Path, *arguments: str) -> KeywordTask:
    common = ["lightcnn", "--data", str(corpus), "--run", str(run), "--batch", "16", "--seed", "3"]
    assert main([*common, *arguments]) == 0
    return load_checkpoint(run / "last.ckpt")


@pytest.fixture(scope="module")
def straight(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of four epochs."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    train(corpus, run, "--epochs", "4")
    return run


def test_a_checkpoint_says_how_it_was_made(straight: Path) -> None:
    task = load_checkpoint(straight / "best.ckpt")
    provenance = task.hparams["provenance"]
    assert provenance["seed"] == 3
    assert provenance["data"]["clips"] == 72
    assert len(provenance["data"]["fingerprint"]) == 64
    assert set(provenance["versions"]) == {"torch", "torchaudio", "lightning"}
    assert provenance["options"]["epochs"] == 4
    assert "/" not in str(provenance)
    assert task.hparams["labels"] == LABELS
    assert task.config.mean != 0
    assert not task.training


def test_scalars_for_tensorboard(straight: Path) -> None:
    events = EventAccumulator(str(straight)).Reload()
    assert {"train/loss", "train/accuracy", "val/loss", "val/accuracy"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("val/loss")) == 4


def test_a_killed_run_resumes_as_if_unbroken(corpus: Path, straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "broken"
    arguments = ["lightcnn", "--data", str(corpus), "--run", str(run), "--batch", "16", "--seed", "3", "--epochs", "4"]
    command = [sys.executable, "-m", "models.train", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 3/4"):
                process.kill()
        process.wait(60)
    assert torch.load(run / "last.ckpt", weights_only=True)["epoch"] in (1, 2)
    resumed = train(corpus, run, "--epochs", "4", "--resume").network.state_dict()
    for name, value in load_checkpoint(straight / "last.ckpt").network.state_dict().items():
        torch.testing.assert_close(resumed[name], value, msg=name)


def test_the_same_seed_gives_the_same_network_and_another_one_another(corpus: Path, straight: Path) -> None:
    data = load_training_data(Sources(corpus))
    first, again, other = (next(iter(TrainingBatches(data, 8, seed))) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.samples, other.samples)


def test_the_weights_are_averaged_from_the_start() -> None:
    averaged, current = torch.zeros(3), torch.ones(3)
    torch.testing.assert_close(average(averaged, current, torch.tensor(1)), current * 9 / 11)
    torch.testing.assert_close(average(averaged, current, torch.tensor(100_000)), current * 0.002)


def test_early_stopping_ends_a_run_that_learns_nothing(corpus: Path, tmp_path: Path) -> None:
    train(corpus, tmp_path / "stuck", "--epochs", "30", "--learning-rate", "1e-12", "--patience", "2")
    assert torch.load(tmp_path / "stuck" / "last.ckpt", weights_only=True)["epoch"] < 20


def test_a_batch_holds_every_label_in_its_share(corpus: Path) -> None:
    batches = TrainingBatches(load_training_data(Sources(corpus)), 4000, seed=0)
    batch = next(iter(batches))
    shares = np.bincount(batch.labels, minlength=len(LABELS)) / 4000
    np.testing.assert_allclose(shares, batches.shares, atol=0.02)
    silence = batch.labels == LABELS.index("silence")
    assert batch.samples[silence].abs().max() < 0.2
    assert batch.lengths[~silence].min() >= 12_000


def test_validation_clips_come_as_they_are(corpus: Path) -> None:
    samples, labels = load_validation(Sources(corpus))
    assert len(samples) == len(labels) == 72 + 7
    assert labels.tolist().count(LABELS.index("silence")) == 7


def test_noise_is_found_in_the_corpus_or_beside_it(corpus: Path, tmp_path: Path) -> None:
    assert Sources(corpus).noise_folders() == Sources(corpus).val_noise_folders() == (corpus / "_background_noise_",)
    for name in ("background", "train", "val"):
        (tmp_path / "noise" / name).mkdir(parents=True)
    beside = Sources(tmp_path / "words")
    assert beside.noise_folders() == (tmp_path / "noise" / "background", tmp_path / "noise" / "train")
    assert beside.val_noise_folders() == (tmp_path / "noise" / "val",)
    named = Sources(tmp_path / "words", noise=(tmp_path,), val_noise=corpus)
    assert (named.noise_folders(), named.val_noise_folders()) == ((tmp_path,), (corpus,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--data", "nowhere"], "no folder nowhere"),
        (["--noise", "nowhere"], "no recordings in nowhere"),
        (["--resume"], "nothing to resume"),
    ],
)
def test_bad_input_is_one_line(
    change: list[str], message: str, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["lightcnn", "--data", str(corpus), "--run", str(tmp_path / "run"), "--epochs", "1"]
    assert main([*common, *change]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_corpus_without_noise_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write_corpus(tmp_path, clips=1)
    (corpus / "_background_noise_" / "hiss.wav").unlink()
    os.rmdir(corpus / "_background_noise_")
    assert main(["lightcnn", "--data", str(corpus)]) == 1
    assert "name a folder of noise recordings (--noise)" in capsys.readouterr().err
