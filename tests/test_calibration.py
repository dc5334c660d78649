"""The temperature of the export, and the calibration error of `kws-eval`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch import nn
from torchmetrics.functional.classification import multiclass_calibration_error

from kws_stream.evaluation import BINS, expected_calibration_error, measure_reliability
from models.calibration import Scaled, cross_scaled, fit_temperature, measure_calibration, prior_shift

Sample = tuple[NDArray[np.float64], NDArray[np.int64]]
LABELS = 12
temperatures = st.floats(0.05, 20)
law = settings(max_examples=50, deadline=None)


def calibrated(clips: int, seed: int = 0) -> Sample:
    """Logits `(clips, LABELS)`, and labels drawn from the very posteriors that they claim."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, (clips, LABELS))
    below = softmax(logits, 1).cumsum(1) < rng.random((clips, 1))
    return logits, below.sum(1).clip(0, LABELS - 1)


def posterior_rows() -> st.SearchStrategy[NDArray[np.float64]]:
    shapes = st.tuples(st.integers(1, 40), st.integers(2, 5))
    return shapes.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=st.floats(-50, 50))).map(
        lambda logits: softmax(logits, 1)
    )


@law
@given(temperatures)
def test_the_temperature_of_scaled_logits_is_scaled(factor: float) -> None:
    logits, labels = calibrated(500)
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor * fit_temperature(logits, labels), rel=1e-9)


@law
@given(temperatures)
def test_one_constant_for_all_logits_of_a_clip_changes_nothing(spread: float) -> None:
    logits, labels = calibrated(500)
    moved = logits + spread * np.arange(500)[:, None]
    assert fit_temperature(moved, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_temperature_is_more_likely(seed: int) -> None:
    """Against a search that knows no derivative, on answers too sure by a factor of seed + 1/2."""
    logits, labels = calibrated(300, seed)
    logits *= seed + 0.5

    def likelihood(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), 1)[np.arange(300), labels].mean()

    oracle = minimize_scalar(likelihood, bounds=(-3, 4), method="bounded", options={"xatol": 1e-8})
    assert fit_temperature(logits, labels) == pytest.approx(np.exp(oracle.x), rel=1e-4)


def test_what_is_calibrated_keeps_its_temperature() -> None:
    logits, labels = calibrated(50_000)
    # The standard deviation over 60 seeds is 0.0042.
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("right", [True, False])
def test_where_no_temperature_is_best_nothing_changes(right: bool) -> None:
    logits = np.random.default_rng(0).normal(size=(50, LABELS))
    labels = logits.argmax(1) if right else logits.argmin(1)
    assert fit_temperature(logits, labels) == 1
    assert fit_temperature(np.ones((50, LABELS)), labels) == 1
    assert fit_temperature(logits[:0], labels[:0]) == 1


def test_one_mistake_among_thousands_is_enough() -> None:
    logits = np.eye(LABELS)[np.arange(6000) % LABELS] * 1000.0
    labels = logits.argmax(1)
    labels[0] = 5
    # The likelihood is greatest where posteriors are frequencies: each of the 11 other labels has 1 / 11 of 1 / 6000.
    assert fit_temperature(logits, labels) == pytest.approx(1000 / np.log(5999 * (LABELS - 1)), rel=1e-6)


@law
@given(temperatures, st.integers(0, 2**31 - 1))
def test_the_answers_stay(temperature: float, seed: int) -> None:
    torch.manual_seed(seed)
    network, features = nn.Linear(8, LABELS), torch.randn(32, 8)
    with torch.no_grad():
        logits, scaled = network(features), Scaled(network, temperature, [0.0] * LABELS)(features)
    torch.testing.assert_close(scaled * temperature, logits)
    # Division may round two neighbours to one value: then both are the answer.
    assert (scaled.gather(1, logits.argmax(1, keepdim=True))[:, 0] == scaled.amax(1)).all()


