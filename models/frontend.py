"""The front end of `kws_stream.frontend`, computed by torchaudio: batched, differentiable, on any device."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram, Spectrogram

from kws_stream.config import FrontendConfig


class Frontend(nn.Module):
    """`(batch, samples)` in [-1, 1) -> `(batch, 1, frames, bins)`; the same numbers as `kws_stream.frontend.log_mel`."""

    def __init__(self, config: FrontendConfig) -> None:
        super().__init__()
        self.config = config
        shared = {"n_fft": config.window, "hop_length": config.hop, "center": False, "power": 2.0}
        self.transform = (
            MelSpectrogram(
                config.sample_rate,
                n_mels=config.mel_bins,
                f_min=config.low_hz,
                f_max=config.high_hz,
                norm=None,
                mel_scale="htk",
                **shared,
            )
            if config.kind == "log_mel"
            else Spectrogram(**shared)
        )
        if config.kind == "log_spectrogram":
            # See kws_stream.frontend: single bins need the precision.
            self.transform.double()

    def forward(self, samples: Tensor) -> Tensor:
        if self.config.kind == "log_spectrogram":
            samples = samples.double()
        power = self.transform(samples).float()  # (batch, bins, frames)
        features = (torch.log(power + self.config.floor) - self.config.mean) / self.config.std
        return features.transpose(1, 2).unsqueeze(1)  # (batch, 1, frames, bins)
