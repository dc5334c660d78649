from __future__ import annotations

import pytest
import torch

from models.complexity import count_multiplies
from models.registry import find_architecture, parameter_count
from models.tcresnet import TCResNet

FRAMES, BINS = 98, 40
"""30 ms windows every 10 ms, 40 coefficients"""


@pytest.mark.parametrize(
    ("name", "parameters", "flops"),
    [
        ("tcresnet8", "66K", "3.0M"),
        ("tcresnet8-1.5", "145K", "6.6M"),
        ("tcresnet14", "137K", "6.1M"),
        ("tcresnet14-1.5", "305K", "13.4M"),
    ],
)
def test_the_parameters_and_flops_of_the_paper(name: str, parameters: str, flops: str) -> None:
    """Choi et al. 2019, arXiv 1904.03814: running statistics count, and so do additions."""
    network = find_architecture(name).build(FRAMES, BINS, 12)
    assert f"{parameter_count(network) / 1e3:.0f}K" == parameters
    assert f"{2 * count_multiplies(network, FRAMES, BINS) / 1e6:.1f}M" == flops


def test_the_multiplies_of_the_smallest_by_hand() -> None:
    """A block takes nine products for each pair of channels in either convolution, and one in its shortcut."""
    multiplies = 98 * 3 * 40 * 16
    for frames, inputs, outputs in ((49, 16, 24), (25, 24, 32), (13, 32, 48)):
        multiplies += frames * outputs * (9 * inputs + 9 * outputs + inputs)
    assert count_multiplies(TCResNet(FRAMES, BINS, 12), FRAMES, BINS) == multiplies + 48 * 12


@pytest.mark.parametrize("depth", [8, 14])
def test_frames_are_halved_where_channels_change(depth: int) -> None:
    network = TCResNet(FRAMES, BINS, 12, depth)
    maps = network.head(torch.zeros(1, BINS, FRAMES))
    assert maps.shape == (1, 16, 98)
    halved = []
    for block in network.blocks:
        frames, maps = maps.shape[2], block(maps)
        halved.append(maps.shape[2] < frames)
    assert maps.shape == (1, 48, 13)
    assert halved == ([True] * 3 if depth == 8 else [True, False] * 3)
