"""The part of a network that hears sounds where they are, before time is pooled; it may learn before the rest does."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from kws_stream.errors import KwsError

ENCODER_FILE = "encoder.pth"
"""in the folder of a run of `models.pretrain`"""


@runtime_checkable
class Encoder(Protocol):
    """What such a network has, beside `forward`."""

    ENCODER: ClassVar[tuple[str, ...]]
    """names of the modules that make up the encoder"""

    width: int
    """channels of what it gives"""

    def encode(self, features: Tensor) -> Tensor:
        """`(batch, 1, frames, bins)` of any length -> `(batch, width, fewer frames)`."""
        ...


def encoder_of(network: nn.Module) -> Encoder:
    """`network` as one that has an encoder; KwsError for any other."""
    if not isinstance(network, Encoder):
        raise KwsError(f"{type(network).__name__} has no encoder that could learn phones; compact and gru-stream have")
    return network


def encoder_weights(network: nn.Module) -> dict[str, Tensor]:
    """The tensors of the encoder by name."""
    parts = encoder_of(network).ENCODER
    return {name: tensor for name, tensor in network.state_dict().items() if name.split(".")[0] in parts}
