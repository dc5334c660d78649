"""The front end of `kws_stream.frontend`, computed by torchaudio: batched, differentiable, on any device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram, Spectrogram

from kws_stream.config import FrontendConfig


class Frontend(nn.Module):
    """`(batch, samples)` in [-1, 1) -> `(batch, 1, frames, bins)`; the numbers of `kws_stream.frontend.log_mel`."""

    def __init__(self, config: FrontendConfig) -> None:
        super().__init__()
        self.config = config
        shared: dict[str, Any] = {"n_fft": config.window, "hop_length": config.hop, "center": False, "power": 2.0}
        self.transform = (
            MelSpectrogram(
                config.sample_rate,
                n_mels=config.mel_bins,
                f_min=config.low_hz,
                f_max=config.high_hz,
                norm=None,
                mel_scale="htk",
                wkwargs={"dtype": torch.float64},
                **shared,
            )
            if config.kind == "log_mel"
            else Spectrogram(wkwargs={"dtype": torch.float64}, **shared)
        ).double()  # a quiet bin beside a loud one needs it: see kws_stream.frontend

    def forward(self, samples: Tensor) -> Tensor:
        power = self.transform(samples.double()).float()  # (batch, bins, frames)
        features = (torch.log(power + self.config.floor) - self.config.mean) / self.config.std
        return features.transpose(1, 2).unsqueeze(1)  # (batch, 1, frames, bins)
