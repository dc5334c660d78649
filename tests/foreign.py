"""Model files that are not what they should be: small networks with whatever metadata a test wants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kws_stream import DecoderConfig, FrontendConfig, GateConfig
from kws_stream.metadata import Golden, ModelMetadata

LABELS = ("yes", "no", "silence", "unknown")


def metadata(**changes: object) -> ModelMetadata:
    """Valid metadata of a network that answers 0 for every label."""
    frontend = FrontendConfig()
    plain = ModelMetadata(
        labels=LABELS,
        frontend=frontend,
        context_frames=98,
        stride_frames=8,
        output="logits",
        golden=Golden(np.zeros(frontend.samples(98), np.int16), (0.0,) * len(LABELS)),
        gate=GateConfig(),
        decoder=DecoderConfig(),
        licence="CC0",
        training={},
        accuracy={},
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def write_network(path: Path, outputs: int, props: dict[str, str], value: float = 0.0) -> Path:
    """An .onnx file: the features times zero, plus `value`, for each of `outputs`."""
    weights = numpy_helper.from_array(np.zeros((98 * 40, outputs), np.float32), "weights")
    bias = numpy_helper.from_array(np.full(outputs, value, np.float32), "bias")
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["features"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
        ],
        "foreign",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 1, 98, 40])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", outputs])],
        [weights, bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(model, props)
    onnx.save(model, path)
    return path
