"""MatchboxNet: separable convolutions over time in residual blocks.

Majumdar, Ginsburg 2020, "MatchboxNet: 1D time-channel separable convolutional neural network architecture for speech
commands recognition", arXiv 2004.08531.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from kws_stream.config import FrontendConfig
from models.registry import register

FIRST_KERNEL = 13
"""of the first block; each further block sees two frames more"""


def separable(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> list[nn.Module]:
    """A convolution over time for each channel, a mixing of channels, a batch norm."""
    padding = dilation * (kernel // 2)
    return [
        nn.Conv1d(inputs, inputs, kernel, padding=padding, dilation=dilation, groups=inputs, bias=False),
        *pointwise(inputs, outputs),
    ]


def pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    """A mixing of channels, and a batch norm."""
    return [nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs)]


class SeparableBlock(nn.Module):
    """`repeats` separable convolutions beside a mixing of channels; the last activation follows their sum."""

    def __init__(self, inputs: int, channels: int, kernel: int, repeats: int, dropout: float) -> None:
        super().__init__()
        layers = separable(inputs, channels, kernel)
        for _ in range(repeats - 1):
            layers += [nn.ReLU(inplace=True), nn.Dropout(dropout), *separable(channels, channels, kernel)]
        self.body = nn.Sequential(*layers)
        self.shortcut = nn.Sequential(*pointwise(inputs, channels))
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        return self.dropout(functional.relu(self.body(maps) + self.shortcut(maps)))


class MatchboxNet(nn.Module):
    """MatchboxNet-BxRxC: `blocks` blocks of `repeats` convolutions of `channels` channels; frames are never halved."""

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        blocks: int = 3,
        repeats: int = 1,
        channels: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        outer = 2 * channels
        self.prologue = nn.Sequential(*separable(bins, outer, 11), nn.ReLU(inplace=True), nn.Dropout(dropout))
        self.blocks = nn.Sequential(
            *(
                SeparableBlock(channels if block else outer, channels, FIRST_KERNEL + 2 * block, repeats, dropout)
                for block in range(blocks)
            )
        )
        self.epilogue = nn.Sequential(
            *separable(channels, outer, 29, dilation=2),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            *pointwise(outer, outer),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(outer, labels),
        )

    def forward(self, features: Tensor) -> Tensor:
        maps = self.prologue(features.squeeze(1).mT)  # (batch, 2 * channels, frames)
        return self.epilogue(self.blocks(maps))  # (batch, labels) logits, from (batch, channels, frames)


for blocks, repeats in ((3, 1), (3, 2), (6, 2)):
    register(
        f"matchboxnet-{blocks}x{repeats}x64", FrontendConfig(), frames=98, paper="Majumdar, Ginsburg 2020, 2004.08531"
    )(partial(MatchboxNet, blocks=blocks, repeats=repeats))
