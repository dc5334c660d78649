"""Training end to end on a corpus of seconds: what lands in the run's folder, and that resuming changes nothing."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.callbacks import average
from models.labels import LABELS
from models.task import KeywordTask, load_checkpoint
from models.train import main
from tests.corpus import write_corpus
from tests.ended import end

# Lightning's own use of torch, and its advice on loaders that hold everything in memory.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


COMMON = ["--batch", "16", "--seed", "3", "--passes", "2", "--threads", "1"]  # sums round alike everywhere


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that share a bank."""
    return tmp_path_factory.mktemp("runs")


def train(corpus: Path, run: Path, *arguments: str) -> KeywordTask:
    assert main(["lightcnn", "--data", str(corpus), "--run", str(run), *COMMON, *arguments]) == 0
    return load_checkpoint(run / "last.ckpt")


@pytest.fixture(scope="module")
def straight(corpus: Path, runs: Path) -> Path:
    """The folder of a run of six epochs."""
    train(corpus, runs / "straight", "--epochs", "6")
    return runs / "straight"


def test_a_checkpoint_says_how_it_was_made(straight: Path) -> None:
    task = load_checkpoint(straight / "best.ckpt")
    provenance = task.hparams["provenance"]
    assert provenance["seed"] == 3
    assert provenance["data"]["clips"] == 72
    assert len(provenance["data"]["fingerprint"]) == 64
    assert set(provenance["versions"]) == {"torch", "torchaudio", "lightning"}
    assert provenance["options"]["epochs"] == 6
    assert provenance["options"]["precision"] in ("32-true", "bf16-mixed")
    assert "/" not in str(provenance)
    assert task.hparams["labels"] == LABELS
    assert task.config.mean != 0
    assert not task.training


def test_scalars_for_tensorboard(straight: Path) -> None:
    events = EventAccumulator(str(straight)).Reload()
    assert {"train/loss", "train/accuracy", "val/loss", "val/accuracy"} <= set(events.Tags()["scalars"])
    for name in ("train/loss", "val/loss"):
        losses = [scalar.value for scalar in events.Scalars(name)]
        assert len(losses) == 6
        assert losses[-1] < losses[0]


def test_a_killed_run_resumes_as_if_unbroken(corpus: Path, straight: Path, runs: Path) -> None:
    run = runs / "broken"
    arguments = ["lightcnn", "--data", str(corpus), "--run", str(run), *COMMON, "--epochs", "6"]
    end(["models.train", *arguments], "epoch 2/6", signal.SIGKILL)
    assert torch.load(run / "last.ckpt", weights_only=True)["epoch"] < 5
    resumed = train(corpus, run, "--epochs", "6", "--resume").network.state_dict()
    for name, value in load_checkpoint(straight / "last.ckpt").network.state_dict().items():
        torch.testing.assert_close(resumed[name], value, msg=name)


def test_a_terminated_run_does_not_count_as_complete(corpus: Path, runs: Path) -> None:
    arguments = ["lightcnn", "--data", str(corpus), "--run", str(runs / "ended"), *COMMON, "--epochs", "200"]
    assert end(["models.train", *arguments], "epoch 1/200", signal.SIGTERM) == (143, "")


