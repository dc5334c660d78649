"""Depthwise separable CNNs: Zhang et al. 2017, "Hello Edge" (arXiv 1711.07128)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from models.registry import register


class DSCNN(nn.Module):
    """One plain convolution, then pairs of a depthwise and a pointwise one, averaged over the map.

    The paper's input is 49 x 10: 10 cepstral coefficients every 20 ms. The frames here come every 10 ms and have 40
    bands, so the first convolution of the registered networks steps twice as far on both axes. Its maps have the
    paper's 25 frames, 40 ms apart, and twice the paper's bands, which doubles the multiplies; the kernels, and so the
    parameters, are the paper's.
    """

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        channels: int,
        blocks: int,
        stride: tuple[int, int],
        block_stride: int = 1,
    ) -> None:
        """`stride` is the first convolution's over (frames, bins), `block_stride` the first block's over both."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(
                nn.ZeroPad2d((1, 2, 4, 5)),  # kernel - 1 on each axis, so that n become ceil(n / stride)
                nn.Conv2d(1, channels, (10, 4), stride, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ),
            *(_separable(channels, 1 if i else block_stride) for i in range(blocks)),
        )
        self.classifier = nn.Linear(channels, labels)

    def forward(self, features: Tensor) -> Tensor:
        maps = self.features(features)  # (batch, channels, frames / 4 or 8, bins / 4)
        return self.classifier(maps.mean((2, 3)))  # (batch, labels) logits


def _separable(channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


_register = partial(register, frontend=FrontendConfig(), frames=98, paper="Zhang et al. 2017, 1711.07128")
_register("dscnn-s")(partial(DSCNN, channels=64, blocks=4, stride=(4, 4)))
_register("dscnn-m")(partial(DSCNN, channels=172, blocks=4, stride=(4, 2), block_stride=2))
_register("dscnn-l")(partial(DSCNN, channels=276, blocks=5, stride=(4, 2), block_stride=2))
