"""Networks as they are run on a stream: exported untrained, and spotters that write down what they answer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.onnx import build_metadata
from export.streaming import to_graph
from kws_stream import DecoderConfig, GateConfig, KeywordModel, KeywordSpotter
from kws_stream.hearing import Due
from kws_stream.model import States
from models.registry import find_architecture
from models.task import KeywordTask

STREAMING = ("gru-stream", "tcresnet-stream", "lightcnn")
"""a recurrent one, a convolutional one, and one that was made for windows"""


@cache
def task_of(name: str) -> KeywordTask:
    """An untrained network that tells inputs apart: its batch norms have seen noise, its answers are far from equal."""
    torch.manual_seed(0)
    frontend = asdict(find_architecture(name).frontend) | {"mean": -4.0, "std": 3.0}
    task = KeywordTask(name, frontend)
    for module in task.network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    task.network.train()(torch.randn(16, 1, task.frames, task.config.bins))
    last = [module for module in task.network.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    last.weight.data *= 4
    return task.eval()


@cache
def exported(name: str, streaming: bool = True) -> KeywordModel:
    """The same network as a file that was loaded."""
    with TemporaryDirectory() as folder:
        return KeywordModel.load(write_model(name, Path(folder, "model.onnx"), streaming))


def write_model(name: str, path: Path, streaming: bool = True) -> Path:
    """The same network as a file at `path`, which is returned."""
    task = task_of(name)
    metadata = build_metadata(task, "CC0", {}, DecoderConfig(), GateConfig())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own internals
        path.write_bytes(to_graph(task, metadata, streaming).SerializeToString())
    return path


class Chronicle(KeywordSpotter):
    """A spotter that keeps its answers: `(labels,)` posteriors by the sample at which their context ends."""

    def reset(self) -> None:
        super().reset()
        self.answers: dict[int, NDArray[np.float32]] = {}
        self.beginnings = 0

    def decide(self, due: Due, posteriors: NDArray[np.float32], states: States) -> list:  # type: ignore[type-arg]
        self.beginnings += due.fresh
        rows = posteriors[-len(due.answers) :]
        self.answers |= {answer.end: row for answer, row in zip(due.answers, rows, strict=True)}
        return super().decide(due, posteriors, states)


def assert_same(answers: dict[int, NDArray[np.float32]], expected: dict[int, NDArray[np.float32]]) -> None:
    """The same positions, and the same posteriors to 1e-5."""
    assert list(answers) == list(expected)
    np.testing.assert_allclose(list(answers.values()), list(expected.values()), atol=1e-5)


def in_strides(rows: torch.Tensor, lengths: list[int], stride: int) -> Iterator[torch.Tensor]:
    """`(batch, 1, frames, bins)` cut into blocks of so many strides, over and over."""
    at = 0
    while at < rows.shape[2]:
        for length in lengths:
            if at < rows.shape[2]:
                yield rows[:, :, at : at + length * stride]
            at += length * stride
