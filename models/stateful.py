"""A recurrent layer that goes on from a state, in torch and as one operator of ONNX."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.rnn import gru_weights

BURN_IN_SHARE = 0.5
"""of the training rows begin where another row ended"""


class Recurrent(nn.GRU):
    """A layer over the frames of a map `(batch, inputs, frames, 1)` -> `(batch, units, frames, 1)`.

    A stream has no beginning, but a window begins from nothing. So in training, half of the rows begin with the state
    that another row of the batch left: what was heard before the window must be forgotten by its end.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__(inputs, units)

    def forward(self, maps: Tensor) -> Tensor:
        state = self.initial(maps)
        if self.training:
            with torch.no_grad():
                _, left = self.step(maps, state)
                begun = torch.rand(1, len(maps), 1, device=maps.device) < BURN_IN_SHARE
                state = left.roll(1, 1) * begun
        return self.step(maps, state)[0]

    def initial(self, maps: Tensor) -> Tensor:
        """The state of a stream that begins with `maps`: zeros `(1, batch, units)`."""
        return maps.new_zeros(1, maps.shape[0], self.hidden_size)  # `len` would fix the batch of an exported graph

    def step(self, maps: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The same as `forward` in use, from `state` `(1, batch, units)`, and the state that is left."""
        sequence = maps.squeeze(3).permute(2, 0, 1)  # (frames, batch, inputs)
        if not torch.onnx.is_in_onnx_export():
            hidden, state = nn.GRU.forward(self, sequence, state.to(sequence.dtype))
            return hidden.permute(1, 2, 0).unsqueeze(3), state
        frames, batch, _ = sequence.shape
        hidden, state = torch.onnx.ops.symbolic_multi_out(
            "GRU",
            (sequence, *gru_weights(self, 0), None, state),
            {"hidden_size": self.hidden_size, "linear_before_reset": 1},
            dtypes=(sequence.dtype, sequence.dtype),
            shapes=((frames, 1, batch, self.hidden_size), (1, batch, self.hidden_size)),
        )
        return hidden.permute(2, 3, 0, 1), state  # (batch, units, frames, 1)
