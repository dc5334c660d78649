from __future__ import annotations

import pytest
import torch
from torch import nn

from kws_stream.errors import KwsError
from models.lightcnn import LightCNN
from models.registry import find_architecture, parameter_count, trainable_count


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


def test_the_batch_norms_stand_after_the_rectifiers_or_before_them() -> None:
    for norm, order in (("after", [nn.ReLU, nn.BatchNorm1d]), ("before", [nn.BatchNorm1d, nn.ReLU])):
        kinds = [type(layer) for layer in LightCNN(99, 161, 12, norm=norm).classifier]
        assert kinds == [nn.Linear, *order, nn.Linear, *order, nn.Linear]
    with pytest.raises(KwsError, match="norm=beside: expected after or before"):
        LightCNN(99, 161, 12, norm="beside")
