"""BC-ResNet: residuals computed over time alone, and broadcast over frequency.

Kim, Chang, Lee, Sung 2021, "Broadcasted residual learning for efficient keyword spotting", arXiv 2106.04140.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from kws_stream.config import FrontendConfig
from models.registry import register

BANDS = 5
"""sub-bands of equal height with statistics of their own (section 4.1)"""

STAGES = ((2, 1.0, 1), (2, 1.5, 2), (4, 2.0, 2), (4, 2.5, 1))
"""blocks, channels in units of the base, stride of the first block in frequency (table 1)"""

BASE_CHANNELS = 8
"""of BC-ResNet-1; tau multiplies them"""


class SubSpectralNorm(nn.BatchNorm2d):
    """Batch norm of `bands` bands of frequency apart (Chang et al. 2021, arXiv 2103.13620).

    One batch norm over channels times bands: on contiguous maps this costs a view.
    """

    def __init__(self, channels: int, bands: int = BANDS) -> None:
        super().__init__(channels * bands)
        self.bands = bands

    def forward(self, maps: Tensor) -> Tensor:
        split = maps.unflatten(2, (self.bands, -1)).flatten(1, 2)  # (batch, channels * bands, bins / bands, frames)
        return super().forward(split).view_as(maps)


class BroadcastedBlock(nn.Module):
    """`x + f2(x) + f1(mean of f2(x) over the bins)`, the last of one bin broadcast to all (section 2.1).

    f2 is a convolution along frequency, f1 one along time, `dilation` frames apart, and a mixing of channels. Where the
    channels change, f2 begins with a mixing of its own, and `x` itself is left out.
    """

    def __init__(self, inputs: int, channels: int, stride: int, dilation: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.transition = inputs != channels
        mix = [nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        self.spectral = nn.Sequential(
            *(mix if self.transition else []),
            nn.Conv2d(channels, channels, (3, 1), (stride, 1), (1, 0), groups=channels, bias=False),
            SubSpectralNorm(channels),
        )
        self.temporal = nn.Sequential(
            nn.Conv2d(
                channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation), groups=channels, bias=False
            ),
            nn.BatchNorm2d(channels),
            nn.SiLU(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.Dropout2d(dropout),
        )

    def forward(self, maps: Tensor) -> Tensor:
        spectral = self.spectral(maps)  # (batch, channels, bins / stride, frames)
        temporal = self.temporal(spectral.mean(2, keepdim=True))  # (batch, channels, 1, frames)
        if not self.transition:
            spectral = spectral + maps
        return functional.relu(spectral + temporal, inplace=True)


class BCResNet(nn.Module):
    """BC-ResNet-tau; `bins` must be a multiple of 40, so that three halvings leave whole sub-bands."""

    def __init__(self, frames: int, bins: int, labels: int, tau: float = 1.0) -> None:
        super().__init__()
        if bins % (8 * BANDS):
            raise ValueError(f"a BC-ResNet needs a multiple of {8 * BANDS} bins, got {bins}")
        base = round(BASE_CHANNELS * tau)
        channels = 2 * base
        self.head = nn.Sequential(
            nn.Conv2d(1, channels, 5, stride=(2, 1), padding=2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        blocks: list[nn.Module] = []
        for stage, (count, width, stride) in enumerate(STAGES):
            for block in range(count):
                outputs = int(base * width)
                blocks.append(BroadcastedBlock(channels, outputs, 1 if block else stride, dilation=2**stage))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=(0, 2), groups=channels, bias=False),
            nn.Conv2d(channels, 4 * base, 1, bias=False),
            nn.BatchNorm2d(4 * base),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(4 * base, labels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        maps = self.head(features.mT.contiguous())  # (batch, 2 * base, bins / 2, frames)
        maps = self.blocks(maps)  # (batch, 5/2 * base, bins / 8, frames)
        return self.classifier(maps).flatten(1)  # (batch, labels) logits


for tau in (1, 1.5, 2, 3, 6, 8):
    register(f"bcresnet-{tau}", FrontendConfig(), frames=98, paper="Kim et al. 2021, 2106.04140")(
        partial(BCResNet, tau=tau)
    )
