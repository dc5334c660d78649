"""How sure a network may be: one temperature for all logits, fitted on clips that it was not trained on; and how common
its labels are where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax
from torch import Tensor, nn

from kws_stream.evaluation import expected_calibration_error
from models.streaming import streamed

FOLDS = 2


class Scaled(nn.Module):
    """A network whose logits are divided by a temperature, which flattens the posteriors above 1 and sharpens them
    below (Guo et al. 2017, 1706.04599), and then shifted, label by label, by `shift` `(labels,)`."""

    shift: Tensor

    def __init__(self, network: nn.Module, temperature: float, shift: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32))

    def forward(self, features: Tensor) -> Tensor:
        return self.network(features) / self.temperature + self.shift  # (batch, labels)

    def streamed(self) -> nn.Sequential:
        """The layers that a stream is pushed through, the last of them scaled and shifted: no node more. ModelError
        where the network has no such layers."""
        layers = deepcopy(streamed(self.network))
        last = [layer for layer in layers.modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
        assert last.bias is not None
        last.weight.data /= self.temperature
        last.bias.data = last.bias / self.temperature + self.shift
        return layers.eval()


def prior_shift(trained: Sequence[float], expected: Sequence[float]) -> NDArray[np.float64]:
    """What to add to logits `(labels,)` that learned labels in shares of `trained`, where they come in those of
    `expected`: the posterior is the likelihood times the share (Menon et al. 2020, 2007.07314, section 4.1).

    The shares need not sum to 1. The first label is not moved.
    """
    ratio = np.asarray(expected, np.float64) / np.asarray(trained, np.float64)
    return np.log(ratio / ratio[0])


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature at which logits `(clips, labels)` give the true labels `(clips,)` the least negative
    log-likelihood (Guo et al. 2017, 1706.04599, section 4.2).

    1, and so no change, where there is no such temperature: without clips, when every answer is right (the likelihood
    grows for ever towards 0), and when the logits tell nothing of the labels (it grows towards infinity).
    """
    values = np.asarray(logits, np.float64)
    if not len(values):
        return 1.0
    values = values - values.max(1, keepdims=True)  # (clips, labels), at most 0
    true = np.take_along_axis(values, np.asarray(labels)[:, None], 1).mean()

    def slope(inverse: float) -> float:
        """Derivative of the negative log-likelihood by 1 / T, in which it is convex."""
        return float((softmax(inverse * values, 1) * values).sum(1).mean() - true)

    # `true` is 0 only when each true label has the largest logit.
    if not (true < 0 and slope(0.0) < 0):
        return 1.0
    high = 1.0
    while slope(high) < 0:
        high *= 2
    return 1 / brentq(slope, 0.0, high, rtol=1e-12, xtol=1e-300)


def measure_calibration(logits: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Negative log-likelihood (nats a clip) and expected calibration error of logits `(clips, labels)`,
    to four digits."""
    values, truth = np.asarray(logits, np.float64), np.asarray(labels)
    likelihood = np.take_along_axis(log_softmax(values, 1), truth[:, None], 1)  # (clips, 1)
    error = expected_calibration_error(softmax(values, 1), truth)
    return {"nll": round(float(-likelihood.mean()), 4), "ece": round(error, 4)}


def cross_scaled(logits: ArrayLike, labels: ArrayLike, speakers: Sequence[str]) -> NDArray[np.float64]:
    """Logits `(clips, labels)`, each clip's divided by the temperature that the clips of other speakers give.

    Measured on these, calibration is not measured on the clips that it was fitted to.
    """
    values, truth = np.asarray(logits, np.float64), np.asarray(labels)
    fold = np.unique(speakers, return_inverse=True)[1] % FOLDS  # (clips,)
    result = np.empty_like(values)
    for part in range(FOLDS):
        held = fold == part
        result[held] = values[held] / fit_temperature(values[~held], truth[~held])
    return result
