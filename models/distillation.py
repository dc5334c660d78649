"""Trained networks as teachers of smaller ones (Hinton, Vinyals, Dean 2015, 1503.02531)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kws_stream import zoo
from kws_stream.errors import ModelError
from kws_stream.model import KeywordModel
from models.bank import FeatureBank, save
from models.labels import LABELS
from models.layout import lay_out
from models.recordings import shown
from models.task import load_checkpoint

TEMPERATURE = 1.5
"""divides the logits: softer answers tell more about which words sound alike"""


class Trained:
    """A checkpoint of `models.train`."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError."""
        self.task = load_checkpoint(path)
        lay_out(self.task.network)
        self.config, self.frames = self.task.config, self.task.frames
        self.labels = tuple(self.task.hparams["labels"])
        self.path = path

    def ask(self, features: Tensor) -> Tensor:
        """`(batch, frames, bins)` as `config` standardises them -> `(batch, labels)` logits."""
        with torch.autocast("cpu", torch.bfloat16):
            logits: Tensor = self.task.network(features.unsqueeze(1))
        return logits.float()


class Exported:
    """An `.onnx` file that sees windows, by its path or its name in the zoo: without its calibration, which is for
    labels in other shares than those of training."""

    def __init__(self, source: Path) -> None:
        """Raises ModelError."""
        self.path = zoo.find(source)
        self.model = KeywordModel.load(self.path, torch.get_num_threads())
        metadata = self.model.metadata
        if metadata.streaming or metadata.output != "logits":
            raise ModelError(f"{source}: expected a teacher that sees windows and gives logits")
        self.config, self.frames, self.labels = metadata.frontend, metadata.context_frames, metadata.labels
        facts = metadata.accuracy.get("calibration") or {"temperature": 1.0, "shift": {}}
        self._temperature = facts["temperature"]
        self._shift = torch.tensor([facts["shift"].get(label, 0.0) for label in self.labels])

    def ask(self, features: Tensor) -> Tensor:
        """`(batch, frames, bins)` as `config` standardises them -> `(batch, labels)` logits."""
        logits = torch.from_numpy(self.model.outputs(features.numpy()))
        return (logits - self._shift) * self._temperature


class Ensemble:
    """The mean posteriors of several networks for the middle of each row of a bank, computed once and kept there."""

    weight = 0.7
    """of the answers in the targets; the labels have the rest"""

    def __init__(self, sources: Sequence[Path], bank: FeatureBank) -> None:
        """`sources`: checkpoints, `.onnx` files, or names of the zoo; ModelError for what cannot teach this bank."""
        self.bank = bank
        teachers = [Trained(source) if source.suffix == ".ckpt" else Exported(source) for source in sources]
        for source, teacher in zip(sources, teachers, strict=True):
            if not bank.suits(teacher.config) or teacher.labels != LABELS:
                raise ModelError(f"{source}: hears other features or labels than the network that it should teach")
        self._teachers = teachers
        digest = hashlib.sha256(b"".join(teacher.path.read_bytes() for teacher in teachers)).hexdigest()[:12]
        self.name = f"answers-{digest}"
        missing = [number for number in range(bank.passes) if not self._path(number).exists()]
        for number in shown(missing, f"asking {len(teachers)} teachers"):
            save(self._path(number), _answer(teachers, bank.load(number)[0]))

    def answers(self, number: int) -> NDArray[np.float16]:
        """`(rows, labels)` posteriors for one pass; numbers beyond the last begin again."""
        answers: NDArray[np.float16] = np.load(self._path(number % self.bank.passes))
        return answers

    def follow(self, frames: NDArray[np.float16], stride: int) -> NDArray[np.float16]:
        """Posteriors `(frames // stride, labels)` along a stream `(frames, bins)`, the logarithm before `mean` and
        `std`: of what was heard until the end of each stride. In front of a stream, its first frame is repeated."""
        digest = hashlib.sha256(frames.tobytes()).hexdigest()[:12]
        path = self.bank.folder / f"{self.name}-stream-{stride}-{digest}.npy"
        if not path.exists():
            longest = max(teacher.frames for teacher in self._teachers)
            heard = np.pad(frames, ((longest - stride, 0), (0, 0)), mode="edge")
            rows = np.lib.stride_tricks.sliding_window_view(heard, longest, 0)[::stride].swapaxes(1, 2)
            save(path, _answer(self._teachers, rows))
        answers: NDArray[np.float16] = np.load(path)
        return answers

    def _path(self, number: int) -> Path:
        return self.bank.folder / f"{self.name}-{number:03}.npy"


@torch.no_grad()
def _answer(teachers: Sequence[Trained | Exported], features: NDArray[np.float16]) -> NDArray[np.float16]:
    """`(rows, more frames, bins)` -> `(rows, labels)`."""
    answers = []
    for start in range(0, len(features), 256):
        part = torch.from_numpy(np.ascontiguousarray(features[start : start + 256]))
        logits = torch.stack([teacher.ask(_middle(part, teacher)) for teacher in teachers])  # (teachers, batch, labels)
        answers.append((logits / TEMPERATURE).softmax(2).mean(0).half())
    return torch.cat(answers).numpy()


def _middle(rows: Tensor, teacher: Trained | Exported) -> Tensor:
    """`(batch, more frames, bins)` -> `(batch, frames, bins)`: what `teacher` sees of each row, standardised."""
    first = (rows.shape[1] - teacher.frames) // 2
    return (rows[:, first : first + teacher.frames].float() - teacher.config.mean) / teacher.config.std
