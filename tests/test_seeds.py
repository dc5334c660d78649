from __future__ import annotations

import pytest
from scipy.stats import ttest_1samp

from export.seeds import mean_interval, summarise


def test_the_interval_is_students() -> None:
    values = [0.961, 0.964, 0.958]
    mean, low, high = mean_interval(values)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean == pytest.approx(0.961)
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_one_seed_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two values or more, got 1"):
        mean_interval([0.9])


def test_a_summary_names_every_seed_and_label() -> None:
    figures = [
        {"accuracy": accuracy, "clips": 1200, "recall": {"yes": accuracy, "no": 1.0}} for accuracy in (0.90, 0.92)
    ]
    sentence, rows = summarise(figures)
    assert "0.9000, 0.9200: mean 0.9100" in sentence
    assert "2 seeds" in sentence
    assert "1,200 clips" in sentence
    assert rows == [("yes", "0.900, 0.920", "0.910"), ("no", "1.000, 1.000", "1.000")]
