"""Networks that compute every frame once: layers that commute with shifts by a stride, and what they keep in between.

On a window, such layers are what they are: convolutions and poolings without padding over time, whose last column is
the answer. On a stream, each of them needs the newest frames of its own input once more. Those are kept and put in
front of the next block; nothing else is computed, and so nothing else comes out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from torch import Tensor, cat, nn, no_grad
from torch.nn import functional

from kws_stream.errors import ModelError
from models.stateful import Recurrent

STRIDE_FRAMES = 8
"""of every network here: 80 ms"""
WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


class ColumnWise(nn.Linear):
    """A dense layer for each column of a map: `(batch, inputs, columns, 1)` -> `(batch, outputs, columns, 1)`.

    As a convolution, it would reorder the map in front of it and behind it, for nothing. Axes are only ever swapped, so
    that in a graph the swaps of its neighbours join with its own.
    """

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.transpose(1, 3)).transpose(1, 3)


POINTWISE = (nn.ReLU, nn.BatchNorm2d, nn.Dropout, nn.Identity, ColumnWise)
"""layers that need no frame but the one that they compute"""


class Memory:
    """What the layers of one network keep from block to block, in the order in which they ask for it."""

    def __init__(self, states: Sequence[Tensor] | None = None) -> None:
        """`states`: what `kept` was after the block before; None at the beginning of a stream, where all is zero."""
        self._states: Iterator[Tensor] | None = None if states is None else iter(states)
        self.kept: list[Tensor] = []

    def join(self, maps: Tensor, rows: int) -> Tensor:
        """`rows` frames of the block before in front of maps `(batch, channels, frames, bins)`."""
        past = self._take(maps.new_zeros(*maps.shape[:2], rows, maps.shape[3]))
        joined = cat((past, maps), 2)
        self.kept.append(joined[:, :, -rows:])
        return joined

    def step(self, layer: Recurrent, maps: Tensor) -> Tensor:
        """A recurrent layer goes on from where it was."""
        outputs, state = layer.step(maps, self._take(layer.initial(maps)))
        self.kept.append(state)
        return outputs

    def _take(self, initial: Tensor) -> Tensor:
        return initial if self._states is None else next(self._states)


class Residual(nn.Module):
    """Layers beside a shortcut, which is shorter where they used up frames: both end with the newest one."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body

    def forward(self, maps: Tensor) -> Tensor:
        return self.add(maps, self.body(maps))

    @staticmethod
    def add(maps: Tensor, body: Tensor) -> Tensor:
        """`(batch, channels, frames, bins)`, and the same with as many frames or fewer."""
        return functional.relu(body + maps[:, :, maps.shape[2] - body.shape[2] :])


class Overlapping(nn.Sequential):
    """Convolutions that are computed anew over the newest frames of the block before, as far as they overlap.

    Two nodes for all of them, instead of two for each: a dispatch costs more than the multiplies of a few frames. What
    lies in front of a window is zero, as at the beginning of a stream: a column for every few frames, and none less.
    """

    @property
    def overlap(self) -> int:
        """Frames that they need once more for their next column."""
        reach, step = 1, 1  # of a column, and from one to the next, in frames
        for layer in self:
            if isinstance(layer, WINDOWED):
                stride = _along_time(layer, "stride", 1)
                reach += (_overlap(layer) + stride - 1) * step
                step *= stride
        return reach - step

    def forward(self, maps: Tensor) -> Tensor:
        return self.continued(functional.pad(maps, (0, 0, self.overlap, 0)))

    def continued(self, joined: Tensor) -> Tensor:
        """The columns of a block behind the newest `overlap` frames of the one before."""
        columns: Tensor = super().forward(joined)
        return columns


