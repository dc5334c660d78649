"""Architectures by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from kws_stream.config import FrontendConfig


@dataclass(frozen=True)
class Architecture:
    """How to build a network, and the features it was designed for."""

    build: Callable[..., nn.Module]
    """`build(frames, bins, labels)` -> a network from `(batch, 1, frames, bins)` to `(batch, labels)` logits"""

    frontend: FrontendConfig

    frames: int
    """context: frames that the network sees"""

    paper: str = ""
    """authors, year and arXiv id"""


FAMILIES = (
    *("lightcnn", "mnist", "imagenet"),
    *("dense", "sainath", "vgg", "recurrent", "crnn", "dilated", "voice", "adaptive"),
    *("bcresnet", "tcresnet", "matchboxnet", "dscnn", "resnet", "mhattrnn", "kwt", "compact"),
    *("grustream", "causal"),
)
"""Modules of this package whose import registers architectures."""

_ARCHITECTURES: dict[str, Architecture] = {}
Build = TypeVar("Build", bound=Callable[..., nn.Module])


def register(name: str, frontend: FrontendConfig, frames: int, paper: str = "") -> Callable[[Build], Build]:
    """Class decorator: enter a network under `name`; one class may stand under several names."""

    def enter(build: Build) -> Build:
        if name in _ARCHITECTURES:
            raise ValueError(f"architecture {name!r} is registered twice")
        _ARCHITECTURES[name] = Architecture(build, frontend, frames, paper)
        return build

    return enter


def list_architectures() -> list[str]:
    """Names that `find_architecture` knows."""
    for family in FAMILIES:
        importlib.import_module(f"models.{family}")
    return sorted(_ARCHITECTURES)


def find_architecture(name: str) -> Architecture:
    """The architecture of that name; ValueError, naming those that exist, when there is none."""
    if name not in list_architectures():
        raise ValueError(f"unknown architecture {name!r}; there are: {', '.join(list_architectures())}")
    return _ARCHITECTURES[name]


def parameter_count(network: nn.Module) -> int:
    """Trainable parameters plus batch-norm running statistics (2 a channel), as Keras counts."""
    running = sum(b.numel() for name, b in network.named_buffers() if name.endswith(("running_mean", "running_var")))
    return trainable_count(network) + running


def trainable_count(network: nn.Module) -> int:
    """Parameters that an optimiser moves."""
    return sum(p.numel() for p in network.parameters())
