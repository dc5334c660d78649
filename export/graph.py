"""A graph that grows node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


class GraphBuilder:
    """Nodes and constants in the order in which they are added; every value is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: NDArray[np.generic] | np.generic) -> str:
        """A tensor that travels in the file; its name."""
        self.constants.append(numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def add(self, operator: str, inputs: str | list[str], output: str, **attributes: Any) -> str:
        """A node with one output; its name."""
        inputs = [inputs] if isinstance(inputs, str) else inputs
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"{output}/{operator}", **attributes))
        return output

    def split(self, value: str, sizes: dict[str, int]) -> None:
        """Cut a vector into vectors of these names and sizes."""
        counts = self.constant(f"{value}/sizes", np.array(list(sizes.values())))
        self.nodes.append(helper.make_node("Split", [value, counts], list(sizes), name=f"{value}/Split", axis=0))