class StreamingNetwork(nn.Module):
    """Layers from `(batch, 1, frames, bins)` to `(batch, labels, answers, 1)`: on a window, the last answer counts."""

    ENCODER: ClassVar[tuple[str, ...]] = ("encoder",)

    def __init__(self, encoder: nn.Sequential, width: int, classifier: nn.Sequential) -> None:
        """`encoder` gives `(batch, width, columns, 1)`."""
        super().__init__()
        self.encoder, self.width, self.classifier = encoder, width, classifier

    def encode(self, features: Tensor) -> Tensor:
        """`(batch, 1, frames, bins)` -> `(batch, width, columns)`: what was heard until then."""
        encoded: Tensor = self.encoder(features).squeeze(3)
        return encoded

    def answers(self, features: Tensor) -> Tensor:
        """`(batch, 1, frames, bins)` -> `(batch, answers, labels)` logits: one for each stride that was heard."""
        answers: Tensor = self.classifier(self.encoder(features)).squeeze(3).transpose(1, 2)
        return answers

    def forward(self, features: Tensor) -> Tensor:
        return self.answers(features)[:, -1]  # (batch, labels) logits

    def streamed(self) -> nn.Sequential:
        """The layers that a stream is pushed through."""
        return nn.Sequential(self.encoder, self.classifier).train(self.training)


def streamed(network: nn.Module) -> nn.Sequential:
    """The layers of `network` that a stream is pushed through; ModelError where it can only see windows."""
    layers = getattr(network, "streamed", None)
    if layers is None:
        raise ModelError(
            f"a {type(network).__name__} sees windows and cannot be exported as a streaming network: its layers do not "
            "commute with shifts of the stride"
        )
    result: nn.Sequential = layers()
    return result


class Step(nn.Module):
    """A block of a stream: whole strides and states in, an answer for each stride and states out."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, features: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """`(batch, 1, frames, bins)` -> logits `(batch, answers, labels)` and the states that are left.

        Without states, the stream begins with the block.
        """
        memory = Memory(states or None)
        maps = advance(self.layers, features, memory)  # (batch, labels, answers, 1)
        return maps.squeeze(3).transpose(1, 2), *memory.kept

    @property
    def forgets(self) -> bool:
        """Whether what lies before the window is no part of the answer."""
        return not any(isinstance(layer, Recurrent) for layer in self.modules())


def advance(layer: nn.Module, maps: Tensor, memory: Memory) -> Tensor:
    """`layer` on a block of a stream: whole strides in, as many columns out as the strides have at that depth.

    Raises ValueError for a layer of which no stream can be made.
    """
    if isinstance(layer, Overlapping):
        return layer.continued(memory.join(maps, layer.overlap))
    if isinstance(layer, nn.Sequential):
        for inner in layer:
            maps = advance(inner, maps, memory)
        return maps
    if isinstance(layer, Residual):
        return layer.add(maps, advance(layer.body, maps, memory))
    if isinstance(layer, Recurrent):
        return memory.step(layer, maps)
    if isinstance(layer, WINDOWED):
        overlap = _overlap(layer)
        return layer(memory.join(maps, overlap) if overlap else maps)
    if isinstance(layer, POINTWISE):
        return layer(maps)
    raise ValueError(f"a {type(layer).__name__} cannot be streamed; expected a layer of models.streaming")


@no_grad()
def over_columns(layer: nn.Module, kernel: tuple[int, int] = (1, 1)) -> nn.Module:
    """A layer of a classifier that sees a flattened map, as one that sees a map go by: the same weights.

    `kernel`: the map's frames and bins, for the layer that it is flattened for.
    """
    if isinstance(layer, nn.Linear):
        weight = layer.weight.unflatten(1, (-1, *kernel))  # (outputs, channels, frames, bins)
        convolution = nn.Conv2d(weight.shape[1], weight.shape[0], kernel)
        convolution.load_state_dict({"weight": weight, "bias": layer.bias})
        return convolution
    if isinstance(layer, nn.BatchNorm1d):
        norm = nn.BatchNorm2d(layer.num_features, layer.eps)
        norm.load_state_dict(layer.state_dict())
        return norm
    return layer


def _overlap(layer: nn.Module) -> int:
    """Frames that a convolution or pooling needs once more for its next column."""
    kernel, stride, padding, dilation = (
        _along_time(layer, name, default)
        for name, default in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1))
    )
    overlap = dilation * (kernel - 1) + 1 - stride
    if padding or overlap < 0:
        raise ValueError(
            f"{layer} cannot be streamed: it pads over time or skips frames; expected no padding over time and a "
            "stride of at most the kernel's length"
        )
    return overlap


def _along_time(layer: nn.Module, name: str, default: int) -> int:
    """One of a layer's numbers, which may be one for time and one for bins."""
    value = getattr(layer, name, default)
    return int(value if isinstance(value, int) else value[0])
