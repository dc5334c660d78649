from __future__ import annotations

import pytest
import torch
from torch import nn

from models.complexity import count_multiplies
from models.registry import find_architecture, trainable_count
from models.resnet import ResNet

FRAMES, BINS = 101, 40
"""30 ms windows every 10 ms on a padded second, 40 coefficients"""


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("res8", "110K"),
        ("res8-narrow", "19.9K"),
        ("res15", "238K"),
        ("res15-narrow", "42.6K"),
        ("res26", "438K"),
        ("res26-narrow", "78.4K"),
    ],
)
def test_the_parameters_of_the_paper(name: str, parameters: str) -> None:
    """Tang and Lin 2017, arXiv 1710.10361."""
    assert f"{trainable_count(find_architecture(name).build(FRAMES, BINS, 12)) / 1e3:.3g}K" == parameters


@pytest.mark.parametrize(
    ("name", "multiplies", "excess"),
    [
        ("res8", 30e6, 1.24),
        ("res8-narrow", 5.65e6, 1.24),
        ("res15", 894e6, 1.07),
        ("res15-narrow", 160e6, 1.07),
        ("res26", 380e6, 1.155),
        ("res26-narrow", 68.5e6, 1.15),
    ],
)
def test_the_multiplies_exceed_those_of_the_paper(name: str, multiplies: float, excess: float) -> None:
    """The paper's were counted by hand (castorini/honk, issue 81), on smaller maps than those of the authors' network.

    Its convolutions are padded, so that maps have 101 x 40 values, or pooled 25 x 13 (res8) and 50 x 20 (res26). The
    paper's figures imply 99 x 38, and pooled some 260 and 870 values.
    """
    network = find_architecture(name).build(FRAMES, BINS, 12)
    assert count_multiplies(network, FRAMES, BINS) / multiplies == pytest.approx(excess, abs=0.01)


@pytest.mark.parametrize(("name", "multiplies"), [("res15", 894e6), ("res15-narrow", 160e6)])
def test_unpooled_maps_of_the_paper_s_size_have_its_multiplies(name: str, multiplies: float) -> None:
    """To 0.3%: the paper adds those of a batch norm, and rounds on the way."""
    network = find_architecture(name).build(99, 38, 12)
    assert count_multiplies(network, 99, 38) == pytest.approx(multiplies, rel=0.003)


def test_the_multiplies_by_hand() -> None:
    """One convolution of one map, then six of 45 on pooled ones; 13 on whole ones."""
    build = find_architecture("res8").build
    assert count_multiplies(build(98, 40, 12), 98, 40) == 45 * (98 * 40 * 9 + 24 * 13 * 6 * 45 * 9 + 12)
    build = find_architecture("res15-narrow").build
    assert count_multiplies(build(98, 40, 12), 98, 40) == 19 * (98 * 40 * (9 + 13 * 19 * 9) + 12)


def test_dilation_sees_the_field_of_the_paper() -> None:
    """125 x 125: where the input's gradient is not zero when all weights are positive, and no rectifier closes."""
    network = ResNet(151, 151, 12, convolutions=13, maps=1, dilated=True).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(0.1)
    maps = []
    network.norms[-1].register_forward_hook(lambda *call: maps.append(call[-1]))
    features = torch.ones(1, 1, 151, 151, requires_grad=True)
    network(features)
    maps[0][0, 0, 75, 75].backward()
    seen = features.grad[0, 0] > 0
    assert seen[13:138, 13:138].all()
    assert seen.sum() == 125 * 125


def test_sums_pass_unnormalised() -> None:
    """With nothing to add, what the first convolution gave comes out again, normalised once."""
    network = ResNet(20, 12, 5, convolutions=6, maps=4, pool=(4, 3)).eval()
    for convolution in network.convolutions:
        nn.init.zeros_(convolution.weight)
    for norm in network.norms:
        norm.running_mean.fill_(3.0)
    features = torch.randn(2, 1, 20, 12)
    stem = network.stem(features)  # (2, 4, 5, 4)
    assert stem.shape == (2, 4, 5, 4)
    torch.testing.assert_close(network(features), network.classifier(network.norms[-1](stem).mean((2, 3))))
