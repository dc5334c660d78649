from __future__ import annotations

import pytest
import torch

from models.lightcnn import LightCNN
from models.registry import find_architecture, list_architectures, parameter_count, register, trainable_count


def test_the_study_network_has_the_published_parameters() -> None:
    found = find_architecture("lightcnn-spectrogram")
    network = found.build(found.frames, found.frontend.bins, 12)
    assert (found.frames, found.frontend.bins) == (99, 161)
    assert parameter_count(network) == 723_968
    assert trainable_count(network) == 723_454
    assert parameter_count(network) - trainable_count(network) == 514


def test_the_flattened_maps_of_the_study_are_17_by_10_by_32() -> None:
    """The order of axes in the published shape: bins, frames, channels."""
    maps = LightCNN(99, 161, 12).features(torch.zeros(1, 1, 99, 161))
    assert maps.shape == (1, 32, 10, 17)


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_maps_its_features_to_logits(name: str) -> None:
    found = find_architecture(name)
    network = found.build(found.frames, found.frontend.bins, 12).eval()
    assert network(torch.zeros(3, 1, found.frames, found.frontend.bins)).shape == (3, 12)


def test_the_log_mel_network_sees_a_second() -> None:
    found = find_architecture("lightcnn")
    assert found.frames == found.frontend.frames(16_000) == 98


def test_unknown_and_double_names_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown architecture 'resnet'; there are: lightcnn"):
        find_architecture("resnet")
    with pytest.raises(ValueError, match="registered twice"):
        register("lightcnn", find_architecture("lightcnn").frontend, 98)(LightCNN)
