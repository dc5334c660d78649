from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.complexity import count_multiplies
from models.matchboxnet import MatchboxNet
from models.registry import find_architecture, trainable_count

FRAMES, BINS = 128, 64
"""64 coefficients every 10 ms, padded to 128 frames (section 4.1)"""


@pytest.mark.parametrize(
    ("name", "labels", "parameters"), [("matchboxnet-3x1x64", 30, "77K"), ("matchboxnet-3x2x64", 30, "93K")]
)
def test_the_parameters_of_the_paper(name: str, labels: int, parameters: str) -> None:
    """Majumdar, Ginsburg 2020, arXiv 2004.08531, on the 30 words of version 1; without running statistics."""
    network = find_architecture(name).build(FRAMES, BINS, labels)
    assert f"{trainable_count(network) / 1e3:.0f}K" == parameters


def test_six_blocks_have_half_a_thousand_parameters_less_than_the_paper() -> None:
    """On the 35 words of version 2, 140K in the paper: it rounds, or its last kernels are a few frames wider.

    The kernels of blocks 4 to 6 continue those of the first three; the multiplies below confirm them.
    """
    network = find_architecture("matchboxnet-6x2x64").build(FRAMES, BINS, 35)
    assert trainable_count(network) == 139_491


def normalised_values(network: nn.Module) -> int:
    """Values that batch norms give in one inference."""
    values = 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal values
        values += output.numel()

    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 1, FRAMES, BINS))
    return values


@pytest.mark.parametrize(
    ("name", "multiplies"),
    [("matchboxnet-3x1x64", "9.3M"), ("matchboxnet-3x2x64", "11.3M"), ("matchboxnet-6x2x64", "17.1M")],
)
def test_the_multiplies_that_a_later_paper_gives(name: str, multiplies: str) -> None:
    """Kim et al. 2021, arXiv 2106.04140, table 3; with one for each value that a batch norm scales, 1% of them all."""
    network = find_architecture(name).build(FRAMES, BINS, 12)
    assert f"{(count_multiplies(network, FRAMES, BINS) + normalised_values(network)) / 1e6:.1f}M" == multiplies


def test_the_parameters_and_multiplies_of_the_smallest_by_hand() -> None:
    """Depthwise kernels, mixings, and shortcuts; every weight is used once a frame."""
    prologue, epilogue = 11 * 64 + 64 * 128, 29 * 64 + 64 * 128 + 128 * 128
    blocks = 13 * 128 + 2 * 128 * 64 + (15 + 17) * 64 + 2 * 2 * 64 * 64
    weights, normalised = prologue + blocks + epilogue, 128 + 3 * 2 * 64 + 2 * 128
    network = MatchboxNet(FRAMES, BINS, 30)
    assert trainable_count(network) == weights + 2 * normalised + (128 + 1) * 30
    assert count_multiplies(network, FRAMES, BINS) == FRAMES * weights + 128 * 30


def test_frames_are_kept() -> None:
    network = MatchboxNet(FRAMES, BINS, 12, blocks=6, repeats=2)
    assert network.blocks(network.prologue(torch.zeros(1, BINS, FRAMES))).shape == (1, 64, FRAMES)
    kernels = [block.body[0].kernel_size[0] for block in network.blocks]
    assert kernels == [13, 15, 17, 19, 21, 23]
