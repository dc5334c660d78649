"""A row gets the cheap answer when that is sure that no keyword is spoken, and the costly one when not."""

from __future__ import annotations

import torch
from torch import nn

from models.adaptive import AdaptiveDepth
from models.complexity import count_multiplies

FEATURES = torch.randn(4, 1, 98, 40, generator=torch.Generator().manual_seed(0))


def sure_of(label: int) -> AdaptiveDepth:
    """A network whose first exit is certain of that label."""
    torch.manual_seed(0)
    network = AdaptiveDepth(98, 40, 12).eval()
    with torch.no_grad():
        network.exit[-1].bias[label] += 20
    return network


def test_silence_costs_little() -> None:
    sure, unsure = (count_multiplies(sure_of(label), 98, 40) for label in (10, 3))
    assert sure == 49 * 40 * 16 * 3 + 25 * 24 * (16 * 9 + 24 * 9 + 16) + 24 * 12
    assert unsure > 6 * sure


def test_a_keyword_is_never_left_to_the_first_exit() -> None:
    network = sure_of(3)
    with torch.no_grad():
        maps, logits, certain = network.first(FEATURES)
        assert logits.softmax(1)[:, 3].min() > 0.99
        assert not certain.any()
        torch.testing.assert_close(network(FEATURES), network.costly(maps))


def test_rows_of_a_batch_answer_each_for_itself() -> None:
    """Half of them certain: they have the first exit's logits, the others the last one's."""
    torch.manual_seed(0)
    network = AdaptiveDepth(98, 40, 12).eval()
    with torch.no_grad():
        nn.init.normal_(network.exit[-1].weight, std=3)
        sums = network.first(FEATURES)[1].softmax(1)[:, 10:].sum(1)
        network.certainty = float(sums.sort().values[1:3].mean())
        maps, logits, certain = network.first(FEATURES)
        assert certain.sum() == 2
        answers, deep = network(FEATURES), network.costly(maps)
    torch.testing.assert_close(answers[certain], logits[certain])
    torch.testing.assert_close(answers[~certain], deep[~certain])


def test_both_exits_learn_in_turns() -> None:
    network = AdaptiveDepth(98, 40, 12).train()
    network(FEATURES)[0].sum().backward()
    assert network.exit[-1].weight.grad.any()
    assert network.costly[-1][-1].weight.grad is None or not network.costly[-1][-1].weight.grad.any()