@law
@given(arrays.arrays(np.float64, LABELS, elements=st.floats(0.01, 1)), st.integers(0, 2**31 - 1))
def test_a_shift_is_the_rule_of_bayes(expected: NDArray[np.float64], seed: int) -> None:
    """Posteriors over the shares of training, times those that are expected, and normalised."""
    rng = np.random.default_rng(seed)
    logits, trained = rng.normal(0, 3, (20, LABELS)), rng.uniform(0.01, 1, LABELS)
    shifted = softmax(logits + prior_shift(trained, expected), 1)
    weighed = softmax(logits, 1) / trained * expected
    np.testing.assert_allclose(shifted, weighed / weighed.sum(1, keepdims=True), atol=1e-12)


@law
@given(posterior_rows(), st.data())
def test_the_error_is_a_share(posteriors: NDArray[np.float64], data: st.DataObject) -> None:
    clips, count = posteriors.shape
    labels = data.draw(arrays.arrays(np.int64, clips, elements=st.integers(0, count - 1)))
    reliability = measure_reliability(posteriors, labels)
    assert 0 <= reliability.error <= 1
    assert reliability.count.sum() == clips
    assert reliability.mean_confidence == pytest.approx(posteriors.max(1).mean())
    right = (posteriors.argmax(1) == labels).sum()
    assert (reliability.accuracy * reliability.count).sum() == pytest.approx(right)
    filled = reliability.count > 0
    edges = np.arange(BINS + 1) / BINS
    assert (reliability.confidence[filled] >= edges[:-1][filled] - 1e-9).all()
    assert (reliability.confidence[filled] <= edges[1:][filled] + 1e-9).all()


@pytest.mark.parametrize("bins", [5, 15])
@pytest.mark.parametrize("factor", [0.3, 1, 4])
def test_the_error_is_that_of_torchmetrics(bins: int, factor: float) -> None:
    logits, labels = calibrated(700)
    posteriors = softmax(logits * factor, 1)
    oracle = multiclass_calibration_error(torch.tensor(posteriors), torch.tensor(labels), LABELS, bins, "l1")
    assert expected_calibration_error(posteriors, labels, bins) == pytest.approx(oracle.item(), abs=1e-5)


def test_the_error_of_what_is_calibrated_vanishes() -> None:
    """Each bin's accuracy is off by at most sqrt(1 / 4n) on average, so the error by at most sqrt(bins / 4 clips)."""
    logits, labels = calibrated(100_000)
    assert expected_calibration_error(softmax(logits, 1), labels) < np.sqrt(BINS / 4 / 100_000)
    assert expected_calibration_error(softmax(3 * logits, 1), labels) > 0.05


def test_certainty_is_right_or_wrong() -> None:
    posteriors = np.eye(3, dtype=np.float32)
    assert expected_calibration_error(posteriors, np.array([0, 1, 2])) == 0
    assert expected_calibration_error(posteriors, np.array([1, 2, 0])) == 1


def test_held_out_clips_do_not_fit_their_own_temperature() -> None:
    """Speakers of one half are four times too sure: each half gets what the other asks for."""
    logits, labels = calibrated(2000)
    speakers = [f"{clip % 20:02}" for clip in range(2000)]
    logits[1::2] *= 4
    scaled = cross_scaled(logits, labels, speakers)
    np.testing.assert_allclose(scaled[::2], logits[::2] / fit_temperature(logits[1::2], labels[1::2]))
    np.testing.assert_allclose(scaled[1::2], logits[1::2] / fit_temperature(logits[::2], labels[::2]))
    np.testing.assert_array_equal(cross_scaled(logits, labels, ["one"] * 2000), logits)


def test_scaling_helps_what_is_too_sure() -> None:
    logits, labels = calibrated(5000)
    before = measure_calibration(torch.tensor(3 * logits), torch.tensor(labels))
    after = measure_calibration(3 * logits / fit_temperature(3 * logits, labels), labels)
    assert after["nll"] < before["nll"]
    assert after["ece"] < before["ece"] / 3
