"""Recurrent layers that are exported as one operator each.

torch's exporter would trace the cell frame by frame: a minute's work for a second of audio, and no other graph.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn


class GRU(nn.GRU):
    """torch's, from `(batch, frames, inputs)` to `(batch, frames, outputs)`; both directions give twice the units."""

    def __init__(self, inputs: int, units: int, layers: int = 1, bidirectional: bool = False) -> None:
        super().__init__(inputs, units, layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, sequence: Tensor) -> Tensor:
        if not torch.onnx.is_in_onnx_export():
            return nn.GRU.forward(self, sequence)[0]
        for layer in range(self.num_layers):
            sequence = _operate(self, "GRU", sequence, gru_weights(self, layer))
        return sequence


class LSTM(nn.LSTM):
    """torch's, in one direction, from `(batch, frames, inputs)` to `(batch, frames, outputs)`.

    `projection` shrinks what a cell passes on to itself and to the next layer (Sak et al. 2014, 1402.1128).
    """

    def __init__(self, inputs: int, units: int, projection: int = 0) -> None:
        super().__init__(inputs, units, batch_first=True, proj_size=projection)

    def forward(self, sequence: Tensor) -> Tensor:
        if not torch.onnx.is_in_onnx_export():
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")  # nor need be
                return nn.LSTM.forward(self, sequence)[0]
        order = (0, 3, 1, 2)  # ONNX: input, output, forget, cell; torch: input, forget, cell, output
        inputs, state = (_stack_gates(self, name, 0, order) for name in ("weight_ih", "weight_hh"))
        if not self.proj_size:
            return _operate(self, "LSTM", sequence, (inputs, state, _stack_biases(self, 0, order)))
        # ONNX has none, either. What the gates make of a projected state they can make of the whole state at once.
        projection = self.get_parameter("weight_hr_l0")  # (projection, units)
        whole = _operate(self, "LSTM", sequence, (inputs, state @ projection, _stack_biases(self, 0, order)))
        return whole @ projection.mT


def gru_weights(layers: nn.GRU, layer: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of inputs and of states, and the biases, as ONNX has them: the update gate before the reset gate, not behind."""
    order = (1, 0, 2)
    inputs, states = (_stack_gates(layers, name, layer, order) for name in ("weight_ih", "weight_hh"))
    return inputs, states, _stack_biases(layers, layer, order)


def _stack_gates(layers: nn.RNNBase, name: str, layer: int, gates: tuple[int, ...]) -> Tensor:
    """A parameter of one layer with the gates in another order, `(directions, gates * units, ...)`."""
    directions = ("", "_reverse") if layers.bidirectional else ("",)
    both = torch.stack([getattr(layers, f"{name}_l{layer}{direction}") for direction in directions])
    parts = both.chunk(len(gates), 1)
    return torch.cat([parts[gate] for gate in gates], 1)


def _stack_biases(layers: nn.RNNBase, layer: int, gates: tuple[int, ...]) -> Tensor:
    """Biases of inputs and of states in one row, `(directions, 2 * gates * units)`."""
    return torch.cat([_stack_gates(layers, name, layer, gates) for name in ("bias_ih", "bias_hh")], 1)


def _operate(layers: nn.RNNBase, operator: str, sequence: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
    """One layer as ONNX's operator."""
    hidden = sequence.transpose(0, 1)  # (frames, batch, inputs)
    frames, batch, _ = hidden.shape
    attributes: dict[str, Any] = {"hidden_size": layers.hidden_size}
    attributes["direction"] = "bidirectional" if layers.bidirectional else "forward"
    if operator == "GRU":
        attributes["linear_before_reset"] = 1
    directed = torch.onnx.ops.symbolic(
        operator,
        (hidden, *weights),
        attributes,
        dtype=hidden.dtype,
        shape=(frames, 1 + layers.bidirectional, batch, layers.hidden_size),
    )
    return directed.transpose(1, 2).flatten(2).transpose(0, 1)  # (batch, frames, directions * units)
