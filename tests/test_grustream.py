"""The recurrent streaming network, and its twin that sees windows."""

from __future__ import annotations

import pytest
import torch

from models.encoder import encoder_of
from models.grustream import GRUStream, GRUWindow, hear_columns
from models.registry import find_architecture, trainable_count

COLUMNS = 4 * 5 * 16 + 9 * 16 * 32 + 9 * 32 * 64 + 64 * 5 * 128 + 2 * (16 + 32 + 64 + 128)
"""Kernels over bins of which each convolution leaves half, and a scale and a shift for each channel."""


def test_the_parameters_by_hand() -> None:
    """160 units with two biases a gate and a classifier; 100 units in each direction and one that sees their mean."""
    found = find_architecture("gru-stream")
    recurrent = 3 * 160 * (128 + 160 + 2)
    assert trainable_count(found.build(found.frames, 40, 12)) == COLUMNS + recurrent + 160 * 12 + 12
    large = find_architecture("gru-stream-large").build(found.frames, 40, 12)
    columns = 4 * 5 * 24 + 9 * 24 * 48 + 9 * 48 * 96 + 96 * 5 * 192 + 2 * (24 + 48 + 96 + 192)
    assert trainable_count(large) == columns + 3 * 256 * (192 + 256 + 2) + 256 * 12 + 12
    both_ways = 2 * 3 * 100 * (128 + 100 + 2)
    assert trainable_count(find_architecture("gru-window").build(96, 40, 12)) == COLUMNS + both_ways + 200 * 12 + 12
    assert abs(both_ways / recurrent - 1) < 0.02


def test_a_column_hears_sixteen_frames() -> None:
    columns = hear_columns(40).eval()
    assert columns.overlap == 8
    features = torch.rand(1, 1, 40, 40).requires_grad_()
    with torch.no_grad():
        assert columns(features).shape == (1, 128, 5, 1)
    for column in range(1, 5):
        (heard,) = torch.autograd.grad(columns(features)[0, :, column].sum(), features)
        frames = heard[0, 0].abs().sum(1).nonzero().flatten()
        assert frames.min() >= 8 * column - 8
        assert frames.max() <= 8 * column + 7


@pytest.mark.parametrize(("name", "later"), [("gru-stream", False), ("gru-window", True)])
def test_who_hears_what_comes_later(name: str, later: bool) -> None:
    torch.manual_seed(0)
    network = find_architecture(name).build(96, 40, 12).eval()
    assert isinstance(network, GRUStream | GRUWindow)
    features = torch.randn(1, 1, 96, 40)
    changed = features.clone()
    changed[:, :, 64:] += 1
    with torch.no_grad():
        before, after = (encoder_of(network).encode(each) for each in (features, changed))
    assert before.shape == (1, network.width, 12)
    moved = (before - after).abs().amax((0, 1)) > 1e-6  # (12,)
    assert bool(moved[:7].any()) == later
    assert moved[8:].all()
