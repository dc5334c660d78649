"""What a streaming network answers on the way to the end of a row: no keyword, where none is spoken in it.

A row has one label, and a network that sees windows gives it one answer. A streaming one gives an answer for each
stride, as it will in use, and where nothing but silence and unknown words is heard, none of them may be a keyword. So a
second of running speech teaches as much as many.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kws_stream.metadata import NO_KEYWORDS
from models.labels import LABELS

SETTLED = 6
"""answers at the beginning of a row that are left out, half a second: a keyword in front of it may still be held"""
OTHERS = [index for index, label in enumerate(LABELS) if label in NO_KEYWORDS]


def rejection_loss(answers: Tensor, labels: Tensor) -> Tensor:
    """Nats by which answers `(rows, answers, labels)` take keywords for likely in rows that hold none: of `labels`
    `(rows,)`, those of silence and unknown words. The mean over all rows."""
    log = answers[:, SETTLED:].float().log_softmax(2)[..., OTHERS].logsumexp(2)  # (rows, answers) of no keyword at all
    holds_none = torch.isin(labels, torch.tensor(OTHERS, device=labels.device))
    return -(log.mean(1) * holds_none).mean()
