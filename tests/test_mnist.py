from __future__ import annotations

import torch

from models.mnist import MNIST
from models.registry import find_architecture, parameter_count, trainable_count


def test_the_study_network_has_the_published_parameters() -> None:
    found = find_architecture("mnist")
    network = found.build(found.frames, found.frontend.bins, 12)
    assert (found.frames, found.frontend.bins) == (99, 161)
    assert parameter_count(network) == 55_038_988
    assert trainable_count(network) == 54_929_868


def test_the_flattened_maps_of_the_study_are_22_by_38_by_64() -> None:
    assert MNIST(99, 161, 12, width=8).features(torch.zeros(1, 1, 99, 161)).shape == (1, 64, 22, 38)
