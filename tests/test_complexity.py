from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.complexity import LayerCost, count_multiplies, layer_costs
from models.lightcnn import LightCNN
from models.registry import parameter_count

FRAMES, BINS = 11, 8


class Sequence(nn.Module):
    """A layer of sequences on `(batch, frames, bins)`, whatever it returns beside its output."""

    def __init__(self, layer: nn.Module, inputs: int = 1) -> None:
        super().__init__()
        self.layer = layer
        self.inputs = inputs

    def forward(self, features: Tensor) -> Tensor:
        output = self.layer(*[features.squeeze(1)] * self.inputs)
        return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize(
    ("layer", "multiplies"),
    [
        pytest.param(nn.Conv2d(1, 4, 3), 9 * 6 * 4 * 9, id="plain"),
        pytest.param(nn.Conv2d(1, 4, (3, 5), padding=(1, 2)), 11 * 8 * 4 * 15, id="products with padding count"),
        pytest.param(nn.Conv2d(1, 4, 3, stride=(2, 1), padding=1), 6 * 8 * 4 * 9, id="strided"),
        pytest.param(nn.Conv2d(1, 4, 3, dilation=(4, 2)), 3 * 4 * 4 * 9, id="dilated"),
        pytest.param(nn.Conv2d(1, 4, 3, bias=False), 9 * 6 * 4 * 9, id="a bias is no multiply"),
    ],
)
def test_convolutions_of_maps(layer: nn.Module, multiplies: int) -> None:
    assert count_multiplies(layer, FRAMES, BINS) == multiplies


@pytest.mark.parametrize(
    ("layer", "multiplies"),
    [
        pytest.param(nn.Linear(8, 5), 11 * 8 * 5, id="linear"),
        pytest.param(nn.Conv1d(11, 22, 3, groups=11), 6 * 22 * 3, id="depthwise"),
        pytest.param(nn.Conv1d(11, 22, 3, stride=2, groups=11, padding=1), 4 * 22 * 3, id="strided depthwise"),
        pytest.param(nn.GRU(8, 7, batch_first=True), 11 * 3 * 7 * (8 + 7), id="GRU"),
        pytest.param(
            nn.GRU(8, 7, 2, batch_first=True, bidirectional=True),
            11 * 2 * 3 * 7 * ((8 + 7) + (14 + 7)),
            id="GRU of two layers and directions",
        ),
        pytest.param(nn.LSTM(8, 7, batch_first=True), 11 * 4 * 7 * (8 + 7), id="LSTM"),
        pytest.param(
            nn.LSTM(8, 7, 2, batch_first=True, bidirectional=True),
            11 * 2 * 4 * 7 * ((8 + 7) + (14 + 7)),
            id="LSTM of two layers and directions",
        ),
        pytest.param(
            nn.LSTM(8, 7, batch_first=True, proj_size=3),
            11 * (4 * 7 * (8 + 3) + 7 * 3),
            id="projected LSTM",
            marks=pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
        ),
        pytest.param(nn.LSTM(8, 7), 11 * 4 * 7 * (8 + 7), id="LSTM over the first axis"),
    ],
)
def test_layers_of_sequences(layer: nn.Module, multiplies: int) -> None:
    assert count_multiplies(Sequence(layer), FRAMES, BINS) == multiplies


ATTENTION = 11 * 8 * 24 + 2 * 11 * 11 * 8 + 11 * 8 * 8
"""projections to queries, keys and values; scores and their sums; the projection behind"""


def test_attention() -> None:
    layer = Sequence(nn.MultiheadAttention(8, 2, batch_first=True), inputs=3)
    assert count_multiplies(layer, FRAMES, BINS) == ATTENTION
    encoder = Sequence(nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True))
    assert count_multiplies(encoder, FRAMES, BINS) == ATTENTION + 2 * 11 * 8 * 16


def test_what_is_elementwise_does_not_count() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.ReLU(), nn.AvgPool2d(2))
    assert count_multiplies(network, FRAMES, BINS) == 0


def test_the_light_cnn_by_hand() -> None:
    """Unpadded convolutions on 98 x 40, halved thrice: 97 x 39, 96 x 38 | 46 x 17, 44 x 15 | 20 x 5 | 10 x 2."""
    maps = 97 * 39 * 8 * 4 + 96 * 38 * 8 * 8 * 4 + 46 * 17 * 16 * 8 * 9 + 44 * 15 * 16 * 16 * 9 + 20 * 5 * 32 * 16 * 9
    classifier = 10 * 2 * 32 * 128 + 128 * 128 + 128 * 12
    assert count_multiplies(LightCNN(98, 40, 12), 98, 40) == maps + classifier


def test_the_layers_add_up() -> None:
    network = LightCNN(98, 40, 12)
    costs = layer_costs(network, 98, 40)
    assert sum(cost.multiplies for cost in costs) == count_multiplies(network, 98, 40)
    assert sum(cost.parameters for cost in costs) == parameter_count(network)
    assert costs[:2] == [
        LayerCost("features.0", "BatchNorm2d", (1, 1, 98, 40), 4, 0),
        LayerCost("features.1", "Conv2d", (1, 8, 97, 39), 40, 97 * 39 * 8 * 4),
    ]


def test_a_layer_is_charged_for_itself_alone() -> None:
    """Products in a module's own forward are its own; a layer that runs twice costs twice."""

    class Gram(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, features: Tensor) -> Tensor:
            hidden = self.linear(self.linear(features))  # (batch, 1, frames, bins)
            return hidden @ hidden.mT  # (batch, 1, frames, frames)

    assert layer_costs(nn.Sequential(Gram()), FRAMES, BINS) == [
        LayerCost("0", "Gram", (1, 1, 11, 11), 0, 11 * 11 * 8),
        LayerCost("0.linear", "Linear", (1, 1, 11, 8), 72, 2 * 11 * 8 * 8),
    ]


def test_recurrent_layers_show_their_sequence() -> None:
    costs = layer_costs(Sequence(nn.GRU(8, 7, batch_first=True)), FRAMES, BINS)
    assert costs == [LayerCost("layer", "GRU", (1, 11, 7), 3 * 7 * (8 + 7 + 2), 11 * 3 * 7 * (8 + 7))]


def test_counting_leaves_the_network_as_it_was() -> None:
    network = LightCNN(98, 40, 12).train()
    network.classifier.eval()
    running = network.features[0].running_mean.clone()
    count_multiplies(network, 98, 40)
    layer_costs(network, 98, 40)
    assert network.training
    assert network.features.training
    assert not network.classifier.training
    assert torch.equal(network.features[0].running_mean, running)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert torch.backends.mha.get_fastpath_enabled()
