"""A causal convolutional network for streams: the residual blocks of TC-ResNet, without padding.

Choi et al. 2019 (1904.03814) take the bins as channels, so that convolutions run over time alone, and halve the frames
thrice on the way. Here the frames of a stride are joined at once, because each layer that overlaps in time costs three
nodes on a stream; and nothing is padded, so that the network hears 12 strides, its whole training window, and no more.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from kws_stream.config import FrontendConfig
from models.grustream import normalised
from models.registry import register
from models.streaming import STRIDE_FRAMES, Residual, StreamingNetwork

AVERAGED = 4
"""strides over which the last maps are averaged"""


def join_frames(bins: int, stem: int, width: int) -> nn.Sequential:
    """`(batch, 1, frames, bins)` -> `(batch, width, frames / 8, 1)`: each stride heard by itself.

    Small kernels first, that see the same in every octave; then one of the stride's length and the map's full height,
    because a vowel is known by where its formants lie.
    """
    height = (bins - 8) // 4 + 1
    return nn.Sequential(
        *normalised(nn.Conv2d(1, stem, (4, 8), (4, 4), bias=False)),  # (batch, stem, frames / 4, height)
        *normalised(nn.Conv2d(stem, width, (STRIDE_FRAMES // 4, height), (STRIDE_FRAMES // 4, 1), bias=False)),
    )


class CausalTCResNet(StreamingNetwork):
    """Strides joined, residual blocks of two convolutions over three strides, the mean of the last strides."""

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        stem: int = 16,
        width: int = 64,
        blocks: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            nn.Sequential(*join_frames(bins, stem, width), *(Residual(_block(width)) for _ in range(blocks))),
            width,
            nn.Sequential(nn.AvgPool2d((AVERAGED, 1), 1), nn.Dropout(dropout), nn.Conv2d(width, labels, 1)),
        )


def _block(width: int) -> nn.Sequential:
    return nn.Sequential(
        *normalised(nn.Conv2d(width, width, (3, 1), bias=False)),
        nn.Conv2d(width, width, (3, 1), bias=False),
        nn.BatchNorm2d(width),
    )


register("tcresnet-stream", FrontendConfig(), frames=96, paper="after Choi et al. 2019, 1904.03814")(CausalTCResNet)
register("tcresnet-stream-wide", FrontendConfig(), frames=96, paper="after Choi et al. 2019, 1904.03814")(
    partial(CausalTCResNet, width=96)
)
