"""A convolution, then recurrence: Arik et al. 2017, "Convolutional recurrent neural networks for small-footprint
keyword spotting" (arXiv 1703.05390), and the causal ones of Zhang et al. 2017, "Hello Edge" (1711.07128)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from models.registry import register
from models.rnn import GRU


class CRNN(nn.Module):
    """One strided convolution, two recurrent layers, one hidden layer.

    In both directions, the hidden layer sees what they say at every step, as Arik et al. have it; causal, it sees the
    last state, as Hello Edge has it, and no frame is looked at before it is there.
    """

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        maps: int = 32,
        kernel: tuple[int, int] = (20, 5),
        stride: tuple[int, int] = (8, 2),
        units: int = 32,
        hidden: int = 64,
        causal: bool = False,
        padded: bool = True,
    ) -> None:
        """`kernel` and `stride` are over (frames, bins); `padded`: n become ceil(n / stride), not less."""
        super().__init__()
        self.causal = causal
        sizes = (frames, bins)
        if padded:
            sides = [max(0, (-(-n // s) - 1) * s + k - n) for n, k, s in zip(sizes, kernel, stride, strict=True)]
            before = (sides[1] // 2, sides[1] - sides[1] // 2)
            above = (sides[0], 0) if causal else (sides[0] // 2, sides[0] - sides[0] // 2)
            pad: nn.Module = nn.ZeroPad2d((*before, *above))
            steps, bands = (-(-n // s) for n, s in zip(sizes, stride, strict=True))
        else:
            pad = nn.Identity()
            steps, bands = ((n - k) // s + 1 for n, k, s in zip(sizes, kernel, stride, strict=True))
        self.convolution = nn.Sequential(pad, nn.Conv2d(1, maps, kernel, stride), nn.ReLU())
        self.recurrent = GRU(maps * bands, units, layers=2, bidirectional=not causal)
        width = units if causal else 2 * units * steps
        self.classifier = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, labels))

    def forward(self, features: Tensor) -> Tensor:
        maps = self.convolution(features)  # (batch, maps, steps, bands)
        sequence = self.recurrent(maps.transpose(1, 2).flatten(2))  # (batch, steps, units, or twice as many)
        summary = sequence[:, -1] if self.causal else sequence.flatten(1)
        return self.classifier(summary)  # (batch, labels) logits


_register = partial(register, frontend=FrontendConfig(), frames=98)
_register("crnn", paper="Arik et al. 2017, 1703.05390")(CRNN)
_register("crnn-causal", paper="Arik et al. 2017, 1703.05390")(partial(CRNN, causal=True))
# Hello Edge's input is 49 x 10, every 20 ms; ours has twice the frames and four times the bands, and so has the stride.
for _size, _maps, _stride, _units, _hidden in (
    ("s", 48, (4, 8), 60, 84),
    ("m", 128, (4, 8), 76, 164),
    ("l", 100, (4, 4), 136, 188),
):
    _shape = partial(CRNN, maps=_maps, kernel=(10, 4), stride=_stride, units=_units, hidden=_hidden)
    _register(f"crnn-{_size}", paper="Zhang et al. 2017, 1711.07128")(partial(_shape, causal=True, padded=False))
