"""Trained networks as teachers of smaller ones (Hinton, Vinyals, Dean 2015, 1503.02531)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kws_stream.errors import ModelError
from models.bank import FeatureBank, save
from models.labels import LABELS
from models.recordings import shown
from models.task import KeywordTask, load_checkpoint

TEMPERATURE = 1.5
"""divides the logits: softer answers tell more about which words sound alike"""


class Ensemble:
    """The mean posteriors of several networks for the middle of each row of a bank, computed once and kept there."""

    weight = 0.7
    """of the answers in the targets; the labels have the rest"""

    def __init__(self, checkpoints: Sequence[Path], bank: FeatureBank) -> None:
        self.bank = bank
        tasks = [load_checkpoint(path) for path in checkpoints]
        for path, task in zip(checkpoints, tasks, strict=True):
            task.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
            if not bank.suits(task.config) or tuple(task.hparams["labels"]) != LABELS:
                raise ModelError(f"{path}: hears other features or labels than the network that it should teach")
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in checkpoints)).hexdigest()[:12]
        self.name = f"answers-{digest}"
        missing = [number for number in range(bank.passes) if not self._path(number).exists()]
        for number in shown(missing, f"asking {len(tasks)} teachers"):
            save(self._path(number), _answer(tasks, bank.load(number)[0]))

    def answers(self, number: int) -> NDArray[np.float16]:
        """`(rows, labels)` posteriors for one pass; numbers beyond the last begin again."""
        answers: NDArray[np.float16] = np.load(self._path(number % self.bank.passes))
        return answers

    def _path(self, number: int) -> Path:
        return self.bank.folder / f"{self.name}-{number:03}.npy"


@torch.no_grad()
def _answer(tasks: Sequence[KeywordTask], features: NDArray[np.float16]) -> NDArray[np.float16]:
    """`(rows, more frames, bins)` -> `(rows, labels)`."""
    answers = []
    for part in torch.from_numpy(features).split(256):
        with torch.autocast("cpu", torch.bfloat16):
            logits = torch.stack([_ask(task, part).float() for task in tasks])  # (teachers, batch, labels)
        answers.append((logits / TEMPERATURE).softmax(2).mean(0).half())
    return torch.cat(answers).numpy()


def _ask(task: KeywordTask, rows: Tensor) -> Tensor:
    """`(batch, more frames, bins)` -> `(batch, labels)` logits for the middle of each row."""
    first = (rows.shape[1] - task.frames) // 2
    middle = rows[:, None, first : first + task.frames].float()  # (batch, 1, frames, bins)
    return task.network((middle - task.config.mean) / task.config.std)
