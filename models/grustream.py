"""A recurrent network of few nodes, made to run on a stream: a step of it costs what onnxruntime takes for ten nodes.

The dispatch of a node costs more than the multiplies of so small a network. So frames are joined by convolutions that
neither overlap in time nor keep anything, and all of the memory is the recurrent layers'. As in Arik et al. 2017
(1703.05390) for the order of layers, which there are larger and look both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from kws_stream.config import FrontendConfig
from models.registry import register
from models.stateful import Recurrent
from models.streaming import STRIDE_FRAMES, StreamingNetwork


def normalised(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    """With batch norm, which folds into it, and rectified."""
    return convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()


def join_frames(bins: int, stem: int, width: int) -> nn.Sequential:
    """`(batch, 1, frames, bins)` -> `(batch, width, frames / 8, 1)`: each stride heard by itself.

    Small kernels first, that see the same in every octave; then one of the stride's length and the map's full height,
    because a vowel is known by where its formants lie.
    """
    height = (bins - 8) // 4 + 1
    return nn.Sequential(
        *normalised(nn.Conv2d(1, stem, (4, 8), (4, 4), bias=False)),  # (batch, stem, frames / 4, height)
        *normalised(nn.Conv2d(stem, width, (STRIDE_FRAMES // 4, height), (STRIDE_FRAMES // 4, 1), bias=False)),
    )


class GRUStream(StreamingNetwork):
    """A stem, strides joined, recurrence over the strides, and an answer from each of its states."""

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        stem: int = 16,
        width: int = 64,
        units: Sequence[int] = (96,),
        dropout: float = 0.1,
    ) -> None:
        sizes = (width, *units)
        super().__init__(
            nn.Sequential(
                *join_frames(bins, stem, width),
                *(Recurrent(inputs, outputs) for inputs, outputs in pairwise(sizes)),
                nn.Dropout(dropout),
                nn.Conv2d(sizes[-1], labels, 1),
            )
        )


register("gru-stream", FrontendConfig(), frames=96)(GRUStream)
