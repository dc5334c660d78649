"""What one inference costs: multiplies, over all and layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


class LayerCost(NamedTuple):
    """One module, without what its children own."""

    name: str
    """path from the network, as in `named_modules`; empty for the network itself"""

    kind: str
    """class"""

    shape: tuple[int, ...]
    """of its last output at batch 1; empty where that is no tensor, or where the parent does the child's work"""

    parameters: int
    """trainable, plus batch-norm running statistics, as `models.registry.parameter_count`"""

    multiplies: int


def count_multiplies(network: nn.Module, frames: int, bins: int) -> int:
    """Multiply-accumulates of one inference on `(1, 1, frames, bins)` by a network on the CPU.

    Counted are convolutions, linear and recurrent layers, attention and matrix products. As is customary, products
    with padding count, and what is elementwise does not: activations, pooling, batch norm (which folds into its
    neighbour), the gating of a recurrent cell.
    """
    with _counter(network) as counter:
        network(torch.zeros(1, 1, frames, bins))
    return counter.get_total_flops() // 2  # a multiply and an addition


def layer_costs(network: nn.Module, frames: int, bins: int) -> list[LayerCost]:
    """The same by module: those that own parameters or multiplies, in the order of `named_modules`.

    Either column adds up to the figure of the whole network.
    """
    modules = {module: name for name, module in network.named_modules()}
    flops = dict.fromkeys(modules, 0)
    shapes: dict[nn.Module, tuple[int, ...]] = {}
    running: list[nn.Module] = []
    seen = 0

    def settle() -> None:
        """What came since the last boundary between modules is the innermost one's."""
        nonlocal seen
        if running:
            flops[running[-1]] += counter.get_total_flops() - seen
        seen = counter.get_total_flops()

    def enter(module: nn.Module, inputs: Any) -> None:
        settle()
        running.append(module)

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        settle()
        running.pop()
        first = output[0] if isinstance(output, tuple) else output  # a recurrent layer's state goes beside its output
        shapes[module] = tuple(first.shape) if isinstance(first, Tensor) else ()

    with _counter(network) as counter, ExitStack() as hooks:
        for module in modules:
            hooks.enter_context(module.register_forward_pre_hook(enter))
            hooks.enter_context(module.register_forward_hook(leave))
        network(torch.zeros(1, 1, frames, bins))
    costs = [
        LayerCost(name, type(module).__name__, shapes.get(module, ()), _own_parameters(module), flops[module] // 2)
        for module, name in modules.items()
    ]
    return [cost for cost in costs if cost.parameters or cost.multiplies]


def _own_parameters(module: nn.Module) -> int:
    running = [b for name, b in module.named_buffers(recurse=False) if name in ("running_mean", "running_var")]
    return sum(tensor.numel() for tensor in [*module.parameters(recurse=False), *running])


def _recurrent_flops(sequence: torch.Size, from_input: torch.Size, from_state: torch.Size, *_: Any, **__: Any) -> int:
    """At each step of each row, either matrix of gates takes its product."""
    return 2 * prod(sequence[:2]) * (prod(from_input) + prod(from_state))


@contextmanager
def _counter(network: nn.Module) -> Iterator[FlopCounterMode]:
    """torch's counter over an inference that it can see through.

    Of fused kernels it knows nothing, and would count zero: attention runs without them, oneDNN's LSTM is counted.
    """
    formulas = {torch.ops.aten.mkldnn_rnn_layer: _recurrent_flops}
    training = {module: module.training for module in network.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    network.eval()
    try:
        with (
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False, custom_mapping=formulas) as counter,
        ):
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, mode in training.items():
            module.training = mode
