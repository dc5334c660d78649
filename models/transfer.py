"""Training what others trained before: which parts of a trunk rest, and how fast the others learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from kws_stream.errors import KwsError
from models.weights import trunk_of


@dataclass(frozen=True)
class TransferConfig:
    """How a network with a trunk is trained; the defaults train it like any other."""

    freeze: int = 0
    """blocks, from the input on, whose weights rest"""

    unfreeze_after: int | None = None
    """epochs after which they learn, too; None: never"""

    rate_decay: float = 1.0
    """A block learns this much as fast as the one behind it (Howard and Ruder 2018, 1801.06146, section 3.2: 1 / 2.6);
    the last one as much as fast as the head."""

    freeze_statistics: bool = False
    """whether the batch norms of the trunk keep the means and variances that they came with, all the time"""

    @property
    def wanted(self) -> bool:
        """Whether it asks for anything."""
        return self != TransferConfig()


def parameter_groups(network: nn.Module, learning_rate: float, rate_decay: float) -> list[dict[str, Any]]:
    """For an optimiser: the parameters with their learning rates, block by block where those differ."""
    if rate_decay == 1:
        return [{"params": list(network.parameters()), "lr": learning_rate}]
    trunk = trunk_of(network)
    blocks = [[p for module in block for p in module.parameters()] for block in trunk.blocks]
    inside = {id(parameter) for block in blocks for parameter in block}
    head = [parameter for parameter in network.parameters() if id(parameter) not in inside]
    rates = [learning_rate * rate_decay ** (len(blocks) - at) for at in range(len(blocks))]
    return [
        {"params": params, "lr": rate} for params, rate in zip([*blocks, head], [*rates, learning_rate], strict=True)
    ]


def check_transfer(network: nn.Module, config: TransferConfig) -> None:
    """KwsError for more blocks than there are, rates that make no sense, or a network that has no trunk."""
    if not config.wanted:
        return
    blocks = len(trunk_of(network).blocks)
    if not 0 <= config.freeze <= blocks:
        raise KwsError(f"--freeze {config.freeze}: expected 0 to {blocks}, the blocks of this trunk")
    if config.unfreeze_after is not None and (config.unfreeze_after < 1 or not config.freeze):
        raise KwsError(f"--unfreeze-after {config.unfreeze_after}: expected an epoch from 1 on, and --freeze with it")
    if not 0 < config.rate_decay <= 1:
        raise KwsError(f"--rate-decay {config.rate_decay:g}: expected more than 0 and at most 1")


class Freezing(Callback):
    """Lets blocks rest by the number of the epoch alone, so that a resumed run does what an unbroken one does."""

    def __init__(self, config: TransferConfig) -> None:
        self.config = config

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.apply(pl_module.network, trainer.current_epoch)  # type: ignore[arg-type]

    def apply(self, network: nn.Module, epoch: int) -> None:
        """Set what learns in that epoch, counted from 0."""
        after = self.config.unfreeze_after
        trunk = trunk_of(network)
        for number, block in enumerate(trunk.blocks):
            resting = number < self.config.freeze and (after is None or epoch < after)
            for module in block:
                module.requires_grad_(not resting)
        if self.config.freeze_statistics:
            for module in trunk.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
