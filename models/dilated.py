"""Gated dilated convolutions: Coucke et al. 2018, "Efficient keyword spotting using dilated convolutions and gating"
(arXiv 1811.07684), after WaveNet (van den Oord et al. 2016, 1609.03499)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from kws_stream.config import FrontendConfig
from models.registry import register


class CausalConvolution(nn.Conv1d):
    """Over three frames, `dilation` apart, the last of which is the present one. Zeros stand before the first."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, 3, dilation=dilation, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(functional.pad(maps, (2 * self.dilation[0], 0)))


class GatedLayer(nn.Module):
    """What a convolution says, as far as another lets it pass: to the next layer, and to the sum of all layers."""

    def __init__(self, channels: int, gated: int, skipped: int, dilation: int, last: bool) -> None:
        super().__init__()
        self.convolution = CausalConvolution(channels, 2 * gated, dilation)
        self.skip = nn.Conv1d(gated, skipped, 1, bias=False)
        self.residual = None if last else nn.Conv1d(gated, channels, 1, bias=False)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        said, gate = self.convolution(maps).chunk(2, 1)  # (batch, gated, frames) each
        passed = said.tanh() * gate.sigmoid()
        return (maps + self.residual(passed) if self.residual else maps), self.skip(passed)


@register("dilated", FrontendConfig(), frames=98, paper="Coucke et al. 2018, 1811.07684")
class DilatedStack(nn.Module):
    """24 causal layers, dilated by 1, 2, 4, 8 and again: each answer has seen 183 frames.

    The labels are read at the last frame, for the keyword ends there: the paper's labelling. Its input has 20 bands.
    64 gated channels without biases are what its 222k parameters ask for, beside 16 residual and 32 skipped ones.
    """

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        layers: int = 24,
        channels: int = 16,
        gated: int = 64,
        skipped: int = 32,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(bins, affine=False)
        self.stem = CausalConvolution(bins, channels)
        self.layers = nn.ModuleList(
            GatedLayer(channels, gated, skipped, 2 ** (i % 4), last=i == layers - 1) for i in range(layers)
        )
        self.classifier = nn.Sequential(nn.ReLU(), nn.Conv1d(skipped, labels, 1))

    def answers(self, features: Tensor) -> Tensor:
        """`(batch, 1, frames, bins)` -> `(batch, labels, frames)` logits: an answer at each frame."""
        maps = self.stem(self.norm(features.squeeze(1).mT))  # (batch, channels, frames)
        total: Tensor | float = 0.0
        for layer in self.layers:
            maps, skipped = layer(maps)
            total = total + skipped
        return self.classifier(total)

    def forward(self, features: Tensor) -> Tensor:
        return self.answers(features)[:, :, -1]  # (batch, labels) logits
