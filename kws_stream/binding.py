"""A network with the arrays that it reads and writes.

Most of what a call of a small network costs is not the network: names are looked up, arrays are wrapped and allocated.
Where shapes are the same each time, all of that can be done once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class BoundNetwork:
    """A session of onnxruntime for inputs of one shape. Not to be called from two threads at once."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        names: Sequence[str],
        inputs: Sequence[Floats],
        outputs: Sequence[str],
    ) -> None:
        """`names` of the inputs, and an example of each; `outputs`: the names of those that are wanted."""
        self._session = session
        self._binding = session.io_binding()
        self._inputs = [np.array(example, np.float32) for example in inputs]
        for name, array in zip(names, self._inputs, strict=True):
            self._binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        # What comes out has the shapes of what comes out now.
        results = session.run(outputs, dict(zip(names, self._inputs, strict=True)))
        self._outputs: list[Floats] = [np.array(result) for result in results]
        for name, array in zip(outputs, self._outputs, strict=True):
            self._binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def __call__(self, *inputs: Floats) -> list[Floats]:
        """Copies of what the network gives for `inputs`."""
        for array, values in zip(self._inputs, inputs, strict=True):
            array[...] = values
        self._session.run_with_iobinding(self._binding)
        return [output.copy() for output in self._outputs]
