"""The study's image networks: an ImageNet trunk of torchvision's and one head that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torchvision import models as torchvision

from kws_stream.errors import KwsError
from models.lightcnn import LOG_SPECTROGRAM
from models.registry import register

Entry = Literal["repeat", "sum"]
"""How one channel enters three: repeated, or through a first kernel that has one channel, the sum of its three."""

COLOURS = 3


class Head(nn.Sequential):
    """The study's classifier behind a flattened trunk: batch norm and two hidden layers, dropout between."""

    def __init__(self, inputs: int, labels: int, width: int = 1024, dropout: float = 0.2) -> None:
        super().__init__(
            nn.BatchNorm1d(inputs),
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.BatchNorm1d(width),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, labels),
        )


class Trunk(nn.Module):
    """A network of torchvision's without its classifier: `(batch, 3, frames, bins)` -> `(batch, features)`.

    The state dict of `whole` has torchvision's own names, without those of the classifier.
    """

    def __init__(
        self,
        name: str,
        whole: nn.Module,
        classifier: Sequence[str],
        blocks: Sequence[Sequence[str]],
        spread: float = 1.0,
    ) -> None:
        """`name` is torchvision's. `classifier`: the modules that are left out; `blocks`: the others, from the input
        on, as they are frozen; `spread`: standard deviation of the pixels that torchvision's weights know."""
        super().__init__()
        for part in classifier:
            setattr(whole, part, nn.Identity())  # torchvision's forward flattens what reaches its classifier
        self.whole = whole
        self.name, self.classifier, self.names, self.spread = name, (*classifier, "AuxLogits"), blocks, spread

    def forward(self, images: Tensor) -> Tensor:
        return self.whole(images)

    @property
    def blocks(self) -> list[list[nn.Module]]:
        """The modules of each block, from the input on."""
        return [[self.whole.get_submodule(name) for name in block] for block in self.names]

    @property
    def entry(self) -> nn.Conv2d:
        """The first convolution."""
        return next(module for module in self.whole.modules() if isinstance(module, nn.Conv2d))


def sum_kernels(weight: Tensor) -> Tensor:
    """`(maps, 3, height, width)` -> `(maps, 1, height, width)`: on one channel the same as the three on its repeats."""
    return weight.sum(1, keepdim=True)


def vgg16() -> Trunk:
    """Simonyan and Zisserman 2015 (1409.1556): five blocks, each ending with its pooling."""
    whole = torchvision.vgg16()
    ends = [-1, *(at for at, layer in enumerate(whole.features) if isinstance(layer, nn.MaxPool2d))]
    ranges = pairwise(ends)
    blocks = [[f"features.{at}" for at in range(start + 1, end + 1)] for start, end in ranges]
    return Trunk("vgg16", whole, ("avgpool", "classifier"), blocks)


def resnet50() -> Trunk:
    """He et al. 2016 (1512.03385): the stem and four stages."""
    blocks = [["conv1", "bn1"], *([f"layer{stage}"] for stage in range(1, 5))]
    return Trunk("resnet50", torchvision.resnet50(), ("avgpool", "fc"), blocks)


def inception_v3() -> Trunk:
    """Szegedy et al. 2016 (1512.00567): five convolutions and eleven modules, without the auxiliary classifier."""
    whole = torchvision.inception_v3(aux_logits=False, init_weights=True)
    blocks = [[name] for name, _ in whole.named_children() if name.startswith(("Conv2d", "Mixed"))]
    # Its weights came from TensorFlow, where pixels lie between -1 and 1.
    return Trunk("inception_v3", whole, ("avgpool", "dropout", "fc"), blocks, spread=0.45)


def squeezenet() -> Trunk:
    """Iandola et al. 2016 (1602.07360), version 1.1: the stem and eight fire modules.

    Its maps are averaged, as in front of its own classifier: flattened, they would make a head of 32 million weights.
    """
    whole = torchvision.squeezenet1_1()
    blocks = [[f"features.{at}"] for at in (0, 3, 4, 6, 7, 9, 10, 11, 12)]
    trunk = Trunk("squeezenet1_1", whole, ("classifier",), blocks)
    whole.classifier = nn.AdaptiveAvgPool2d(1)
    return trunk


class ImageNetwork(nn.Module):
    """One channel of log spectrogram through a trunk that was made for three, then the head."""

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        trunk: Callable[[], Trunk],
        entry: Entry = "repeat",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if entry not in get_args(Entry):
            raise KwsError(f"entry={entry}: expected {' or '.join(get_args(Entry))}, how one channel enters three")
        self.entry = entry
        self.trunk = trunk()
        if entry == "sum":
            first = self.trunk.entry
            first.weight = nn.Parameter(sum_kernels(first.weight.detach()))
            first.in_channels = 1
        with torch.no_grad():
            flat = self.trunk.eval()(torch.zeros(1, 1 if entry == "sum" else COLOURS, frames, bins)).shape[1]
        self.trunk.train()
        self.head = Head(flat, labels, dropout=dropout)

    def forward(self, features: Tensor) -> Tensor:
        images = features.expand(-1, COLOURS, -1, -1) if self.entry == "repeat" else features
        return self.head(self.trunk(images))  # (batch, labels) logits


_register = partial(register, frontend=LOG_SPECTROGRAM, frames=99)
_register("vgg16", paper="Simonyan and Zisserman 2015, 1409.1556")(partial(ImageNetwork, trunk=vgg16))
_register("inception-v3", paper="Szegedy et al. 2016, 1512.00567")(partial(ImageNetwork, trunk=inception_v3))
_register("resnet50", paper="He et al. 2016, 1512.03385")(partial(ImageNetwork, trunk=resnet50))
_register("squeezenet", paper="Iandola et al. 2016, 1602.07360")(partial(ImageNetwork, trunk=squeezenet))
