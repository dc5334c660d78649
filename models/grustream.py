"""A recurrent network of few nodes, made to run on a stream, and its twin that sees windows.

The dispatch of a node costs more than the multiplies of so small a network. So a few convolutions, computed anew over
the frames that they share with the block before, make a column for every stride, and all of the memory is the recurrent
layer's. As in Arik et al. 2017 (1703.05390) for the order of layers, which there are larger and look both ways.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from kws_stream.config import FrontendConfig
from models.compact import AveragePool
from models.registry import register
from models.rnn import GRU
from models.stateful import Recurrent
from models.streaming import ColumnWise, Overlapping, StreamingNetwork

WIDTHS = (16, 32, 64)
"""channels of the convolutions, of which each halves the frames and the bins"""
JOINED = 128
"""channels of a column"""


def normalised(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    """With batch norm, which folds into it, and rectified."""
    return convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()


def hear_columns(bins: int, widths: tuple[int, int, int] = WIDTHS, joined: int = JOINED) -> Overlapping:
    """`(batch, 1, frames, bins)` -> `(batch, joined, frames / 8, 1)`: 16 frames in each column.

    The last convolution joins what is left of the bins, because a vowel is known by where its formants lie.
    """
    first, second, third = widths
    height = -(-bins // 8)
    return Overlapping(
        *normalised(nn.Conv2d(1, first, (4, 5), 2, (0, 2), bias=False)),  # (batch, first, frames / 2, bins / 2)
        *normalised(nn.Conv2d(first, second, 3, 2, (0, 1), bias=False)),  # (batch, second, frames / 4, bins / 4)
        *normalised(nn.Conv2d(second, third, 3, 2, (0, 1), bias=False)),  # (batch, third, frames / 8, bins / 8)
        *normalised(nn.Conv2d(third, joined, (1, height), bias=False)),
    )


class GRUStream(StreamingNetwork):
    """Columns heard, recurrence over them, and an answer from its states in each stride."""

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        widths: tuple[int, int, int] = WIDTHS,
        joined: int = JOINED,
        units: int = 160,
        dropout: float = 0.1,
    ) -> None:
        """`widths` and `joined`: channels of the convolutions and of a column; `units` of the recurrence."""
        super().__init__(
            nn.Sequential(hear_columns(bins, widths, joined), Recurrent(joined, units)),
            units,
            nn.Sequential(nn.Dropout(dropout), ColumnWise(units, labels)),
        )


class GRUWindow(nn.Module):
    """The twin of `GRUStream` that sees all of a window: columns from its middle on, a recurrence in both directions of
    as many parameters together, and the mean of its states. What it is better by is the price of streaming."""

    ENCODER: ClassVar[tuple[str, ...]] = ("columns", "recurrence")

    def __init__(self, frames: int, bins: int, labels: int, units: int = 100, dropout: float = 0.1) -> None:
        super().__init__()
        self.width = 2 * units
        self.columns = hear_columns(bins)
        self.recurrence = GRU(JOINED, units, bidirectional=True)
        self.pool = AveragePool()
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.width, labels))

    def encode(self, features: Tensor) -> Tensor:
        """`(batch, 1, frames, bins)` -> `(batch, width, frames / 8)`."""
        front, behind = -(-self.columns.overlap // 2), self.columns.overlap // 2
        columns = self.columns.continued(functional.pad(features, (0, 0, front, behind)))  # (batch, JOINED, columns, 1)
        encoded: Tensor = self.recurrence(columns.squeeze(3).mT).mT
        return encoded

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier(self.pool(self.encode(features)))  # (batch, labels) logits


register("gru-stream", FrontendConfig(), frames=96)(GRUStream)
register("gru-stream-large", FrontendConfig(), frames=96)(
    partial(GRUStream, widths=(24, 48, 96), joined=192, units=256)
)
register("gru-window", FrontendConfig(), frames=96)(GRUWindow)
