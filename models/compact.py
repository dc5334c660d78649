"""Compact ResNets: small dense convolutions on a map that shrinks fast. Ours, made to be trained on a CPU.

Depthwise convolutions save multiplies and not time: on a CPU the 9 k parameters of BC-ResNet-1 take four times as long
to train as the 110 k of the Light CNN. Dense convolutions on maps of a quarter of the input's size keep its vector
units busy instead. He et al. 2016 (1512.03385) for the blocks; as in BC-ResNet (2106.04140), the last map's bins are
joined by a convolution of their full height, because a vowel is known by where its formants lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from kws_stream.config import FrontendConfig
from models.registry import register


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which is a 1 x 1 convolution where the shape changes."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(self.body(maps) + self.shortcut(maps))


class TemporalBlock(nn.Module):
    """Two separable convolutions over time beside a shortcut: what came when in a word, for little."""

    def __init__(self, channels: int, kernel: int = 9) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                nn.Conv2d(channels, channels, (kernel, 1), padding=(kernel // 2, 0), groups=channels, bias=False),
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(maps + self.body(maps))


class AttentivePool(nn.Module):
    """The mean over time, weighted for each channel by what is heard there: a short word is not drowned in its second.

    Okabe et al. 2018 (1803.10963), with weights for each channel as in ECAPA-TDNN (2005.07143).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv1d(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        weights = self.score(maps).softmax(2)  # (batch, channels, frames), summing to 1 over frames
        return (maps * weights).sum(2)  # (batch, channels)


class AveragePool(nn.Module):
    """The mean over time."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(2)  # (batch, channels, frames) -> (batch, channels)


class CompactResNet(nn.Module):
    """A stem that halves the bins, stages that halve the map, bins joined, order in time heard, time pooled.

    A stage a width. `stride` is that of the stem over frames: 2 halves the cost of all that follows and leaves the
    parameters. In a small network, finer time was worth more than the epochs that it costs, and attention more than
    the channels that its parameters would buy.
    """

    ENCODER: ClassVar[tuple[str, ...]] = ("features", "join")

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        stem: int = 16,
        stride: int = 1,
        widths: Sequence[int] = (32, 56),
        blocks: int = 1,
        joined: int = 64,
        attentive: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, stem, 3, (stride, 2), 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()]
        inputs, height = stem, (bins + 1) // 2
        for width in widths:
            for block in range(blocks):
                layers.append(ResidualBlock(inputs, width, 1 if block else 2))
                height = height if block else (height + 1) // 2
                inputs = width
        self.width = joined
        self.features = nn.Sequential(*layers)
        self.join = nn.Sequential(
            nn.Conv2d(inputs, joined, (1, height), bias=False),
            nn.BatchNorm2d(joined),
            nn.ReLU(),
            TemporalBlock(joined),
        )
        self.pool = AttentivePool(joined) if attentive else AveragePool()
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(joined, labels))

    def encode(self, features: Tensor) -> Tensor:
        """`(batch, 1, frames, bins)` -> `(batch, width, frames / 4 / stride)`: what is heard where."""
        maps = self.features(features)  # (batch, last width, frames / 4 / stride, bins / 8)
        encoded: Tensor = self.join(maps).flatten(2)
        return encoded

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier(self.pool(self.encode(features)))  # (batch, labels) logits


WIDTHS: dict[str, dict[str, Any]] = {
    "compact-tiny": {"stem": 8, "widths": (16, 20), "joined": 32, "dropout": 0.0},
    "compact": {},
    "compact-large": {"stem": 24, "widths": (48, 96), "blocks": 2, "joined": 192},
    "compact-teacher": {"stem": 32, "stride": 2, "widths": (64, 128), "blocks": 2, "joined": 256, "attentive": False},
}
for name, options in WIDTHS.items():
    register(name, FrontendConfig(), frames=98)(partial(CompactResNet, **options))
