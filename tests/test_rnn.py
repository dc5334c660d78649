"""What torch computes, as one operator of ONNX a layer."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from models.rnn import GRU, LSTM


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's exporter, of its own
@pytest.mark.parametrize(
    ("layers", "operators"),
    [
        (GRU(5, 4, layers=2, bidirectional=True), ["GRU", "GRU"]),
        (GRU(5, 4), ["GRU"]),
        (LSTM(5, 4), ["LSTM"]),
        (LSTM(5, 7, projection=3), ["LSTM"]),
    ],
    ids=["two directions", "GRU", "LSTM", "projected LSTM"],
)
def test_the_exported_recurrence_is_torch_s(layers: GRU | LSTM, operators: list[str]) -> None:
    torch.manual_seed(0)
    for parameter in layers.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5)
    batch = {0: torch.export.Dim("batch", min=1)}
    program = torch.onnx.export(
        layers.eval(), (torch.zeros(2, 7, 5),), dynamic_shapes=(batch,), dynamo=True, verbose=False
    )
    model = program.model_proto
    assert [node.op_type for node in model.graph.node if node.op_type in ("GRU", "LSTM")] == operators
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for rows in (1, 3):
        sequence = torch.randn(rows, 7, 5)
        (heard,) = session.run(None, {session.get_inputs()[0].name: sequence.numpy()})
        np.testing.assert_allclose(heard, layers(sequence).detach().numpy(), atol=1e-6)
