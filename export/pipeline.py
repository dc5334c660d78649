"""`python -m export.pipeline MODEL -o OUT.onnx`: samples and state in, posteriors and state out, in one graph.

For hosts without a library of signal processing. Inputs, of fixed shapes (here for 16 kHz, 98 frames of context and a
stride of 8; those of a file stand in its metadata):

    samples     (1280,) float32 in [-1, 1): the next stride
    state       (3841,) float32: zeros for a new stream, then the last `next_state`

Outputs:

    posteriors  (1, labels) float32, of the context that ends with these samples; zeros as long as it is not full
    ready       (1,) bool: whether the context is filled with real frames
    next_state  (3841,) float32: 240 samples, 90 frames of 40 bins, what a streaming network keeps, and the count of
                strides

A new stream begins with `lead_samples` zeros (720), which belong to no context. docs/pipeline.md has hosts in Python
and JavaScript.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper

from export.agreement import Agreement, check, compare, trial_samples
from export.frontend import add_features
from export.graph import GraphBuilder
from export.host import PipelineHost
from export.layout import Layout
from export.memory import add_network, count_strides, keep
from export.onnx import oldest_format, replacing
from kws_stream import zoo
from kws_stream.metadata import PREFIX
from kws_stream.model import TOLERANCE, KeywordModel, golden_tolerance
from models.command import complete

FORMAT = 1
NETWORK = "network/"
"""in front of the names of the network's own values"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser(
        "python -m export.pipeline", description="Join front end, network and their memory to one ONNX graph."
    )
    parser.add_argument("model", help="path to an .onnx file of python -m export, or the name of a model that ships")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="the metadata once more, for hosts that cannot read them in OUT.onnx"
    )
    return parser.parse_args(arguments)


def join(network: onnx.ModelProto, layout: Layout, softmax: bool) -> onnx.ModelProto:
    """The graph of `network` between its front end and the memory; `softmax`: its outputs are posteriors already."""
    network = compose.add_prefix(network, NETWORK)
    labels = network.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    graph = GraphBuilder()
    graph.split("state", layout.parts)
    heard = graph.add("Concat", ["tail", "samples"], "joined", axis=0)  # (window - hop + stride,)
    features = add_features(graph, heard, layout.frontend, layout.stride)  # (stride frames, bins)
    flat = graph.add("Reshape", [features, graph.constant("flat", np.array([-1]))], "new")
    frames = graph.add("Concat", ["past", flat], "frames", axis=0)  # (context frames * bins,)
    count = count_strides(graph, layout)
    answers = add_network(graph, layout, network.graph, frames, count)  # (1, labels)
    if not softmax:
        answers = graph.add("Softmax", answers, "answers", axis=1)
    graph.add("Where", ["ready", answers, graph.constant("zeros", np.float32(0))], "posteriors")  # (1, labels)
    keep(graph, layout, network.graph, {"tail": heard, "past": frames}, count)
    values = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (
            ("samples", TensorProto.FLOAT, [layout.samples]),
            ("state", TensorProto.FLOAT, [layout.state]),
            ("posteriors", TensorProto.FLOAT, [1, labels]),
            ("ready", TensorProto.BOOL, [1]),
            ("next_state", TensorProto.FLOAT, [layout.state]),
        )
    ]
    whole = helper.make_graph(graph.nodes, "pipeline", values[:2], values[2:], graph.constants)
    return helper.make_model(
        whole,
        opset_imports=list(network.opset_import),
        ir_version=oldest_format(network),
        functions=network.functions,
        producer_name="kws-stream",
    )


def describe(source: KeywordModel, path: Path, layout: Layout) -> dict[str, Any]:
    """The metadata of a pipeline, without the prefix of their keys; what the network's own say is kept."""
    metadata = source.metadata
    kept = {key.removeprefix(PREFIX): json.loads(value) for key, value in metadata.to_props().items()}
    posteriors = source.classify(metadata.golden.samples)
    return {
        "interface": "pipeline",
        "format": FORMAT,
        "labels": kept["labels"],
        "keywords": metadata.keywords,
        "sample_rate": metadata.frontend.sample_rate,
        "stride_samples": layout.samples,
        "lead_samples": layout.lead,
        "fill_strides": layout.fill,
        "state_size": layout.state,
        "state_parts": layout.parts,
        "golden": {
            "samples": kept["golden"]["samples"],
            "posteriors": [round(value, 6) for value in posteriors.tolist()],
            "tolerance": allowed(source),
        },
        **{key: kept[key] for key in ("decoder", "frontend", "context_frames", "stride_frames", "licence")},
        "source": {
            "name": path.stem,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "training": kept["training"],
            "accuracy": kept["accuracy"],
        },
    }


def allowed(source: KeywordModel) -> float:
    """How far golden posteriors may be off on other machines: half of what logits may be, for the softmax moves no
    posterior by more."""
    tolerance = golden_tolerance(source.metadata)
    return tolerance if source.metadata.output == "softmax" else max(TOLERANCE, tolerance / 2)


def write(source: KeywordModel, path: Path, output: Path) -> tuple[Agreement, dict[str, Any]]:
    """Join, verify, and only then put the file in its place; how well it agrees, and its metadata.

    Raises ModelError when the verification fails; `output` is then what it was before.
    """
    layout = Layout.of(source)
    model = join(onnx.load(path), layout, source.metadata.output == "softmax")
    properties = describe(source, path, layout)
    helper.set_model_props(model, to_props(properties))
    onnx.checker.check_model(model, full_check=True)
    with replacing(output) as part:
        part.write_bytes(model.SerializeToString())
        agreement = compare(PipelineHost(part), source, trial_samples(layout.frontend.sample_rate))
        check(agreement, source, properties["golden"]["tolerance"])
    return agreement, properties


def to_props(properties: Mapping[str, Any]) -> dict[str, str]:
    """Key and JSON value of each property, as they stand in the file."""
    return {PREFIX + key: json.dumps(value) for key, value in properties.items()}


def export(options: argparse.Namespace) -> None:
    """Load, join, verify, write."""
    path = zoo.find(options.model)
    agreement, properties = write(KeywordModel.load(path), path, options.output)
    if options.json:
        with replacing(options.json) as part:
            part.write_text(json.dumps(properties, indent=1) + "\n", encoding="utf-8")
    print(
        f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB, {properties['stride_samples']} samples and a "
        f"state of {properties['state_size']} values in; on {agreement.contexts} contexts its features are within "
        f"{agreement.features:.1e} and its posteriors within {agreement.posteriors:.1e} of those of {path.name}",
        file=sys.stderr,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    return complete("export.pipeline", lambda: export(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
