"""`python -m models.summary`: what each registered architecture costs, and what each layer of one does."""

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
from models.labels import LABELS
from models.registry import find_architecture, list_architectures, parameter_count, trainable_count

PIPE_WIDTH = 120
"""columns where no terminal says how many it has"""


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


def summarise(name: str) -> Summary:
    """The costs of the architecture `name`; ValueError when there is none."""
    found = find_architecture(name)
    frames, bins = found.frames, found.frontend.bins
    network = found.build(frames, bins, len(LABELS))
    multiplies = count_multiplies(network, frames, bins)
    return Summary(name, parameter_count(network), trainable_count(network), multiplies, frames, bins, found.paper)


def list_layers(name: str) -> list[LayerCost]:
    """The costs of its layers."""
    found = find_architecture(name)
    network = found.build(found.frames, found.frontend.bins, len(LABELS))
    return layer_costs(network, found.frames, found.frontend.bins)


def tabulate_architectures(summaries: Iterable[Summary]) -> Table:
    """A row an architecture."""
    table = Table(box=SIMPLE)
    for heading in ("architecture", "parameters", "trainable", "multiplies", "frames x bins", "paper"):
        table.add_column(heading, justify="left" if heading in ("architecture", "paper") else "right")
    for row in summaries:
        counts = (f"{count:,}" for count in (row.parameters, row.trainable, row.multiplies))
        table.add_row(row.architecture, *counts, f"{row.frames} x {row.bins}", row.paper)
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
    parser = argparse.ArgumentParser("python -m models.summary", description="Parameters and multiplies of networks.")
    parser.add_argument("--layers", metavar="ARCH", choices=list_architectures(), help="layer by layer, of ARCH")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(arguments)
    rows = list_layers(options.layers) if options.layers else [summarise(name) for name in list_architectures()]
    if options.json:
        print(*(json.dumps(row._asdict()) for row in rows), sep="\n")
    else:
        table = tabulate_layers(rows) if options.layers else tabulate_architectures(rows)
        Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
