from __future__ import annotations

import pytest
import torch
from torch import nn

from models.complexity import count_multiplies
from models.kwt import KeywordTransformer
from models.registry import find_architecture, trainable_count

FRAMES, BINS = 98, 40
"""30 ms windows every 10 ms, 40 coefficients"""


@pytest.mark.parametrize(
    ("name", "parameters", "exactly"),
    [("kwt-1", "607K", 607_308), ("kwt-2", "2394K", 2_394_252), ("kwt-3", "5361K", 5_360_844)],
)
def test_the_parameters_of_the_paper(name: str, parameters: str, exactly: int) -> None:
    """Berg et al. 2021, arXiv 2104.00769; exactly, in the `model_summary.txt` beside the authors' weights."""
    count = trainable_count(find_architecture(name).build(FRAMES, BINS, 12))
    assert f"{count / 1e3:.0f}K" == parameters
    assert count == exactly


@pytest.mark.parametrize("heads", [1, 3])
def test_the_multiplies_by_hand(heads: int) -> None:
    """The paper gives none. Attention projects four times, the perceptron widens to four times the width and back."""
    width, positions = 64 * heads, FRAMES + 1
    block = positions * (4 + 2 * 4) * width**2 + 2 * positions**2 * width
    expected = FRAMES * BINS * width + 12 * block + width * 12
    assert count_multiplies(KeywordTransformer(FRAMES, BINS, 12, heads), FRAMES, BINS) == expected


def test_attention_is_torch_s() -> None:
    """Against torch's own multi-head attention on the same weights, whose biases are none."""
    torch.manual_seed(0)
    block = KeywordTransformer(FRAMES, BINS, 12, heads=3, blocks=1).blocks[0]
    reference = nn.MultiheadAttention(192, 3, batch_first=True)
    with torch.no_grad():
        block.split.weight.normal_(std=0.1)
        reference.in_proj_weight.copy_(block.split.weight)
        reference.in_proj_bias.zero_()
        reference.out_proj.load_state_dict(block.join.state_dict())
    hidden = torch.randn(2, 9, 192)
    torch.testing.assert_close(block._attend(hidden), reference(hidden, hidden, hidden)[0])


def test_only_positions_tell_the_frames_apart() -> None:
    torch.manual_seed(0)
    network = KeywordTransformer(FRAMES, BINS, 12, heads=1, blocks=2).eval()
    for name, parameter in network.named_parameters():
        if name == "positions" or name.endswith("split.weight"):
            nn.init.normal_(parameter)  # as the weights begin, attention is close to a plain mean
    features = torch.randn(2, 1, FRAMES, BINS)
    turned = features.flip(2)
    assert (network(features) - network(turned)).abs().max() > 1e-2
    nn.init.zeros_(network.positions)
    torch.testing.assert_close(network(features), network(turned), atol=1e-4, rtol=0)
