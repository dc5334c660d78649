"""Proof that a pipeline computes what kws_stream computes."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from export.golden import golden_samples
from export.host import PipelineHost
from export.layout import Layout
from kws_stream.config import GateConfig
from kws_stream.errors import ModelError
from kws_stream.frontend import Floats, log_mel, to_float
from kws_stream.model import KeywordModel
from kws_stream.spotter import KeywordSpotter

LAW = 1e-4
"""between the posteriors of both, and between their features"""


class Agreement(NamedTuple):
    """The largest differences on the same samples."""

    features: float
    posteriors: float
    golden: float
    """between the posteriors of the golden sound and those that the file states"""
    contexts: int


def trial_samples(sample_rate: int) -> Floats:
    """Four seconds that are hard on rounding: a gliding buzz, digital silence, and a loud tone over a quiet one."""
    radians = 2 * np.pi * np.arange(sample_rate)  # times a share of the sample rate
    tones = 0.9 * np.sin(0.02 * radians) + 1e-4 * np.sin(0.3 * radians)
    buzz = to_float(golden_samples(2 * sample_rate, sample_rate, seed=1))
    return np.concatenate((buzz, np.zeros(sample_rate, np.float32), tones.astype(np.float32)))


def compare(host: PipelineHost, source: KeywordModel, samples: Floats) -> Agreement:
    """Push `samples` `(n,)` stride by stride, and hold everything against kws_stream's own features and posteriors.

    Raises ModelError when the contexts are not as many as they must be.
    """
    golden = host.golden_difference()
    spotter, layout = KeywordSpotter(source, gate=GateConfig(None)), Layout.of(source)
    features = log_mel(samples, layout.frontend)  # (frames, bins)
    first = layout.parts["tail"]
    differences = [(0.0, 0.0)]
    starts = [0, *range(layout.samples - layout.lead, len(samples) + 1, layout.samples)]
    for start, stop in pairwise(starts):
        found, before = host.push(samples[start:stop]), spotter.inferences
        spotter.push(samples[start:stop])
        if len(found) != spotter.inferences - before:
            raise ModelError(
                f"the pipeline gave {len(found)} answers at {stop} samples, expected {spotter.inferences - before}; "
                "nothing was written"
            )
        if len(found):
            end = layout.context + (spotter.inferences - 1) * layout.stride  # frames
            past = host.state[first : first + layout.parts["past"]].reshape(-1, layout.frontend.bins)
            known = min(end, len(past))  # in front of the stream lie a host's zeros
            of_features = np.abs(past[-known:] - features[end - known : end]).max()
            differences.append((of_features, np.abs(found - spotter.posteriors).max()))
    of_features, of_posteriors = np.max(differences, axis=0)
    return Agreement(float(of_features), float(of_posteriors), golden, spotter.inferences)


def check(agreement: Agreement, source: KeywordModel, tolerance: float) -> None:
    """ModelError when anything is off by more than LAW, or the golden posteriors by more than `tolerance`."""
    # A network of 8 bits answers in steps: where a feature is rounded to the next one, LAW does not hold.
    posteriors = 0.0 if "quantization" in source.metadata.training else agreement.posteriors
    # `not <=`: a NaN must fail, too.
    if not agreement.features <= LAW or not posteriors <= LAW or not agreement.golden <= tolerance:
        raise ModelError(
            f"the pipeline differs from {source.name} by {agreement.features:.2g} in features, {posteriors:.2g} in "
            f"posteriors and {agreement.golden:.2g} in golden ones, at most {LAW:g}, {LAW:g} and {tolerance:g} are "
            "allowed; nothing was written"
        )
