"""What a pipeline remembers from stride to stride, and what its network is given of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from export.graph import GraphBuilder
from export.layout import Layout


def count_strides(graph: GraphBuilder, layout: Layout) -> str:
    """How many strides were heard with this one, `(1,)`; `ready` is whether the context is full."""
    one, fill, most = (
        graph.constant(name, np.float32(value))
        for name, value in (("one", 1), ("fill", layout.fill), ("most", layout.most))
    )
    counted = graph.add("Add", ["heard", one], "counted")
    if layout.renewal:
        renewed = graph.constant("renewed", np.float32(layout.renewed))
        count = graph.add("Where", [graph.add("Greater", [counted, most], "over"), renewed, counted], "count")
    else:
        count = graph.add("Min", [counted, most], "count")
    graph.add("GreaterOrEqual", [count, fill], "ready")
    return count


def add_network(graph: GraphBuilder, layout: Layout, network: onnx.GraphProto, frames: str, count: str) -> str:
    """The nodes of `network` on `frames` `(history * bins,)`; the name of its answer, `(1, labels)`.

    A streaming network begins with the whole context, and its lead-in, from states of zero, where a run begins
    (ADR 11); elsewhere it is given the newest stride, and goes on from its states. Both are the same nodes: they take
    any number of strides.
    """
    features, *states = (value.name for value in network.input)
    if layout.states:
        begins = first = graph.add("Equal", [count, "fill"], "first")  # (1,)
        if layout.renewal:
            begins = graph.add("Or", [first, graph.add("Equal", [count, "renewed"], "again")], "begins")
        zero = graph.constant("zero", np.float32(0))
        for index, (state, shape) in enumerate(zip(states, layout.states, strict=True)):
            kept = graph.add("Where", [begins, zero, f"state_{index}"], f"state_{index}/kept")
            graph.add("Reshape", [kept, graph.constant(f"state_{index}/shape", np.array(shape))], state)
        frames = _newest(graph, layout, frames, first, begins)
    whole = graph.constant("shape", np.array([1, 1, -1, layout.frontend.bins]))
    graph.add("Reshape", [frames, whole], features)
    graph.nodes.extend(network.node)
    graph.constants.extend(network.initializer)
    answers = network.output[0].name  # (1, labels), or (1, answers, labels) of a streaming network
    if layout.states:
        answers = graph.add("Gather", [answers, graph.constant("last", np.int64(-1))], "last_answer", axis=1)
    return answers


def _newest(graph: GraphBuilder, layout: Layout, frames: str, first: str, begins: str) -> str:
    """The first context, all that is kept, or the newest stride of it; behind zeros, where a network takes those."""
    bins = layout.frontend.bins
    if layout.lead_frames:
        zeros = graph.constant("lead", np.zeros(layout.lead_frames * bins, np.float32))
        frames = graph.add("Concat", [zeros, frames], "led", axis=0)
    stop = (layout.lead_frames + layout.history) * bins
    whole, context, newest, end = (
        graph.constant(f"run/{name}", np.array([value]))
        for name, value in (
            ("whole", 0),
            ("context", layout.lead_in * bins),
            ("newest", stop - layout.stride * bins),
            ("end", stop),
        )
    )
    start = graph.add("Where", [first, context, graph.add("Where", [begins, whole, newest], "run/later")], "run/start")
    return graph.add("Slice", [frames, start, end], "run")


def keep(graph: GraphBuilder, layout: Layout, network: onnx.GraphProto, heard: Mapping[str, str], count: str) -> None:
    """`next_state`: the ends of the samples and frames that were `heard`, the states that `network` left, the count."""
    kept = []
    for name, first in (("tail", layout.samples), ("past", layout.stride * layout.frontend.bins)):
        start = graph.constant(f"next_{name}/start", np.array([first]))
        stop = graph.constant(f"next_{name}/stop", np.array([first + layout.parts[name]]))
        kept.append(graph.add("Slice", [heard[name], start, stop], f"next_{name}"))
    for index, state in enumerate(network.output[1 : 1 + len(layout.states)]):
        kept.append(graph.add("Reshape", [state.name, "flat"], f"next_state_{index}"))
    graph.add("Concat", [*kept, count], "next_state", axis=0)
