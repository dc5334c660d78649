"""Adaptive depth: a cheap answer where it will do. After SANAS (Veniat et al. 2018, "Stochastic adaptive neural
architecture search for keyword spotting", arXiv 1811.06753) and BranchyNet (Teerapittayanon et al. 2016,
1709.01686)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws_stream.config import FrontendConfig
from models.labels import KEYWORDS
from models.registry import register
from models.tcresnet import TemporalBlock, convolve


@register("adaptive", FrontendConfig(), frames=98, paper="Veniat et al. 2018, 1811.06753")
class AdaptiveDepth(nn.Module):
    """Temporal blocks with an exit behind the first: where that is certain that no keyword is spoken, the others rest.

    A batch goes on as a whole when one of its rows must, and every row gets the answer that it gets alone. SANAS learns
    where to stop along with the network, and reports no network of its own to compare with; here the first exit's own
    certainty decides. In training the rows take turns, so that both exits learn from the ordinary loss.
    """

    def __init__(
        self,
        frames: int,
        bins: int,
        labels: int,
        keywords: int = len(KEYWORDS),
        certainty: float = 0.95,
        dropout: float = 0.2,
    ) -> None:
        """The first `keywords` labels are keywords; an exit is taken where the others have `certainty` together."""
        super().__init__()
        self.keywords, self.certainty = keywords, certainty
        self.cheap = nn.Sequential(*convolve(bins, 16, 3, 2), nn.ReLU(), TemporalBlock(16, 24))
        self.exit = _classify(24, labels, dropout)
        blocks = (TemporalBlock(24, 48), TemporalBlock(48, 48), TemporalBlock(48, 64), TemporalBlock(64, 64))
        self.costly = nn.Sequential(*blocks, _classify(64, labels, dropout))

    def first(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`(batch, 1, frames, bins)` -> maps `(batch, 24, frames / 4)`, logits `(batch, labels)` of the first exit, and
        whether they will do `(batch,)`."""
        maps = self.cheap(features.squeeze(1).mT)
        logits = self.exit(maps)
        return maps, logits, logits.softmax(1)[:, self.keywords :].sum(1) > self.certainty

    def forward(self, features: Tensor) -> Tensor:
        maps, logits, certain = self.first(features)
        if self.training:
            turn = torch.arange(len(logits), device=logits.device) % 2 == 0
            return torch.where(turn[:, None], logits, self.costly(maps))
        if torch.onnx.is_in_onnx_export():
            deeper = torch.cond(certain.all(), lambda maps, logits: logits.clone(), self._go_on, (maps, logits))
        else:
            deeper = logits if certain.all() else self.costly(maps)
        return torch.where(certain[:, None], logits, deeper)  # (batch, labels) logits

    def _go_on(self, maps: Tensor, logits: Tensor) -> Tensor:
        return self.costly(maps)


def _classify(channels: int, labels: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, labels))
