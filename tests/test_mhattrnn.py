from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from models.complexity import count_multiplies
from models.mhattrnn import MHAttRNN
from models.registry import parameter_count
from models.rnn import GRU

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


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's exporter, of its own
def test_the_exported_recurrence_is_torch_s() -> None:
    torch.manual_seed(0)
    recurrent = GRU(5, 4, layers=2, bidirectional=True).eval()
    batch = {0: torch.export.Dim("batch", min=1)}
    program = torch.onnx.export(recurrent, (torch.zeros(2, 7, 5),), dynamic_shapes=(batch,), dynamo=True, verbose=False)
    model = program.model_proto
    assert [node.op_type for node in model.graph.node].count("GRU") == 2
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for rows in (1, 3):
        sequence = torch.randn(rows, 7, 5)
        (heard,) = session.run(None, {session.get_inputs()[0].name: sequence.numpy()})
        np.testing.assert_allclose(heard, recurrent(sequence).detach().numpy(), atol=1e-6)
