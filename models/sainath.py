"""Plain CNNs: Sainath and Parada 2015, "Convolutional neural networks for small-footprint keyword spotting", and what
TensorFlow's tutorial and Honk (Tang and Lin 2017, arXiv 1710.06554) made of two of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from models.registry import register


class Convolution(NamedTuple):
    """One layer; pairs are over (frames, bins)."""

    maps: int
    kernel: tuple[int | None, int]
    """None: as many frames as there are"""
    pool: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)


class SainathCNN(nn.Module):
    """One or two unpadded convolutions, a linear bottleneck, hidden layers.

    The paper's input is 32 x 40 log-mel frames and its labels are 4; Honk's input is 101 x 40 and its labels are 12.
    """

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        convolutions: Sequence[Convolution],
        hidden: Sequence[int] = (),
        bottleneck: int | None = 32,
        rectified: bool = True,
        dropout: float = 0.5,
    ) -> None:
        """`bottleneck` None goes without, `rectified` false leaves the hidden layers linear, as TensorFlow has them."""
        super().__init__()
        layers: list[nn.Module] = []
        maps = 1
        for convolution in convolutions:
            kernel = (convolution.kernel[0] or frames, convolution.kernel[1])
            layers += [nn.Conv2d(maps, convolution.maps, kernel, convolution.stride), nn.ReLU()]
            layers += [nn.Dropout(dropout), nn.MaxPool2d(convolution.pool)]
            maps = convolution.maps
        self.features = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            width = self.features(torch.zeros(1, 1, frames, bins)).shape[1]
        rest: list[nn.Module] = []
        if bottleneck:
            rest.append(nn.Linear(width, bottleneck))
            width = bottleneck
        for units in hidden:
            rest += [nn.Linear(width, units), nn.ReLU() if rectified else nn.Identity(), nn.Dropout(dropout)]
            width = units
        self.classifier = nn.Sequential(*rest, nn.Linear(width, labels))

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier(self.features(features))  # (batch, labels) logits


_register = partial(register, frontend=FrontendConfig(), frames=98)
_traditional = Convolution(64, (20, 8), pool=(1, 3)), Convolution(64, (10, 4))
_NETWORKS: dict[str, tuple[tuple[Convolution, ...], tuple[int, ...]]] = {
    "cnn-trad-fpool3": (_traditional, (128,)),
    "cnn-one-fpool3": ((Convolution(54, (None, 8), pool=(1, 3)),), (128, 128)),
    "cnn-one-fstride4": ((Convolution(186, (None, 8), stride=(1, 4)),), (128, 128)),
    "cnn-one-fstride8": ((Convolution(336, (None, 8), stride=(1, 8)),), (128, 128)),
    "cnn-tpool2": ((Convolution(94, (21, 8), pool=(2, 3)), Convolution(94, (6, 4))), (128, 128)),
    "cnn-tpool3": ((Convolution(94, (15, 8), pool=(3, 3)), Convolution(94, (6, 4))), (128, 128)),
}
for _name, (_convolutions, _hidden) in _NETWORKS.items():
    _build = partial(SainathCNN, convolutions=_convolutions, hidden=_hidden)
    _register(_name, paper="Sainath and Parada 2015")(_build)

_register("cnn-trad-pool2", paper="Tang and Lin 2017, 1710.06554")(
    partial(SainathCNN, convolutions=(Convolution(64, (20, 8), pool=(2, 2)), Convolution(64, (10, 4))), bottleneck=None)
)
# What Gouda et al. compare with it, and Honk.js ran in a browser: nothing but hidden layers behind one convolution.
_register("low-latency-conv", paper="Gouda et al. 2018, 1803.03759")(
    partial(
        SainathCNN, convolutions=(Convolution(186, (None, 8)),), hidden=(128, 128), bottleneck=None, rectified=False
    )
)
