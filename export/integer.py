"""The graph of a network in 8 bits, as onnxruntime makes it."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from kws_stream.errors import KwsError, ModelError

Floats = NDArray[np.float32]
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
INTEGER = (
    *WEIGHTED,
    *("Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "MaxPool", "Mul", "Pad", "Relu"),
    *("Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"),
)
"""static: what onnxruntime computes in integers on a CPU. It would put 8 bits around normalisations and softmax, too,
only to compute them in floats. What a streaming network keeps stays in floats, and so all but its weighted layers: a
state that is rounded between two blocks would depend on where they were cut."""
WEIGHTS = {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": True}
"""Seven bits: processors with AVX2 and without VNNI add two products in 16 bits, which products of 8 bits overflow."""
DYNAMIC = ("Gemm", "LSTM", "MatMul")
"""dynamic: without convolutions, for they become slower than in floats, several times."""


class Contexts(CalibrationDataReader):  # type: ignore[misc]
    """Features `(1, frames, bins)` as onnxruntime asks for them, with states of zero where there are any."""

    def __init__(self, graph: onnx.GraphProto, features: Iterator[Floats]) -> None:
        name, *states = graph.input
        self.name, self.features = name.name, features
        self.states = {
            state.name: np.zeros([size.dim_value or 1 for size in state.type.tensor_type.shape.dim], np.float32)
            for state in states
        }

    def get_next(self) -> dict[str, Floats] | None:
        context = next(self.features, None)
        return None if context is None else {self.name: context[None], **self.states}  # (1, 1, frames, bins)


def quantize_graph(source: Path, features: Iterator[Floats], method: str) -> onnx.ModelProto:
    """The graph of `source` in 8 bits, without metadata; only the static method reads `features`.

    Raises ModelError when onnxruntime cannot do it; AudioError when a clip cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared, result = Path(folder, "prepared.onnx"), Path(folder, "quantized.onnx")
        try:
            quant_pre_process(source, prepared)  # infers shapes; folds constants, and batch norms into convolutions
            if method == "static":
                _quantize_static(prepared, result, features)
            else:
                quantize_dynamic(prepared, result, op_types_to_quantize=list(DYNAMIC), **WEIGHTS)
        except KwsError:
            raise
        except Exception as error:  # onnxruntime raises classes of all kinds
            raise ModelError(f"onnxruntime cannot quantise {source} ({type(error).__name__}: {error})") from error
        return _tidy(onnx.load(result))


def _quantize_static(prepared: Path, result: Path, features: Iterator[Floats]) -> None:
    graph = onnx.load(prepared).graph
    quantize_static(
        prepared,
        result,
        Contexts(graph, features),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        op_types_to_quantize=[*WEIGHTED, "Relu"] if len(graph.input) > 1 else list(INTEGER),
        nodes_to_exclude=output_nodes(graph),
        **WEIGHTS,
    )


def _tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without notes, and without the operator sets that onnxruntime lists but the graph has no node of."""
    for node in model.graph.node:
        node.doc_string = ""
    del model.metadata_props[:]
    used = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    return model


def output_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the layer that computes the output and of what follows it: they stay in floats, or the posteriors
    would come in steps."""
    producers = {name: node for node in graph.node for name in node.output}
    name, names = graph.output[0].name, []
    while name in producers:
        node = producers[name]
        names.append(node.name)
        if node.op_type in WEIGHTED:
            break
        name = node.input[0]
    return names


def integer_share(model: onnx.ModelProto) -> float:
    """Share of the elements of kernels and matrices that have 8 bits. Raises ModelError when none has."""
    counts: Counter[bool] = Counter()
    for tensor in model.graph.initializer:
        if len(tensor.dims) >= 2:
            counts[tensor.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)] += math.prod(tensor.dims)
    if not counts[True]:
        raise ModelError("nothing in this network can be quantised by this method; try the other one (--method)")
    return counts[True] / counts.total()
