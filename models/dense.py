"""Fully connected networks: Chen, Parada and Heigold 2014, "Small-footprint keyword spotting using deep neural
networks" (ICASSP), and those of Zhang et al. 2017, "Hello Edge" (arXiv 1711.07128).

Chen's posterior handling is `kws_stream.decoder`: smoothing over w_smooth, confidence over w_max.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from models.registry import register


class DNN(nn.Sequential):
    """Hidden layers over all frames at once.

    Chen's input is 41 x 40: log-mel frames every 10 ms, 30 before and 10 after the middle. Hello Edge's is 25 x 10:
    cepstral coefficients every 40 ms. A second of our frames is averaged over `pool` to about as many values.
    """

    def __init__(
        self, frames: int, bins: int, labels: int, width: int, layers: int = 3, pool: tuple[int, int] = (1, 1)
    ) -> None:
        """`pool` is over (frames, bins)."""
        inputs = (frames // pool[0]) * (bins // pool[1])
        hidden = [nn.Sequential(nn.Linear(width if i else inputs, width), nn.ReLU()) for i in range(layers)]
        super().__init__(nn.AvgPool2d(pool), nn.Flatten(), *hidden, nn.Linear(width, labels))

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features)  # (batch, labels) logits


_register = partial(register, frontend=FrontendConfig(), frames=98)
_register("dnn", paper="Chen et al. 2014")(partial(DNN, width=128, pool=(2, 1)))
for _size, _width in (("s", 144), ("m", 256), ("l", 436)):
    _enter = _register(f"dnn-{_size}", paper="Zhang et al. 2017, 1711.07128")
    _enter(partial(DNN, width=_width, pool=(4, 4)))
