"""MHAtt-RNN: Rybakov et al. 2020, "Streaming keyword spotting on mobile devices" (arXiv 2005.06720)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from models.recurrent import onnx_weights
from models.registry import register


class BidirectionalGRU(nn.GRU):
    """torch's, from `(batch, frames, inputs)` to `(batch, frames, 2 * hidden_size)`, exported as one operator each."""

    def __init__(self, inputs: int, units: int, layers: int) -> None:
        super().__init__(inputs, units, layers, batch_first=True, bidirectional=True)

    def forward(self, sequence: Tensor) -> Tensor:
        if not torch.onnx.is_in_onnx_export():
            return super().forward(sequence)[0]
        hidden = sequence.transpose(0, 1)  # (frames, batch, inputs)
        frames, batch, _ = hidden.shape
        for layer in range(self.num_layers):
            directed = torch.onnx.ops.symbolic(
                "GRU",
                (hidden, *onnx_weights(self, layer, ("", "_reverse"))),
                {"hidden_size": self.hidden_size, "direction": "bidirectional", "linear_before_reset": 1},
                dtype=hidden.dtype,
                shape=(frames, 2, batch, self.hidden_size),
            )
            hidden = directed.transpose(1, 2).flatten(2)  # (frames, batch, 2 * units)
        return hidden.transpose(0, 1)


@register("mhatt-rnn", FrontendConfig(), frames=98, paper="Rybakov et al. 2020, 2005.06720")
class MHAttRNN(nn.Module):
    """Convolutions over time, recurrence in both directions, and attention asked from the middle of the context.

    As in the authors' implementation (google-research/kws_streaming, `att_mh_rnn`): each head has a query of its own,
    while keys and values are the recurrent layers' outputs themselves, and the scores are not scaled. The paper's input
    is 49 x 20: cepstral coefficients every 20 ms.
    """

    def __init__(
        self, frames: int, bins: int, labels: int, units: int = 128, heads: int = 4, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.heads = heads
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 10, (5, 1), padding=(2, 0)),
            nn.ReLU(),
            nn.BatchNorm2d(10),
            nn.Conv2d(10, 1, (5, 1), padding=(2, 0)),
            nn.ReLU(),
            nn.BatchNorm2d(1),
        )
        self.recurrent = BidirectionalGRU(bins, units, layers=2)
        width = 2 * units
        self.query = nn.Linear(width, heads * width)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(heads * width, 64),
            nn.ReLU(),
            nn.Linear(64, 32),  # no rectifier behind it: the authors' "linear"
            nn.Linear(32, labels),
        )

    def forward(self, features: Tensor) -> Tensor:
        filtered = self.convolutions(features).squeeze(1)  # (batch, frames, bins)
        sequence = self.recurrent(filtered)  # (batch, frames, width)
        middle = sequence[:, sequence.shape[1] // 2]  # (batch, width)
        queries = self.query(middle).unflatten(1, (self.heads, -1))  # (batch, heads, width)
        weights = (queries @ sequence.mT).softmax(2)  # (batch, heads, frames)
        return self.classifier((weights @ sequence).flatten(1))  # (batch, labels) logits
