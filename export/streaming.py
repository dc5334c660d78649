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
LEAD_IN_STRIDES = 6
"""half a second in front of the context with which it is renewed"""


class Answering(nn.Module):
    """A step whose answers are posteriors: a node costs less than numpy does beside the graph."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step

    def forward(self, features: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """As `Step`."""
        logits, *left = self.step(features, *states)
        return logits.softmax(2), *left


def step_of(network: nn.Module) -> Step:
    """What is exported of a network; ModelError where it can only see windows."""
    return Step(streamed(network)).eval()


def streaming_metadata(step: Step, metadata: ModelMetadata) -> ModelMetadata:
    """The metadata of `step`, from those of the same network on windows. Multiplies are those of a stride, and it gives
    posteriors."""
    posteriors = tuple(round(value, 6) for value in torch.tensor(metadata.golden.outputs).softmax(0).tolist())
    multiplies = count_multiplies(step, metadata.stride_frames, metadata.frontend.bins)
    return replace(
        metadata,
        output="softmax",
        golden=replace(metadata.golden, outputs=posteriors),
        training={**metadata.training, "multiplies": multiplies},
        streaming=Streaming(None) if step.forgets else Streaming(RENEWAL_STRIDES, LEAD_IN_STRIDES),
    )


def to_streaming_onnx(step: Step, metadata: ModelMetadata) -> onnx.ModelProto:
    """From `features` `(batch, 1, frames, bins)`, whole strides of them, and `state_N` to `posteriors`
    `(batch, answers, labels)` and `next_state_N`. States are zeros at the beginning of a stream; which of their axes is
    that of the streams their shapes say."""
    # Two of everything: sizes of 1 would be taken for constants.
    features = torch.zeros(2, 1, 2 * metadata.stride_frames, metadata.frontend.bins)
    states = initial_states(step, features)
    streams = [axis_of_streams(*shapes) for shapes in zip(states, initial_states(step, features[:1]), strict=True)]
    batch = torch.export.Dim("batch", min=1)
    strides = torch.export.Dim("strides", min=1)
    names = [f"state_{index}" for index in range(len(states))]
    return trace(
        Answering(step).eval(),
        (features, *states),
        metadata,
        inputs=["features", *names],
        outputs=["posteriors", *(f"next_{name}" for name in names)],
        dynamic_shapes=({0: batch, 2: metadata.stride_frames * strides}, tuple({axis: batch} for axis in streams)),
    )


@torch.no_grad()
def initial_states(step: Step, features: Tensor) -> Sequence[Tensor]:
    """Of streams that begin with `features` `(batch, 1, frames, bins)`."""
    _, *states = step(features)
    return [torch.zeros_like(state) for state in states]


def axis_of_streams(several: Tensor, one: Tensor) -> int:
    """The axis on which states of several streams differ in shape from that of one."""
    sizes = zip(several.shape, one.shape, strict=True)
    return next(axis for axis, (many, single) in enumerate(sizes) if many != single)


def to_graph(task: KeywordTask, metadata: ModelMetadata, streaming: bool) -> onnx.ModelProto:
    """The network of `task` as one that goes on from states, or as one that sees windows.

    Raises ModelError for a network that cannot be streamed.
    """
    if not streaming:
        return to_onnx(task, metadata)
    step = step_of(task.network)
    return to_streaming_onnx(step, streaming_metadata(step, metadata))
