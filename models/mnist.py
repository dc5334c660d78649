"""The study's MNIST network: the tutorial's digits, in which the words are spoken."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.lightcnn import LOG_SPECTROGRAM
from models.published import STUDY
from models.registry import register


@register("mnist", LOG_SPECTROGRAM, frames=99, paper=STUDY)
class MNIST(nn.Module):
    """Two unpadded convolutions and a hidden layer of 1,024, which holds all but one in a hundred parameters.

    At 99 x 161 inputs and 12 labels this has 55,038,988 parameters as Keras counts: the figure of the study.
    """

    def __init__(self, frames: int, bins: int, labels: int, width: int = 1024) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(32),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        with torch.no_grad():
            flat = self.features.eval()(torch.zeros(1, 1, frames, bins)).numel()
        self.features.train()
        self.classifier = nn.Sequential(
            nn.BatchNorm1d(flat), nn.Linear(flat, width), nn.ReLU(), nn.BatchNorm1d(width), nn.Linear(width, labels)
        )

    def forward(self, features: Tensor) -> Tensor:
        maps = self.features(features)  # (batch, 64, frames / 4, bins / 4), less what the kernels eat
        return self.classifier(maps.flatten(1))  # (batch, labels) logits
