"""How sure a mean of trainings is, and a difference of two proportions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t

from kws_stream.evaluation import wilson_interval

Interval = tuple[float, float, float]
"""a figure, and the ends of its 95 % interval"""


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and its 95 % interval by Student's t over the trainings; ValueError for fewer than two."""
    if len(values) < 2:
        raise ValueError(f"an interval needs two values or more, got {len(values)}")
    mean = float(np.mean(values))
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def newcombe_interval(hits: int, trials: int, other_hits: int, other_trials: int) -> Interval:
    """`hits / trials - other_hits / other_trials`, from the Wilson interval of each (Newcombe 1998, Statistics in
    Medicine 17, 873-890, method 10); ValueError for no trials."""
    if min(trials, other_trials) < 1:
        raise ValueError(f"a proportion needs trials, got {trials} and {other_trials}")
    one, other = hits / trials, other_hits / other_trials
    one_low, one_high = wilson_interval(hits, trials)
    low, high = wilson_interval(other_hits, other_trials)
    below, above = np.hypot(one - one_low, high - other), np.hypot(one_high - one, other - low)
    return one - other, float(one - other - below), float(one - other + above)
