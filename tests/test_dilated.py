from __future__ import annotations

import torch

from models.dilated import DilatedStack

FIELD = 1 + 2 + 2 * 6 * (1 + 2 + 4 + 8)
"""frames: the stem's, and six times four layers'"""


def test_an_answer_has_seen_183_frames_and_none_to_come() -> None:
    torch.manual_seed(0)
    network = DilatedStack(220, 6, 3).eval()
    features = torch.randn(1, 1, 220, 6, requires_grad=True)
    network.answers(features)[0, :, 200].sum().backward()
    seen = features.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert FIELD == 183
    assert (seen.min(), seen.max()) == (200 - FIELD + 1, 200)


def test_the_label_is_read_where_the_context_ends() -> None:
    network = DilatedStack(98, 40, 12).eval()
    features = torch.randn(2, 1, 98, 40)
    torch.testing.assert_close(network(features), network.answers(features)[:, :, 97])
