from __future__ import annotations

import pytest
import torch
from torch import nn

from models.compact import AttentivePool, CompactResNet, ResidualBlock, TemporalBlock
from models.complexity import count_multiplies
from models.registry import find_architecture, trainable_count

FRAMES, BINS = 98, 40


def block(inputs: int, outputs: int, shortcut: bool = True) -> int:
    """Weights of two 3 x 3 convolutions and of a 1 x 1 beside them, and a scale and a shift for each channel."""
    beside = inputs * outputs + 2 * outputs
    return 9 * inputs * outputs + 9 * outputs**2 + 4 * outputs + shortcut * beside


def ends(stem: int, last: int, joined: int, attentive: bool = True) -> int:
    """The 3 x 3 stem, the convolution over the 5 bins that three halvings leave of 40, two separable convolutions over
    9 frames, the weights of the frames, the classifier of 12 labels."""
    attention = attentive * (joined + 1) * joined
    return (9 + 2) * stem + (5 * last + 2) * joined + 2 * (9 + joined + 2) * joined + attention + (joined + 1) * 12


@pytest.mark.parametrize(
    ("name", "by_hand", "limit"),
    [
        ("compact-tiny", ends(8, 20, 32) + block(8, 16) + block(16, 20), 20_000),
        ("compact", ends(16, 56, 64) + block(16, 32) + block(32, 56), 100_000),
        (
            "compact-large",
            ends(24, 96, 192) + block(24, 48) + block(48, 48, False) + block(48, 96) + block(96, 96, False),
            5_000_000 // 4,  # 5 MB of float32
        ),
        (
            "compact-teacher",
            ends(32, 128, 256, False) + block(32, 64) + block(64, 64, False) + block(64, 128) + block(128, 128, False),
            1_000_000,
        ),
    ],
)
def test_the_parameters_by_hand(name: str, by_hand: int, limit: int) -> None:
    count = trainable_count(find_architecture(name).build(FRAMES, BINS, 12))
    assert count == by_hand
    assert count < limit


def test_the_multiplies_by_hand() -> None:
    """Maps of 98 x 20, 49 x 10 and 25 x 5."""
    stem = 98 * 20 * 9 * 8
    first = 49 * 10 * (9 * 8 * 16 + 9 * 16 * 16 + 8 * 16)
    second = 25 * 5 * (9 * 16 * 20 + 9 * 20 * 20 + 16 * 20)
    joined = 25 * (5 * 20 * 32 + 2 * (9 * 32 + 32 * 32) + 32 * 32)
    network = find_architecture("compact-tiny").build(FRAMES, BINS, 12).eval()
    assert count_multiplies(network, FRAMES, BINS) == stem + first + second + joined + 32 * 12


@pytest.mark.parametrize(("bins", "height"), [(40, 5), (41, 6), (47, 6), (80, 10)])
def test_the_join_takes_all_bins_that_are_left(bins: int, height: int) -> None:
    network = CompactResNet(FRAMES, bins, 12, stride=2, blocks=2)
    maps = network.features(torch.zeros(2, 1, FRAMES, bins))
    assert maps.shape == (2, 56, 13, height)
    assert network.join(maps).shape == (2, 64, 13, 1)


def test_a_block_adds_to_its_input_and_halves_the_map_when_it_strides() -> None:
    same, strided = ResidualBlock(8, 8, 1), ResidualBlock(8, 8, 2)
    for each in (same, strided):
        nn.init.zeros_(each.body[-1].weight)  # of the last batch norm: nothing is added
    maps = torch.randn(2, 8, 9, 6)
    torch.testing.assert_close(same(maps), maps.relu())
    halved = strided(maps)
    assert halved.shape == (2, 8, 5, 3)
    torch.testing.assert_close(halved, strided.shortcut(maps).relu())


def test_a_temporal_block_hears_the_order() -> None:
    network = TemporalBlock(8).eval()
    maps = torch.randn(2, 8, 13, 1)
    assert network(maps).shape == maps.shape
    assert not torch.allclose(network(maps).mean(2), network(maps.flip(2)).mean(2))


def test_attention_hears_what_stands_out_wherever_it_is() -> None:
    pool = AttentivePool(4)
    torch.nn.init.eye_(pool.score.weight[:, :, 0])
    maps = torch.full((1, 4, 25), -9.0)
    maps[0, :, 3] = 9.0
    torch.testing.assert_close(pool(maps), torch.full((1, 4), 9.0))
    torch.testing.assert_close(pool(maps), pool(maps.roll(11, 2)))


def test_attention_that_prefers_nothing_is_the_mean() -> None:
    pool = AttentivePool(4)
    nn.init.zeros_(pool.score.weight)
    maps = torch.randn(2, 4, 25)
    torch.testing.assert_close(pool(maps), maps.mean(2))
