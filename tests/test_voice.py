from __future__ import annotations

import torch

from models.labels import LABELS, SILENCE
from models.voice import KeywordsAndVoice


def test_the_labels_are_one_distribution_and_its_silence_is_the_absence_of_voice() -> None:
    torch.manual_seed(0)
    network = KeywordsAndVoice(98, 40, 12).eval()
    features = torch.randn(3, 1, 98, 40)
    with torch.no_grad():
        logits, activity = network(features), network.activity(features)
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(3))
    torch.testing.assert_close(1 - logits.softmax(1)[:, LABELS.index(SILENCE)], activity[:, -1])


def test_activity_is_known_while_one_listens() -> None:
    """At each step from the frames before: 5 of them, 2 apart."""
    network = KeywordsAndVoice(98, 40, 12).eval()
    features = torch.randn(1, 1, 98, 40)
    changed = features.clone()
    changed[:, :, 60:] += 1
    with torch.no_grad():
        before, after = network.activity(features)[0], network.activity(changed)[0]
    last = (60 - 5) // 2
    torch.testing.assert_close(after[: last + 1], before[: last + 1])
    assert (after[last + 1] - before[last + 1]).abs() > 0
