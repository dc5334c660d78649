"""Residual networks: Tang and Lin 2017, "Deep Residual Learning for Small-Footprint Keyword Spotting" (1710.10361)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from models.registry import register


class ResNet(nn.Module):
    """3 x 3 convolutions without biases, every second one added to what went into the pair.

    As in the authors' implementation (castorini/honk): the rectifier comes before the sum and batch norm, without scale
    and shift, behind it, so that the sums themselves are never normalised; with an odd count the last convolution
    stands alone. The paper's input is 101 x 40: cepstral coefficients of 30 ms windows.
    """

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        convolutions: int,
        maps: int = 45,
        pool: tuple[int, int] | None = None,
        dilated: bool = False,
    ) -> None:
        """`convolutions` follow the first, behind a `pool` over (frames, bins); `dilated`: 1, 1, 1, 2, 2, 2, 4 ..."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, maps, 3, padding=1, bias=False), nn.ReLU(), nn.AvgPool2d(pool) if pool else nn.Identity()
        )
        dilations = [2 ** (i // 3) if dilated else 1 for i in range(convolutions)]
        self.convolutions = nn.ModuleList(nn.Conv2d(maps, maps, 3, 1, d, d, bias=False) for d in dilations)
        self.norms = nn.ModuleList(nn.BatchNorm2d(maps, affine=False) for _ in dilations)
        self.classifier = nn.Linear(maps, labels)

    def forward(self, features: Tensor) -> Tensor:
        hidden = total = self.stem(features)  # (batch, maps, frames, bins), pooled
        for index, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            hidden = convolution(hidden).relu()
            if index % 2:
                hidden = total = hidden + total
            hidden = norm(hidden)
        return self.classifier(hidden.mean((2, 3)))  # (batch, labels) logits


for _suffix, _maps in (("", 45), ("-narrow", 19)):
    _register = partial(register, frontend=FrontendConfig(), frames=98, paper="Tang and Lin 2017, 1710.10361")
    _register(f"res8{_suffix}")(partial(ResNet, convolutions=6, maps=_maps, pool=(4, 3)))
    _register(f"res15{_suffix}")(partial(ResNet, convolutions=13, maps=_maps, dilated=True))
    _register(f"res26{_suffix}")(partial(ResNet, convolutions=24, maps=_maps, pool=(2, 2)))
