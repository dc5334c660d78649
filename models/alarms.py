"""Where a network in training takes running speech for a keyword."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.labels import KEYWORDS
from models.recordings import Samples
from models.task import KeywordTask

STRIDE = 8
"""frames between two answers"""
SMOOTH = 5
"""answers that are averaged"""


class Alarm(NamedTuple):
    """A stretch in which some keyword is certain."""

    keyword: str
    """the most certain one"""
    posterior: float
    """at its highest"""
    start: int
    """sample at which the context of the middle answer of that place begins"""


@torch.no_grad()
def smooth_posteriors(task: KeywordTask, samples: Samples) -> Tensor:
    """`(n,)` -> `(answers, keywords)`: raw posteriors of windows 80 ms apart, each the mean of SMOOTH of them.

    No answers for a recording that is shorter than the context; the mean of all where there are fewer than SMOOTH.
    """
    signal = torch.from_numpy(samples.astype(np.float32) / 32768)
    frames = task.frontend(signal[None])[0, 0]  # (frames, bins)
    if len(frames) < task.frames:
        return torch.empty(0, len(KEYWORDS))
    windows = frames.unfold(0, task.frames, STRIDE).transpose(1, 2).unsqueeze(1)  # (answers, 1, frames, bins)
    posteriors = task.network(windows).softmax(1)[:, : len(KEYWORDS)]
    return posteriors.unfold(0, min(SMOOTH, len(posteriors)), 1).mean(2)


def find_alarms(task: KeywordTask, samples: Samples, certain: float) -> Iterator[Alarm]:
    """An alarm for each stretch of a recording `(n,)` in which some keyword's posterior is above `certain`."""
    best = smooth_posteriors(task, samples).max(1)
    for above, places in groupby(range(len(best.values)), lambda place: bool(best.values[place] > certain)):
        if above:
            peak = max(places, key=lambda place: float(best.values[place]))
            middle = (peak + SMOOTH // 2) * STRIDE * task.config.hop
            yield Alarm(KEYWORDS[int(best.indices[peak])], float(best.values[peak]), middle)
