"""A network as a graph that goes on from states: a block of frames in, an answer for each stride out, and no frame
computed twice (ADR 11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx
import torch
from torch import Tensor, nn

from export.onnx import to_onnx, trace
from kws_stream.metadata import ModelMetadata, Streaming
from models.complexity import count_multiplies
from models.streaming import Step, streamed
from models.task import KeywordTask

RENEWAL_STRIDES = 50
"""between two renewals of a recurrent network: 4 s, so that it hears hardly more than in training, which is 5 s"""
LEAD_IN_STRIDES = 12
"""a second in front of the context with which it is renewed"""


def step_of(network: nn.Module) -> Step:
    """What is exported of a network; ModelError where it can only see windows."""
    return Step(streamed(network)).eval()


def streaming_metadata(step: Step, metadata: ModelMetadata) -> ModelMetadata:
    """The metadata of `step`, from those of the same network on windows. Multiplies are those of a stride."""
    multiplies = count_multiplies(step, metadata.stride_frames, metadata.frontend.bins)
    return replace(
        metadata,
        training={**metadata.training, "multiplies": multiplies},
        streaming=Streaming(None) if step.forgets else Streaming(RENEWAL_STRIDES, LEAD_IN_STRIDES),
    )


def to_streaming_onnx(step: Step, metadata: ModelMetadata) -> onnx.ModelProto:
    """From `features` `(batch, 1, frames, bins)`, whole strides of them, and `state_N` to `logits`
    `(batch, answers, labels)` and `next_state_N`. States `(batch, ...)` are zeros at the beginning of a stream."""
    # Two of everything: sizes of 1 would be taken for constants.
    features = torch.zeros(2, 1, 2 * metadata.stride_frames, metadata.frontend.bins)
    states = initial_states(step, features)
    batch = torch.export.Dim("batch", min=1)
    strides = torch.export.Dim("strides", min=1)
    names = [f"state_{index}" for index in range(len(states))]
    return trace(
        step,
        (features, *states),
        metadata,
        inputs=["features", *names],
        outputs=["logits", *(f"next_{name}" for name in names)],
        dynamic_shapes=({0: batch, 2: metadata.stride_frames * strides}, tuple({0: batch} for _ in states)),
    )


@torch.no_grad()
def initial_states(step: Step, features: Tensor) -> Sequence[Tensor]:
    """Of streams that begin with `features` `(batch, 1, frames, bins)`."""
    _, *states = step(features)
    return [torch.zeros_like(state) for state in states]


def to_graph(task: KeywordTask, metadata: ModelMetadata, streaming: bool) -> onnx.ModelProto:
    """The network of `task` as one that goes on from states, or as one that sees windows.

    Raises ModelError for a network that cannot be streamed.
    """
    if not streaming:
        return to_onnx(task, metadata)
    step = step_of(task.network)
    return to_streaming_onnx(step, streaming_metadata(step, metadata))
