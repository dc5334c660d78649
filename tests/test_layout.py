from __future__ import annotations

import pytest
import torch
from torch import nn

from models.layout import lay_out
from models.registry import find_architecture


@pytest.mark.parametrize("name", ["res8-narrow", "res15-narrow"])
def test_gradients_in_bfloat16_are_numbers(name: str) -> None:
    """Of a plain network and of a dilated one."""
    torch.manual_seed(0)
    found = find_architecture(name)
    network = found.build(found.frames, found.frontend.bins, 12)
    lay_out(network)
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.randn(8, 1, found.frames, found.frontend.bins)).float().square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize(("dilation", "last"), [(1, True), (2, False)])
def test_channels_come_last_where_nothing_is_dilated(dilation: int, last: bool) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, dilation=dilation))
    lay_out(network)
    weight = next(network.parameters())
    assert weight.is_contiguous(memory_format=torch.channels_last) is last
