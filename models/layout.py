"""How the maps of a network lie in memory."""

from __future__ import annotations

import torch
from torch import nn


def lay_out(network: nn.Module) -> None:
    """Channels last, which is twice as fast on a CPU; not where a convolution is dilated, for whose weights torch 2.11
    then gives gradients of NaN in bfloat16, or ends the process (with channels that are no multiple of 16)."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if all(convolution.dilation == (1, 1) for convolution in convolutions):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
