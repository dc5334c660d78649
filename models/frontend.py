"""The front end of `kws_stream.frontend`, computed by torchaudio: batched, differentiable, on any device."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelScale, Spectrogram

from kws_stream.config import FrontendConfig


class Frontend(nn.Module):
    """`(batch, samples)` in [-1, 1) -> `(batch, 1, frames, bins)`; the numbers of `kws_stream.frontend.log_mel`."""

    def __init__(self, config: FrontendConfig) -> None:
        super().__init__()
        self.config = config
        self.spectrogram = Spectrogram(
            config.window,
            hop_length=config.hop,
            power=None,
            center=False,
            wkwargs={"dtype": torch.float64},  # a quiet bin beside a loud one needs it: see kws_stream.frontend
        )
        self.mel = (
            MelScale(
                config.mel_bins, config.sample_rate, config.low_hz, config.high_hz, config.window // 2 + 1, norm=None
            ).double()
            if config.kind == "log_mel"
            else nn.Identity()
        )

    def forward(self, samples: Tensor) -> Tensor:
        spectrum = self.spectrogram(samples.double())  # (batch, window / 2 + 1, frames) complex
        # Not abs(): its square root takes longer than the DFT.
        power = self.mel(spectrum.real.square() + spectrum.imag.square()).float()  # (batch, bins, frames)
        features = (torch.log(power + self.config.floor) - self.config.mean) / self.config.std
        return features.transpose(1, 2).unsqueeze(1)  # (batch, 1, frames, bins)
