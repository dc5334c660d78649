from __future__ import annotations

import pytest
import torch

from models.imagenet import ImageNetwork
from models.registry import find_architecture, parameter_count, trainable_count

KERAS_BIASES = 26_560
"""Keras' ResNet50 has biases in the convolutions in front of its batch norms, which take them away again"""
KERAS_SCALES = 17_216
"""Keras' Inception V3 has batch norms without scale; torchvision's have one, which the next convolution could have"""


def build(name: str) -> ImageNetwork:
    found = find_architecture(name)
    assert (found.frames, found.frontend.bins) == (99, 161)
    network = found.build(99, 161, 12)
    assert isinstance(network, ImageNetwork)
    return network


@pytest.mark.parametrize(
    ("name", "total", "statistics", "more_in_keras"),
    [
        ("vgg16", 23_676_748, 17_408, 0),
        ("inception-v3", 29_185_836, 48_768, -KERAS_SCALES),
        ("resnet50", 75_182_988, 153_472, KERAS_BIASES),
    ],
)
def test_the_published_parameters(name: str, total: int, statistics: int, more_in_keras: int) -> None:
    network = build(name)
    assert parameter_count(network) + more_in_keras == total
    assert parameter_count(network) - trainable_count(network) == statistics


@pytest.mark.parametrize(
    ("name", "flat", "blocks"), [("vgg16", 7680, 5), ("inception-v3", 6144, 16), ("resnet50", 49_152, 5)]
)
def test_the_published_shapes(name: str, flat: int, blocks: int) -> None:
    """3 x 5 x 512, 1 x 3 x 2048, 4 x 6 x 2048. The blocks hold every parameter of the trunk once."""
    network = build(name)
    assert network.head[0].num_features == flat
    assert len(network.trunk.blocks) == blocks
    inside = [parameter for block in network.trunk.blocks for module in block for parameter in module.parameters()]
    assert [*map(id, inside)] == [*map(id, network.trunk.parameters())]


def test_squeezenet_is_the_trunk_that_the_weights_are_for() -> None:
    network = build("squeezenet")
    assert trainable_count(network.trunk) == 722_496
    assert network.head[0].num_features == 512
    assert len(network.trunk.blocks) == 9


def test_a_summed_entry_is_the_repeated_one() -> None:
    found = find_architecture("squeezenet")
    torch.manual_seed(0)
    repeated = found.build(99, 161, 12).eval()
    torch.manual_seed(0)
    summed = found.build(99, 161, 12, entry="sum").eval()
    features = torch.randn(3, 1, 99, 161)
    with torch.no_grad():
        expected = repeated.trunk(features.expand(-1, 3, -1, -1))
        torch.testing.assert_close(summed.trunk(features), expected, atol=1e-5, rtol=1e-5)
    first = repeated.trunk.entry.weight
    assert summed.trunk.entry.weight.shape == (64, 1, 3, 3)
    assert trainable_count(repeated) - trainable_count(summed) == first.numel() * 2 // 3
