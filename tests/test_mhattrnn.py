from __future__ import annotations

import torch
from torch import nn

from models.complexity import count_multiplies
from models.mhattrnn import MHAttRNN
from models.registry import parameter_count

FRAMES, BINS = 49, 20
"""40 ms windows every 20 ms, 20 coefficients"""


def test_the_parameters_of_the_paper() -> None:
    """743K in Rybakov et al. 2020, arXiv 2005.06720, as Keras counts; here layer by layer."""
    convolutions = (5 + 1) * 10 + 4 * 10 + (50 + 1) * 1 + 4 * 1
    recurrent = 2 * 3 * 128 * (20 + 128 + 2) + 2 * 3 * 128 * (256 + 128 + 2)
    classifier = (1024 + 1) * 64 + (64 + 1) * 32 + (32 + 1) * 12
    count = parameter_count(MHAttRNN(FRAMES, BINS, 12))
    assert count == convolutions + recurrent + 4 * (256 + 1) * 256 + classifier
    assert f"{count / 1e3:.0f}K" == "743K"


def test_the_multiplies_by_hand() -> None:
    """The paper gives none."""
    a_frame = 20 * (5 * 10 + 50) + 2 * 3 * 128 * (20 + 128) + 2 * 3 * 128 * (256 + 128) + 2 * 4 * 256
    once = 4 * 256 * 256 + 1024 * 64 + 64 * 32 + 32 * 12
    assert count_multiplies(MHAttRNN(FRAMES, BINS, 12), FRAMES, BINS) == FRAMES * a_frame + once


def test_attention_without_preference_is_the_mean() -> None:
    network = MHAttRNN(FRAMES, BINS, 12).eval()
    nn.init.zeros_(network.query.weight)
    nn.init.zeros_(network.query.bias)
    features = torch.randn(2, 1, FRAMES, BINS)
    sequence = network.recurrent(network.convolutions(features).squeeze(1))  # (2, frames, 256)
    torch.testing.assert_close(network(features), network.classifier(sequence.mean(1).repeat(1, 4)))


def test_attention_is_asked_from_the_middle() -> None:
    """The query depends on the frame in the middle alone."""
    network = MHAttRNN(FRAMES, BINS, 12).eval()
    asked = []
    network.query.register_forward_hook(lambda module, inputs, output: asked.append(inputs[0]))
    features = torch.randn(1, 1, FRAMES, BINS)
    network(features)
    sequence = network.recurrent(network.convolutions(features).squeeze(1))
    torch.testing.assert_close(asked[0], sequence[:, 24])
