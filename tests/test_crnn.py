from __future__ import annotations

import torch

from models.crnn import CRNN
from models.registry import find_architecture


def test_causal_steps_see_no_frame_to_come() -> None:
    """The convolution's output at a step changes with the frames up to it alone: kernels of 20 frames, 8 apart."""
    network = CRNN(96, 40, 12, causal=True)
    features = torch.randn(1, 1, 96, 40, requires_grad=True)
    maps = network.convolution(features)  # (1, 32, 12, 20)
    maps[0, :, 5].square().sum().backward()
    seen = features.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert maps.shape == (1, 32, 12, 20)
    assert (seen.min(), seen.max()) == (5 * 8 - 12, 5 * 8 + 7)  # the last of the 8 frames of that step


def test_both_directions_hear_every_step() -> None:
    network = find_architecture("crnn").build(98, 40, 12)
    assert network.convolution(torch.zeros(1, 1, 98, 40)).shape == (1, 32, 13, 20)
    assert network.classifier[0].in_features == 13 * 2 * 32


def test_hello_edge_s_maps_are_about_the_paper_s() -> None:
    """20 x 4 of 49 x 10 in the paper; 23 x 5 of our 98 x 40."""
    paper = find_architecture("crnn-s").build(49, 10, 12, stride=(2, 2))
    assert paper.convolution(torch.zeros(1, 1, 49, 10)).shape == (1, 48, 20, 4)
    ours = find_architecture("crnn-s").build(98, 40, 12)
    assert ours.convolution(torch.zeros(1, 1, 98, 40)).shape == (1, 48, 23, 5)
