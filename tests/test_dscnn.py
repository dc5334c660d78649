from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from models.complexity import count_multiplies
from models.dscnn import DSCNN
from models.registry import find_architecture, trainable_count

FRAMES, BINS = 49, 10
"""40 ms windows every 20 ms, 10 coefficients"""

STRIDES = {"dscnn-s": (2, 2), "dscnn-m": (2, 1), "dscnn-l": (2, 1)}
"""of the first convolution in the paper"""


def of_the_paper(name: str) -> DSCNN:
    return find_architecture(name).build(FRAMES, BINS, 12, stride=STRIDES[name]).eval()


def folded_count(network: nn.Module) -> int:
    """Parameters when each batch norm went into its convolution: its scales are gone, its shifts are the biases."""
    return trainable_count(network) - sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def biased_values(network: DSCNN) -> int:
    """Values that get a bias added: those of every batch norm, and the logits."""
    values = 12

    def count(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal values
        values += output.numel()

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(count)
    network(torch.zeros(1, 1, FRAMES, BINS))
    return values


@pytest.mark.parametrize(("name", "memory"), [("dscnn-s", "38.6KB"), ("dscnn-m", "189.2KB"), ("dscnn-l", "497.6KB")])
def test_the_memory_of_the_paper(name: str, memory: str) -> None:
    """Zhang et al. 2017, arXiv 1711.07128: a byte a weight, and a byte a value of the two neighbouring maps together
    that are largest."""
    network = of_the_paper(name)
    maps, sizes = torch.zeros(1, 1, FRAMES, BINS), []
    for stage in network.features:
        maps = stage(maps)
        sizes.append(maps.numel())
    largest = max(before + after for before, after in pairwise(sizes))
    assert f"{(folded_count(network) + largest) / 1e3:.1f}KB" == memory


@pytest.mark.parametrize(("name", "operations"), [("dscnn-s", "5.4M"), ("dscnn-m", "19.8M"), ("dscnn-l", "56.9M")])
def test_the_operations_of_the_paper(name: str, operations: str) -> None:
    """A multiply and an addition each, and one for each bias added."""
    network = of_the_paper(name)
    assert f"{(2 * count_multiplies(network, FRAMES, BINS) + biased_values(network)) / 1e6:.1f}M" == operations


def test_the_smallest_by_hand() -> None:
    network = of_the_paper("dscnn-s")
    assert folded_count(network) == (40 + 1) * 64 + 4 * ((9 + 1) * 64 + (64 + 1) * 64) + (64 + 1) * 12
    assert count_multiplies(network, FRAMES, BINS) == 25 * 5 * 64 * (40 + 4 * (9 + 64)) + 64 * 12


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("dscnn-s", (25, 10), (25, 10)), ("dscnn-m", (25, 20), (13, 10)), ("dscnn-l", (25, 20), (13, 10))],
)
def test_log_mel_maps_have_the_frames_of_the_paper_and_twice_its_bands(
    name: str, first: tuple[int, int], last: tuple[int, int]
) -> None:
    found = find_architecture(name)
    network = found.build(found.frames, found.frontend.bins, 12)
    maps = network.features[0](torch.zeros(2, 1, found.frames, found.frontend.bins))
    assert maps.shape[2:] == first
    assert network.features[1:](maps).shape[2:] == last
    paper = of_the_paper(name)
    assert trainable_count(network) == trainable_count(paper)
    twice = 2 * count_multiplies(paper, FRAMES, BINS) - paper.classifier.weight.numel()
    assert count_multiplies(network, found.frames, found.frontend.bins) == twice
