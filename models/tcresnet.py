"""TC-ResNet: bins as channels, so that every convolution runs over time alone.

Choi et al. 2019, "Temporal convolution for real-time keyword spotting on mobile devices", arXiv 1904.03814.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from kws_stream.config import FrontendConfig
from models.registry import register

CHANNELS = {8: (16, 24, 32, 48), 14: (16, 24, 24, 32, 32, 48, 48)}
"""by depth: of the first convolution, then of each block"""


def convolve(inputs: int, outputs: int, kernel: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    """A convolution over time that pads to keep `frames / stride`, rounded up, and its batch norm."""
    convolution = nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm1d(outputs)


class TemporalBlock(nn.Module):
    """Two convolutions over nine frames, beside a shortcut; where the channels change, half the frames go."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.body = nn.Sequential(
            *convolve(inputs, outputs, 9, stride), nn.ReLU(inplace=True), *convolve(outputs, outputs, 9)
        )
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(*convolve(inputs, outputs, 1, stride), nn.ReLU())

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(self.body(maps) + self.shortcut(maps))


class TCResNet(nn.Module):
    """TC-ResNet8 or TC-ResNet14; `width` multiplies the channels."""

    def __init__(
        self, frames: int, bins: int, labels: int, depth: int = 8, width: float = 1.0, dropout: float = 0.5
    ) -> None:
        super().__init__()
        first, *channels = (int(count * width) for count in CHANNELS[depth])
        self.head = nn.Sequential(*convolve(bins, first, 3), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*map(TemporalBlock, [first, *channels], channels))
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels[-1], labels, bias=False)
        )

    def forward(self, features: Tensor) -> Tensor:
        maps = self.head(features.squeeze(1).mT)  # (batch, channels, frames)
        return self.classifier(self.blocks(maps))  # (batch, labels) logits, from (batch, channels, frames / 8)


for depth in CHANNELS:
    for width, suffix in ((1.0, ""), (1.5, "-1.5")):
        build = partial(TCResNet, depth=depth, width=width)
        register(f"tcresnet{depth}{suffix}", FrontendConfig(), frames=98, paper="Choi et al. 2019, 1904.03814")(build)
