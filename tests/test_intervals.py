from __future__ import annotations

import pytest
from scipy.stats import ttest_1samp

from models.intervals import mean_interval, newcombe_interval


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.961, 0.964, 0.958]
    mean, low, high = mean_interval(values)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean == pytest.approx(0.961)
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_one_training_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two values or more, got 1"):
        mean_interval([0.9])


@pytest.mark.parametrize(
    ("counts", "interval"),
    [((56, 70, 48, 80), (0.0524, 0.3339)), ((9, 10, 3, 10), (0.1705, 0.8090)), ((10, 10, 0, 20), (0.6791, 1.0))],
)
def test_the_interval_of_a_difference_is_the_papers(
    counts: tuple[int, int, int, int], interval: tuple[float, float]
) -> None:
    """Newcombe 1998, table II, method 10."""
    hits, trials, other_hits, other_trials = counts
    difference, low, high = newcombe_interval(*counts)
    assert difference == pytest.approx(hits / trials - other_hits / other_trials)
    assert (low, high) == pytest.approx(interval, abs=6e-5)
    assert newcombe_interval(other_hits, other_trials, hits, trials) == pytest.approx((-difference, -high, -low))


def test_no_trials_no_proportion() -> None:
    with pytest.raises(ValueError, match="needs trials, got 0 and 5"):
        newcombe_interval(0, 0, 3, 5)
