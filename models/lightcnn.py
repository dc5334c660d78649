"""The study's Light CNN, on its own log spectrograms and on log-mel frames."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from kws_stream.errors import KwsError
from models.registry import register

LOG_SPECTROGRAM = FrontendConfig(kind="log_spectrogram", window_ms=20.0, hop_ms=10.0)
LOG_MEL = FrontendConfig()


@register("lightcnn-spectrogram", LOG_SPECTROGRAM, frames=99)
class LightCNN(nn.Module):
    """Five unpadded convolutions, two hidden layers.

    At 99 x 161 inputs and 12 labels this has 723,968 parameters as Keras counts (723,454 trainable, 514 batch-norm
    statistics), the figure that the study published. Dropout follows each pooling. The study asks whether its batch
    norms, behind the hidden layers' rectifiers, had better stand before them: `norm`.
    """

    def __init__(self, frames: int, bins: int, labels: int, dropout: float = 0.2, norm: str = "after") -> None:
        super().__init__()
        if norm not in ("after", "before"):
            raise KwsError(f"norm={norm}: expected after or before, where the batch norms of the Light CNN stand")
        self.features = nn.Sequential(
            nn.BatchNorm2d(1),
            nn.Conv2d(1, 8, 2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(dropout),
            nn.Conv2d(8, 16, 3),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(dropout),
            nn.Conv2d(16, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(dropout),
        )
        with torch.no_grad():
            flat = self.features.eval()(torch.zeros(1, 1, frames, bins)).numel()
        self.features.train()
        self.classifier = nn.Sequential(
            nn.Linear(flat, 128),
            *_activate(128, norm),
            nn.Linear(128, 128),
            *_activate(128, norm),
            nn.Linear(128, labels),
        )

    def forward(self, features: Tensor) -> Tensor:
        maps = self.features(features)  # (batch, 32, frames / 8, bins / 8), less what the kernels eat
        return self.classifier(maps.flatten(1))  # (batch, labels) logits


def _activate(units: int, norm: str) -> tuple[nn.Module, nn.Module]:
    """A rectifier and a batch norm, `after` it or `before` it."""
    return (nn.ReLU(), nn.BatchNorm1d(units)) if norm == "after" else (nn.BatchNorm1d(units), nn.ReLU())


# A seventh of the study network's parameters, trained on augmented clips: it underfits, so it is dropped from less.
register("lightcnn", LOG_MEL, frames=98)(partial(LightCNN, dropout=0.1))
