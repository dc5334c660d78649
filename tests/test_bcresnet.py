from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.bcresnet import BCResNet, BroadcastedBlock, SubSpectralNorm
from models.complexity import count_multiplies
from models.registry import find_architecture, trainable_count

FRAMES = 98
"""a second of 30 ms windows every 10 ms (section 4.1)"""

PAPER = [
    ("bcresnet-1", "9.2k", "3.1M"),
    ("bcresnet-1.5", "17.2k", "5.5M"),
    ("bcresnet-2", "27.3k", "8.5M"),
    ("bcresnet-3", "54.2k", "16.2M"),
    ("bcresnet-6", "188k", "53.1M"),
    ("bcresnet-8", "321k", "89.1M"),
]
"""Kim et al. 2021, arXiv 2106.04140, table 3"""


def elementwise_operations(network: BCResNet) -> int:
    """Two for each value that a batch norm gives, one for each that a ReLU layer gives, one for each that is averaged.

    Without the sigmoids, and the ReLU at the end of each block.
    """
    operations = 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal operations
        if isinstance(module, nn.BatchNorm2d):
            operations += 2 * output.numel()
        elif isinstance(module, nn.ReLU):
            operations += output.numel()
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            operations += inputs[0].numel()
        elif isinstance(module, BroadcastedBlock):
            operations += output.numel()  # as many as its spectral maps, which it averages over the bins

    for module in network.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 1, FRAMES, 40))
    return operations


@pytest.mark.parametrize(("name", "parameters", "multiplies"), PAPER)
def test_the_parameters_and_multiplies_of_the_paper(name: str, parameters: str, multiplies: str) -> None:
    """Parameters without running statistics.

    The paper's multiplies are more than those of the convolutions, by 7% to 30%; it does not say what it counts. With
    the elementwise operations, its figures come out for each of the six.
    """
    network = find_architecture(name).build(FRAMES, 40, 12)
    thousands = trainable_count(network) / 1e3
    assert (f"{thousands:.1f}k" if thousands < 100 else f"{thousands:.0f}k") == parameters
    assert f"{(count_multiplies(network, FRAMES, 40) + elementwise_operations(network)) / 1e6:.1f}M" == multiplies


def test_the_multiplies_of_the_smallest_by_hand() -> None:
    """Table 1, row by row: a block has 3 products for each value of its spectral maps, and over time 3 + channels."""
    stages = [
        20 * 16 * 8 + 2 * 20 * 8 * 3 + 2 * 8 * (3 + 8),
        20 * 8 * 12 + 2 * 10 * 12 * 3 + 2 * 12 * (3 + 12),
        10 * 12 * 16 + 4 * 5 * 16 * 3 + 4 * 16 * (3 + 16),
        5 * 16 * 20 + 4 * 5 * 20 * 3 + 4 * 20 * (3 + 20),
    ]
    a_frame = 20 * 16 * 25 + sum(stages) + 20 * 25 + 20 * 32
    assert count_multiplies(BCResNet(FRAMES, 40, 12), FRAMES, 40) == FRAMES * a_frame + 32 * 12


def test_the_shapes_of_table_1() -> None:
    network = BCResNet(FRAMES, 40, 12)
    maps, shapes = network.head(torch.zeros(1, 1, 40, FRAMES)), []
    for block in network.blocks:
        shapes.append(tuple(maps.shape[1:3]))
        maps = block(maps)
    assert shapes[:1] + shapes[2:3] + shapes[4:5] + shapes[8:9] == [(16, 20), (8, 20), (12, 10), (16, 5)]
    assert maps.shape == (1, 20, 5, FRAMES)
    assert [block.transition for block in network.blocks].count(True) == 4
    dilations = [block.temporal[0].dilation[1] for block in network.blocks]
    assert dilations == [1, 1, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8]


def test_each_band_is_normalised_apart() -> None:
    """Against a batch norm a band."""
    torch.manual_seed(0)
    maps = torch.randn(4, 3, 10, 7) * torch.arange(1, 11).view(10, 1)  # louder from bin to bin
    expected = torch.cat([nn.BatchNorm2d(3)(band) for band in maps.split(2, dim=2)], dim=2)
    torch.testing.assert_close(SubSpectralNorm(3)(maps), expected)
    assert not torch.allclose(nn.BatchNorm2d(3)(maps), expected, atol=0.1)


def test_a_block_broadcasts_over_the_bins() -> None:
    """With the spectral branch silenced, all that the block adds to its input is equal in every bin."""
    block = BroadcastedBlock(8, 8, stride=1, dilation=2).eval()
    norm = block.spectral[-1]
    with torch.no_grad():
        norm.weight.zero_()
        norm.bias.normal_(std=0.01)
        maps = torch.rand(2, 8, 10, 12) + 1
        bias = norm.bias.view(8, 5).repeat_interleave(2, dim=1)  # (channels, bins)
        added = block(maps) - maps - bias[:, :, None]
    torch.testing.assert_close(added, added[:, :, :1].expand_as(added), atol=1e-5, rtol=0)
    assert added.abs().max() > 1e-6


@pytest.mark.parametrize("frames", [40, 98, 151])
def test_any_number_of_frames(frames: int) -> None:
    assert BCResNet(frames, 40, 12).eval()(torch.zeros(2, 1, frames, 40)).shape == (2, 12)


def test_bins_that_leave_no_whole_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="a multiple of 40 bins, got 64"):
        BCResNet(FRAMES, 64, 12)
