"""`python -m models.summary`: what each registered architecture costs, and what each layer of one does.

Processor time and energy are those of one inference by torch on one thread, which an exported model undercuts: they
compare networks, and `kws-bench` measures models.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from models.complexity import LayerCost, count_multiplies, layer_costs
from models.energy import MULTIPLY_JOULES, PowerMeter, measure_cost
from models.labels import LABELS
from models.registry import find_architecture, list_architectures, parameter_count, trainable_count

PIPE_WIDTH = 150
"""columns where no terminal says how many it has"""
ESTIMATED = f"no power meter to read: {MULTIPLY_JOULES * 1e12:.1f} pJ a multiply, a lower bound"


class Summary(NamedTuple):
    """Of an architecture at its registered input, with the labels that training gives it."""

    architecture: str

    parameters: int
    """with batch-norm running statistics, as Keras counts"""

    trainable: int

    multiplies: int
    """multiply-accumulates of one inference"""

    frames: int

    bins: int

    paper: str

    cpu_ms: float | None = None
    """processor time of one inference; this and the energy are None where nothing was measured"""

    energy_mj: float | None = None

    metered: bool | None = None
    """whether the energy was measured; else it is estimated from the multiplies"""


def summarise(name: str, meter: PowerMeter | None = None) -> Summary:
    """The costs of the architecture `name`, measured if there is a `meter`; ValueError when there is none."""
    found = find_architecture(name)
    frames, bins = found.frames, found.frontend.bins
    network = found.build(frames, bins, len(LABELS))
    multiplies = count_multiplies(network, frames, bins)
    cost = measure_cost(network, frames, bins, multiplies, meter) if meter else ()
    counts = parameter_count(network), trainable_count(network), multiplies
    return Summary(name, *counts, frames, bins, found.paper, *cost)


def list_layers(name: str) -> list[LayerCost]:
    """The costs of its layers."""
    found = find_architecture(name)
    network = found.build(found.frames, found.frontend.bins, len(LABELS))
    return layer_costs(network, found.frames, found.frontend.bins)


def tabulate_architectures(summaries: Iterable[Summary]) -> Table:
    """A row an architecture."""
    rows = list(summaries)
    measured = any(row.cpu_ms is not None for row in rows)
    energy = "energy, mJ" if all(row.metered for row in rows) else "energy, mJ (estimated)"
    costs = ("CPU, ms", energy) if measured else ()
    table = Table(box=SIMPLE)
    for heading in ("architecture", "parameters", "trainable", "multiplies", "frames x bins", *costs, "paper"):
        table.add_column(heading, justify="left" if heading in ("architecture", "paper") else "right")
    for row in rows:
        counts = (f"{count:,}" for count in (row.parameters, row.trainable, row.multiplies))
        cost = (f"{row.cpu_ms:.2f}", f"{row.energy_mj:.3g}") if measured else ()
        table.add_row(row.architecture, *counts, f"{row.frames} x {row.bins}", *cost, row.paper)
    if measured and not all(row.metered for row in rows):
        table.caption = ESTIMATED
    return table


def tabulate_layers(layers: Sequence[LayerCost]) -> Table:
    """A row a layer, and their sum."""
    table = Table(box=SIMPLE, show_footer=True)
    table.add_column("layer", footer="sum")
    table.add_column("kind")
    table.add_column("output")
    table.add_column("parameters", footer=f"{sum(layer.parameters for layer in layers):,}", justify="right")
    table.add_column("multiplies", footer=f"{sum(layer.multiplies for layer in layers):,}", justify="right")
    for layer in layers:
        shape = " x ".join(map(str, layer.shape[1:]))  # of one row of the batch
        table.add_row(layer.name, layer.kind, shape, f"{layer.parameters:,}", f"{layer.multiplies:,}")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python -m models.summary", description=__doc__)
    parser.add_argument("--layers", metavar="ARCH", choices=list_architectures(), help="layer by layer, of ARCH")
    parser.add_argument("--quick", action="store_true", help="count, but measure neither time nor energy")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(arguments)
    meter = None if options.quick else PowerMeter.find()
    layers = list_layers(options.layers) if options.layers else []
    networks = [] if options.layers else [summarise(name, meter) for name in list_architectures()]
    if options.json:
        facts = [layer._asdict() for layer in layers] or [network._asdict() for network in networks]
        print(*map(json.dumps, facts), sep="\n")
    else:
        table = tabulate_layers(layers) if options.layers else tabulate_architectures(networks)
        Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
