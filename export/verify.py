"""Proof that an exported file computes what the checkpoint computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kws_stream.errors import ModelError
from kws_stream.model import KeywordModel
from models.task import KeywordTask

TOLERANCE = 1e-4
"""between the logits of torch and of onnxruntime"""
BATCHES = (1, 7, 64)


@dataclass(frozen=True)
class Verification:
    """What was compared."""

    clips: int
    logits: float
    """largest difference between the logits for the same features"""
    posteriors: float
    """largest difference between the posteriors for the same samples, front ends included"""


def verify(path: Path, task: KeywordTask, samples: torch.Tensor) -> Verification:
    """Compare on real clips `(clips, n)` float32; ModelError when anything is off by more than TOLERANCE.

    The golden test is passed by loading; batches of several sizes show that the batch is dynamic. A streaming
    network is held against the same one on windows: stride by stride for logits, in one block for posteriors.
    """
    model = KeywordModel.load(path)
    samples = samples[:, : task.config.samples(task.frames)]  # the runtime takes the middle of longer clips
    with torch.no_grad():
        features = task.frontend(samples)[:, :, : task.frames]  # (clips, 1, frames, bins)
        expected = task.network(features)  # (clips, labels)
    worst = 0.0
    for size in BATCHES:
        batch = features[:size]
        outputs, wanted = model.outputs(batch[:, 0].numpy()), expected[: len(batch)]
        if model.metadata.output == "softmax":  # logits, but for what is the same for all labels
            outputs, wanted = np.log(outputs), wanted.log_softmax(1)
        worst = max(worst, float(np.abs(outputs - wanted.numpy()).max()))
    heard = np.stack([model.classify(clip.numpy()) for clip in samples])
    answers = float(np.abs(heard - expected.softmax(1).numpy()).max())
    # `not <=`: a NaN must fail, too.
    if not worst <= TOLERANCE or not answers <= 10 * TOLERANCE:
        raise ModelError(
            f"torch and onnxruntime differ by {worst:.2g} in logits and {answers:.2g} in posteriors on {len(samples)} "
            f"clips, at most {TOLERANCE:g} and {10 * TOLERANCE:g} are allowed; nothing was written"
        )
    return Verification(len(samples), worst, answers)
