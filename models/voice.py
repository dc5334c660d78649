"""Keywords and voice activity from one network: Lengerich and Hannun 2016, "An end-to-end architecture for keyword
spotting and voice activity detection" (arXiv 1611.09405)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws_stream.config import FrontendConfig
from models.labels import LABELS, SILENCE
from models.registry import register
from models.rnn import GRU


@register("kws-vad", FrontendConfig(), frames=98, paper="Lengerich and Hannun 2016, 1611.09405")
class KeywordsAndVoice(nn.Module):
    """A convolution and causal recurrent layers, and two questions to them: is there a voice, and what does it say.

    The paper learns both from transcripts (CTC); here they are the factors of one distribution over the labels:
    P(silence) = 1 - P(voice), P(word) = P(voice) P(word | voice). So the ordinary training teaches both, and whoever
    runs the model has the voice activity, too: one minus the posterior of silence.
    """

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        maps: int = 32,
        units: int = 96,
        silence: int = LABELS.index(SILENCE),
    ) -> None:
        """`silence` is the index of that label."""
        super().__init__()
        self.silence = silence
        self.convolution = nn.Sequential(nn.Conv2d(1, maps, (5, 20), (2, 10)), nn.BatchNorm2d(maps), nn.ReLU())
        self.recurrent = GRU(maps * ((bins - 20) // 10 + 1), units, layers=2)
        self.voice = nn.Linear(units, 1)
        self.words = nn.Linear(units, labels - 1)

    def states(self, features: Tensor) -> Tensor:
        """`(batch, 1, frames, bins)` -> `(batch, frames / 2, units)`."""
        maps = self.convolution(features)  # (batch, maps, frames / 2, bands)
        return self.recurrent(maps.transpose(1, 2).flatten(2))

    def activity(self, features: Tensor) -> Tensor:
        """`(batch, 1, frames, bins)` -> `(batch, frames / 2)`: P(voice) at each step, from the frames before."""
        return self.voice(self.states(features)).squeeze(2).sigmoid()

    def forward(self, features: Tensor) -> Tensor:
        last = self.states(features)[:, -1]  # (batch, units)
        voice = self.voice(last)  # (batch, 1) log odds
        words = self.words(last).log_softmax(1) + functional.logsigmoid(voice)  # (batch, labels - 1)
        silence = functional.logsigmoid(-voice)
        before, behind = words[:, : self.silence], words[:, self.silence :]
        return torch.cat([before, silence, behind], 1)  # (batch, labels) logits: logarithms of probabilities
