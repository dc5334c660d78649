"""Trainings of two processes on a CPU. Run as a command, `FOLDER PROCESSES`, this file is one of those trainings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from kws_stream.config import FrontendConfig
from models.augment import AugmentConfig
from models.bank import BankBatches, FeatureBank
from models.labels import LABELS
from models.registry import register
from models.task import KeywordTask
from models.train import build_trainer, parse_arguments
from tests.corpus import write_corpus

ROOT = Path(__file__).parents[1]
FRAMES, BINS = 98, 40


def perceptron(frames: int, bins: int, labels: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(frames * bins, 16), nn.ReLU(), nn.Linear(16, labels))


def train(folder: Path, processes: str) -> None:
    """On the bank in `folder`, which also says what is right; the run goes to `folder/PROCESSES`."""
    register("perceptron", FrontendConfig(), FRAMES)(perceptron)
    options = parse_arguments(
        f"perceptron --data . --batch 32 --epochs 4 --precision 32-true --devices {processes}".split()
    )
    bank = FeatureBank(folder, passes=2)
    batches = BankBatches(bank, options.batch, options.seed)
    L.seed_everything(0, verbose=False)
    still = AugmentConfig(tilt_db=0, time_mask=0, bin_mask=0)
    task = KeywordTask("perceptron", asdict(FrontendConfig()), asdict(still))
    features, labels = bank.load(0)
    validation = TensorDataset(
        torch.from_numpy(features[:64]).float().unsqueeze(1), torch.from_numpy(labels[:64]).long()
    )
    build_trainer(options, folder / processes, batches).fit(
        task, DataLoader(batches, batch_size=None), DataLoader(validation, batch_size=64)
    )
    assert len(next(iter(batches)).targets) == options.batch // options.devices


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, check=True, capture_output=True, text=True, timeout=1800
    )


def curves(folder: Path) -> dict[str, list[float]]:
    events = EventAccumulator(str(folder)).Reload()
    return {name: [each.value for each in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    """Step by step, to the rounding of float32: each takes half of every batch, and the gradients are averaged.

    So it is without what each process has of its own. The rows here have no frame more than the network sees, so there
    is one crop; and they are neither tilted nor masked, which each process does to its own rows. The network has no
    dropout and no batch norm, whose statistics would be those of half a batch: SyncBatchNorm needs a GPU.
    """
    rng = np.random.default_rng(0)
    patterns = rng.normal(0, 0.3, (len(LABELS), FRAMES, BINS))
    for number in range(2):
        labels = rng.integers(len(LABELS), size=256)
        features = patterns[labels] + rng.normal(0, 1, (256, FRAMES, BINS))
        np.save(tmp_path / f"features-{number:03}.npy", features.astype(np.float16))
        np.save(tmp_path / f"labels-{number:03}.npy", labels.astype(np.uint8))
    for processes in ("1", "2"):
        run("-m", "tests.test_distributed", str(tmp_path), processes)
    one, two = (curves(tmp_path / processes) for processes in ("1", "2"))
    assert one.keys() == two.keys() >= {"train/loss", "train/accuracy", "val/loss", "val/accuracy"}
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-5, err_msg=name)
    assert len(one["val/loss"]) == 4
    assert one["val/loss"][-1] < one["val/loss"][0] - 0.5
    alone, together = (torch.load(tmp_path / each / "last.ckpt", weights_only=True) for each in ("1", "2"))
    assert alone["global_step"] == together["global_step"] == 4 * 256 // 32
    for kind in ("state_dict", "current_model_state"):  # averaged weights, and the last
        for name, values in alone[kind].items():
            torch.testing.assert_close(together[kind][name], values, atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.slow
def test_the_command_starts_its_processes_and_resumes(tmp_path: Path) -> None:
    corpus, folder = write_corpus(tmp_path / "corpus"), tmp_path / "runs" / "two"
    command = ["-m", "models.train", "compact-tiny", "--data", str(corpus), "--run", str(folder), "--batch", "16"]
    command += ["--devices", "2", "--epochs", "6", "--passes", "2"]
    printed = []
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            printed.append(line.split()[0])
            if line.startswith("epoch 2/6"):
                os.killpg(process.pid, signal.SIGKILL)
    reached = torch.load(folder / "last.ckpt", weights_only=True)["epoch"] + 1
    assert reached < 6
    assert printed.count("rendered") == printed.count("compact-tiny:") == 1  # by one process; the other found it done

    resumed = run(*command, "--resume")
    assert resumed.stdout == f"{folder / 'best.ckpt'}\n"
    lines = resumed.stderr.splitlines()
    epochs = [line.split()[1] for line in lines if line.startswith("epoch")]
    assert epochs == [f"{epoch}/6" for epoch in range(reached + 1, 7)]
    joined = [line.split()[-1] for line in lines if line.startswith("Initializing distributed")]
    assert sorted(joined) == ["1/2", "2/2"]
    assert len(lines) == 1 + len(joined) + len(epochs) + 1  # the network, and the best loss
    losses = curves(folder)["val/loss"]
    assert len(losses) >= 6
    assert losses[-1] < losses[0]


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2])
