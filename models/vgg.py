"""A VGG for spectrograms: keywords as small pictures (Gouda et al. 2018, "Speech recognition: keyword spotting through
image recognition", arXiv 1803.03759; Simonyan and Zisserman 2015, 1409.1556)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from models.registry import register


@register("vgg-small", FrontendConfig(), frames=98, paper="Gouda et al. 2018, 1803.03759")
class VGG(nn.Module):
    """Pairs of 3 x 3 convolutions that double their maps as a pooling halves them.

    Gouda et al. give no layer list: what is theirs is the idea. Batch norm and the average over the last maps, in the
    place of VGG's hidden layers, keep it as small as the networks that it stands beside.
    """

    def __init__(
        self, frames: int, bins: int, labels: int, maps: Sequence[int] = (16, 32, 64, 128), dropout: float = 0.2
    ) -> None:
        super().__init__()
        stages = [
            nn.Sequential(_convolve(before, after), _convolve(after, after), nn.MaxPool2d(2))
            for before, after in zip((1, *maps), maps, strict=False)
        ]
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(maps[-1], labels))

    def forward(self, features: Tensor) -> Tensor:
        maps = self.features(features)  # (batch, maps, frames / 16, bins / 16)
        return self.classifier(maps.mean((2, 3)))  # (batch, labels) logits


def _convolve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