def test_a_complete_run_that_was_moved_has_nothing_left_to_train(
    corpus: Path, straight: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = runs / "moved"
    shutil.copytree(straight, moved)
    train(corpus, moved, "--epochs", "6", "--resume")
    assert Path(capsys.readouterr().out.strip()) == moved / "best.ckpt"
    assert (moved / "best.ckpt").read_bytes() == (straight / "best.ckpt").read_bytes()


def test_a_run_goes_on_from_another(corpus: Path, straight: Path, tmp_path: Path) -> None:
    """By steps too small to see, and with the front end that the weights know though the data became others."""
    former = load_checkpoint(straight / "last.ckpt")
    others = write_corpus(tmp_path / "others", clips=2)
    task = train(
        others, tmp_path / "run", "--weights", str(straight / "last.ckpt"), "--epochs", "1", "--learning-rate", "1e-9"
    )
    assert task.config == former.config
    assert task.hparams["provenance"]["options"]["weights"] == "straight"
    weights = former.network.state_dict()
    for name, parameter in task.network.named_parameters():
        torch.testing.assert_close(parameter, weights[name], rtol=0, atol=1e-6)


def test_only_a_run_of_the_same_network_is_gone_on_from(
    corpus: Path, straight: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["res8", "--data", str(corpus), "--run", str(runs / "bad"), *COMMON]
    assert main([*command, "--weights", str(straight / "last.ckpt")]) == 1
    assert "last.ckpt: ResNet has no tensor " in capsys.readouterr().err.splitlines()[-1]


def test_the_weights_are_averaged_from_the_start() -> None:
    averaged, current = torch.zeros(3), torch.ones(3)
    torch.testing.assert_close(average(averaged, current, torch.tensor(1)), current * 9 / 11)
    torch.testing.assert_close(average(averaged, current, torch.tensor(100_000)), current * 0.002)


def test_early_stopping_ends_a_run_that_learns_nothing(corpus: Path, runs: Path) -> None:
    train(corpus, runs / "stuck", "--epochs", "30", "--learning-rate", "1e-12", "--patience", "2")
    assert torch.load(runs / "stuck" / "last.ckpt", weights_only=True)["epoch"] < 20


def test_the_precision_is_as_asked_for(corpus: Path, runs: Path) -> None:
    """Of the multiplies: the weights are float32, but those that were multiplied in bfloat16 went another way."""
    weights = []
    for precision in ("32-true", "bf16-mixed"):
        task = train(corpus, runs / precision, "--epochs", "1", "--precision", precision)
        assert task.hparams["provenance"]["options"]["precision"] == precision
        weights.append(task.network.state_dict()["classifier.6.weight"])
    assert weights[0].dtype == weights[1].dtype == torch.float32
    assert 0 < (weights[0] - weights[1]).abs().max() < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--data", "nowhere"], "no folder nowhere"),
        (["--noise", "nowhere"], "no recordings in nowhere"),
        (["--resume"], "nothing to resume"),
        (["--teachers", "nowhere.ckpt"], "no checkpoint nowhere.ckpt"),
        (["--weights", "nowhere.ckpt"], "no checkpoint nowhere.ckpt"),
        (["--streams", "nowhere.flac"], "lightcnn sees windows; only a streaming network learns from streams"),
    ],
)
def test_bad_input_is_one_line(
    change: list[str], message: str, corpus: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lightcnn", "--data", str(corpus), "--run", str(runs / "bad"), *COMMON, *change]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.skipif(torch.accelerator.is_available(), reason="the machine has a GPU")
def test_half_precision_needs_a_gpu(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lightcnn", "--data", str(corpus), "--precision", "16-mixed"]) == 1
    assert capsys.readouterr().err == (
        "models.train: --precision 16-mixed needs a GPU; on a CPU choose bf16-mixed or 32-true\n"
    )


def test_more_devices_than_there_are_gpus_are_refused(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.accelerator.device_count", lambda: 1)
    assert main(["lightcnn", "--data", str(corpus), "--devices", "2"]) == 1
    assert capsys.readouterr().err == "models.train: --devices 2: the GPUs of this machine are 1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "8-bit"], "argument --precision: invalid choice: '8-bit'"),
        (["--streams-after", "3"], "--streams-after: there are no --streams"),
        (["--weights", "a.ckpt", "--pixel-std", "57"], "--pixel-std: a run of this network saw features, no pixels"),
        (["--devices", "0"], "--batch 16 cannot be shared by 0 devices"),
        (["--devices", "3"], "--batch 16 cannot be shared by 3 devices on each of 1 nodes; expected a multiple"),
        (["--devices", "4", "--nodes", "3"], "--batch 16 cannot be shared by 4 devices on each of 3 nodes"),
    ],
)
def test_usage_errors_are_one_line(
    arguments: list[str], message: str, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["lightcnn", "--data", str(corpus), *COMMON, *arguments])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_corpus_without_noise_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write_corpus(tmp_path, clips=1)
    (corpus / "_background_noise_" / "hiss.wav").unlink()
    os.rmdir(corpus / "_background_noise_")
    assert main(["lightcnn", "--data", str(corpus), "--run", str(tmp_path / "run")]) == 1
    assert "name a folder of noise recordings (--noise)" in capsys.readouterr().err
