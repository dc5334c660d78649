"""An encoder that hears sentences: what it learns, that it goes on where it was, and that a training takes it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
import torch

from models.encoder import encoder_weights
from models.pretrain import PhoneTask, main
from models.sentences import PhoneBatch
from models.task import load_checkpoint
from models.train import main as train
from tests.corpus import write_corpus
from tests.ended import end
from tests.sentences import write_sentences

# Lightning's own use of torch, and its advice on loaders that hold everything in memory.
pytestmark = [
    pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_corpus(root / "words")
    (root / "speech").mkdir()
    write_sentences(root / "speech")
    return root


def arguments(folder: Path, name: str) -> list[str]:
    noise = folder / "words" / "_background_noise_"
    places = ["--speech", str(folder / "speech"), "--noise", str(noise), "--run", str(folder / name)]
    return ["compact-tiny", *places, "--versions", "1", "--batch", "3", "--rare", "2", "--threads", "1"]


def run(folder: Path, name: str, *more: str) -> int:
    return main([*arguments(folder, name), *more])


@pytest.fixture(scope="module")
def learnt(folder: Path) -> Path:
    """What four epochs taught."""
    assert run(folder, "straight", "--epochs", "4") == 0
    return folder / "straight" / "encoder.pth"


def losses(lines: str) -> list[float]:
    """Of the training, an epoch each."""
    return [float(line.split("train/loss ")[1].split()[0]) for line in lines.splitlines() if "train/loss" in line]


def test_phones_are_learnt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "long", "--epochs", "30", "--learning-rate", "1e-2") == 0
    course = losses(capsys.readouterr().err)
    assert len(course) == 30
    assert course[-1] < 0.7 * course[0]


def test_a_killed_run_resumes_as_if_unbroken(folder: Path, learnt: Path) -> None:
    command = ["models.pretrain", *arguments(folder, "broken"), "--epochs", "4"]
    assert end(command, "epoch 2/4", signal.SIGKILL) == (-signal.SIGKILL, "")
    assert not (folder / "broken" / "encoder.pth").exists()
    assert run(folder, "broken", "--epochs", "4", "--resume") == 0
    straight, broken = (torch.load(path, weights_only=True) for path in (learnt, folder / "broken" / "encoder.pth"))
    for name, tensor in straight.items():
        torch.testing.assert_close(broken[name], tensor, msg=name)


def test_a_training_begins_with_what_was_learnt(folder: Path, learnt: Path) -> None:
    """Says so in its checkpoint, and gives every part of the encoder on."""
    common = ["--data", str(folder / "words"), "--batch", "16", "--passes", "1", "--epochs", "1"]
    assert train(["compact-tiny", *common, "--learning-rate", "1e-9", "--no-averaging", "--run", str(folder / "taught"),
                  "--weights", str(learnt)]) == 0  # fmt: skip
    task = load_checkpoint(folder / "taught" / "last.ckpt")
    assert task.hparams["provenance"]["options"]["weights"] == "straight"
    heard = torch.load(learnt, weights_only=True)
    for name, tensor in encoder_weights(task.network).items():
        if name.endswith(("weight", "bias")):
            torch.testing.assert_close(tensor, heard[name], atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
@pytest.mark.parametrize(("name", "spread"), [("compact-tiny", 1), ("gru-stream", 2)])
def test_phones_may_follow_each_other_faster_than_columns(name: str, spread: int) -> None:
    """Of a second without as many answers as phones the loss would be infinite, and count as zero."""
    task = PhoneTask(name, {}, phones=3, learning_rate=1e-3)
    assert task.spread == spread
    phones, count = torch.arange(20) % 3 + 1, torch.tensor([20])
    enough, short = (PhoneBatch(torch.rand(1, 1, 96, 40), torch.tensor([frames]), phones, count) for frames in (96, 76))
    assert task._measure("loss", enough) > 0.1
    assert task._measure("loss", short) == 0


def test_what_cannot_be_done_is_said_in_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "nothing", "--resume") == 1
    assert "nothing to resume" in capsys.readouterr().err
    assert main(["lightcnn", *arguments(folder, "light")[1:]]) == 1
    assert "LightCNN has no encoder" in capsys.readouterr().err
    assert run(folder, "rare", "--rare", "10000") == 1
    assert "no phone is spoken 10000 times" in capsys.readouterr().err
