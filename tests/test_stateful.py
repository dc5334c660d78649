from __future__ import annotations

import torch
from torch import nn

from models.stateful import Recurrent


def layer_and_oracle() -> tuple[Recurrent, nn.GRU]:
    torch.manual_seed(0)
    layer, oracle = Recurrent(5, 7), nn.GRU(5, 7, batch_first=True)
    oracle.load_state_dict(layer.state_dict())
    return layer.eval(), oracle.eval()


def maps(rows: int, frames: int = 6) -> torch.Tensor:
    """`(rows, 5, frames, 1)`"""
    return torch.randn(rows, 5, frames, 1, generator=torch.Generator().manual_seed(rows))


@torch.no_grad()
def test_in_use_it_is_a_gru_over_the_frames_of_a_map() -> None:
    layer, oracle = layer_and_oracle()
    inputs = maps(3)
    expected, left = oracle(inputs.squeeze(3).transpose(1, 2))  # (3, 6, 7), (1, 3, 7)
    torch.testing.assert_close(layer(inputs).squeeze(3).transpose(1, 2), expected)
    outputs, state = layer.step(inputs, layer.initial(inputs))
    torch.testing.assert_close(outputs.squeeze(3).transpose(1, 2), expected)
    torch.testing.assert_close(state, left)


@torch.no_grad()
def test_in_training_about_half_of_the_rows_begin_where_another_ended() -> None:
    layer, _ = layer_and_oracle()
    inputs = maps(400)
    fresh = layer(inputs)
    _, left = layer.step(inputs, layer.initial(inputs))
    followed, _ = layer.step(inputs, left.roll(1, 1))
    trained = layer.train()(inputs)
    begun = (trained - fresh).abs().amax((1, 2, 3)) > 1e-6
    assert 150 < begun.sum() < 250
    torch.testing.assert_close(trained[begun], followed[begun])
    torch.testing.assert_close(trained[~begun], fresh[~begun])
