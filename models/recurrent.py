"""Recurrent networks: Zhang et al. 2017, "Hello Edge" (arXiv 1711.07128)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from models.registry import register
from models.rnn import GRU, LSTM


class LastState(nn.Module):
    """A recurrent layer over the frames, and the labels from its last output.

    The paper's input is 10 cepstral coefficients every 20 or 40 ms; ours has 40 bands every 10 ms, so that a second
    takes two or four times the steps. The paper's `lstm` has peepholes, three weights a cell, which torch's has not.
    """

    def __init__(self, bins: int, layer: GRU | LSTM, labels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(bins, affine=False)
        self.layer = layer
        self.classifier = nn.Linear(getattr(layer, "proj_size", 0) or layer.hidden_size, labels)

    def forward(self, features: Tensor) -> Tensor:
        frames = self.norm(features.squeeze(1).mT).mT  # (batch, frames, bins)
        return self.classifier(self.layer(frames)[:, -1])  # (batch, labels) logits


def build_lstm(frames: int, bins: int, labels: int, units: int, projection: int = 0) -> LastState:
    """`projection`: outputs of the layer, where they are not its `units`."""
    return LastState(bins, LSTM(bins, units, projection), labels)


def build_gru(frames: int, bins: int, labels: int, units: int) -> LastState:
    return LastState(bins, GRU(bins, units), labels)


_register = partial(register, frontend=FrontendConfig(), frames=98, paper="Zhang et al. 2017, 1711.07128")
for _size, _basic, _cells, _projection, _gru in (
    ("s", 118, 144, 98, 154),
    ("m", 214, 280, 130, 250),
    ("l", 344, 500, 188, 400),
):
    _register(f"basic-lstm-{_size}")(partial(build_lstm, units=_basic))
    _register(f"lstm-{_size}")(partial(build_lstm, units=_cells, projection=_projection))
    _register(f"gru-{_size}")(partial(build_gru, units=_gru))
