from __future__ import annotations

import pytest
import torch

from models.labels import LABELS
from models.rejection import SETTLED, rejection_loss

YES, SILENCE, UNKNOWN = (LABELS.index(label) for label in ("yes", "silence", "unknown"))


def answers(likely: int, probability: float) -> torch.Tensor:
    """`(1, 12, labels)` logits of which one label has so much in every answer, the others equal parts of the rest."""
    rest = (1 - probability) / (len(LABELS) - 1)
    return torch.full((1, 12, len(LABELS)), rest).index_fill_(2, torch.tensor(likely), probability).log()


def test_a_keyword_costs_where_none_is_spoken() -> None:
    """Two of the eleven labels that share the last tenth are none."""
    for label in (SILENCE, UNKNOWN):
        cost = rejection_loss(answers(YES, 0.9), torch.tensor([label]))
        assert float(cost) == pytest.approx(-torch.tensor(0.1 * 2 / 11).log().item(), rel=1e-5)


def test_which_of_silence_and_unknown_costs_nothing() -> None:
    """A pause in speech is silence, and the speech is not."""
    for likely in (SILENCE, UNKNOWN):
        for label in (SILENCE, UNKNOWN):
            assert float(rejection_loss(answers(likely, 0.999999), torch.tensor([label]))) < 1e-5


def test_rows_with_a_keyword_are_left_alone() -> None:
    both = torch.cat((answers(YES, 0.9), answers(YES, 0.9))).requires_grad_()
    cost = rejection_loss(both, torch.tensor([YES, UNKNOWN]))
    torch.testing.assert_close(cost, rejection_loss(both[1:], torch.tensor([UNKNOWN])) / 2)
    (moved,) = torch.autograd.grad(cost, both)
    assert not moved[0].any()
    assert moved[1, SETTLED:].any(1).all()


def test_what_was_said_before_the_row_may_still_be_held() -> None:
    held = answers(UNKNOWN, 0.9999)
    held[:, :SETTLED] = answers(YES, 0.9999)[:, :SETTLED]
    assert float(rejection_loss(held, torch.tensor([UNKNOWN]))) < 1e-3
