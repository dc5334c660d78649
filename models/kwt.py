"""Keyword Transformers: Berg, O'Connor and Tairum Cruz 2021 (arXiv 2104.00769)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws_stream.config import FrontendConfig
from models.registry import register


class KeywordTransformer(nn.Module):
    """Every frame is a patch; the class token's last state goes to a linear classifier.

    As in the authors' implementation (ARM-software/keyword-transformer): layer norm behind the sums, no biases in the
    projections to queries, keys and values, weights from a normal distribution truncated to 0.02. Their second,
    distilled token is left out, as in the networks whose parameters the paper gives.
    """

    def __init__(self, frames: int, bins: int, labels: int, heads: int, blocks: int = 12) -> None:
        super().__init__()
        width = 64 * heads
        self.projection = nn.Linear(bins, width)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, frames + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.classifier = nn.Linear(width, labels)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() > 1:  # all but the layer norms' scales
                nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, features: Tensor) -> Tensor:
        patches = self.projection(features.squeeze(1))  # (batch, frames, width)
        tokens = self.token.expand(patches.shape[0], -1, -1)  # (batch, 1, width)
        hidden = self.blocks(torch.cat([tokens, patches], 1) + self.positions)  # (batch, 1 + frames, width)
        return self.classifier(hidden[:, 0])  # (batch, labels) logits


class Block(nn.Module):
    """Self-attention, then a perceptron on each position, with layer norm behind either sum."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.split = nn.Linear(width, 3 * width, bias=False)
        self.join = nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(2))

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.norms[0](hidden + self._attend(hidden))
        return self.norms[1](hidden + self.perceptron(hidden))

    def _attend(self, hidden: Tensor) -> Tensor:
        parts = self.split(hidden).unflatten(2, (-1, 64)).transpose(1, 2)  # (batch, 3 * heads, positions, 64)
        attended = functional.scaled_dot_product_attention(*parts.chunk(3, 1))  # (batch, heads, positions, 64)
        return self.join(attended.transpose(1, 2).flatten(2))  # (batch, positions, width)


for _heads in (1, 2, 3):
    register(f"kwt-{_heads}", FrontendConfig(), frames=98, paper="Berg et al. 2021, 2104.00769")(
        partial(KeywordTransformer, heads=_heads)
    )
