"""A host of a pipeline file: what a browser, a phone or a C++ program does around it, in Python."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws_stream.errors import ModelError
from kws_stream.frontend import to_float
from kws_stream.metadata import PREFIX
from kws_stream.model import open_session

Floats = NDArray[np.float32]


class PipelineHost:
    """Samples in, posteriors out. It gathers blocks to strides and carries the state, and knows nothing of sound."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError when onnxruntime cannot run the file, or when it is no pipeline."""
        self._session = open_session(path)
        props = self._session.get_modelmeta().custom_metadata_map
        if json.loads(props.get(PREFIX + "interface", "null")) != "pipeline":
            raise ModelError(f"{path}: expected a file of `python -m export.pipeline`, got another model")
        self.properties: dict[str, Any] = {
            key.removeprefix(PREFIX): json.loads(value) for key, value in props.items() if key.startswith(PREFIX)
        }
        self.reset()

    def reset(self) -> None:
        """As good as new: no state, and the zeros in front of a stream."""
        self.state: Floats = np.zeros(self.properties["state_size"], np.float32)
        """what the file remembers, `(state_size,)`"""
        self._waiting: Floats = np.zeros(self.properties["lead_samples"], np.float32)

    def push(self, samples: NDArray[np.generic]) -> Floats:
        """`(n,)` float32 in [-1, 1) or int16 -> posteriors `(contexts, labels)` of the contexts that they complete.

        Raises AudioError for samples that are none.
        """
        size = self.properties["stride_samples"]
        self._waiting = np.concatenate((self._waiting, to_float(samples)))
        rows = [np.empty((0, len(self.properties["labels"])), np.float32)]
        while len(self._waiting) >= size:
            posteriors, ready, self.state = self._session.run(
                ["posteriors", "ready", "next_state"], {"samples": self._waiting[:size], "state": self.state}
            )
            self._waiting = self._waiting[size:]
            if ready[0]:
                rows.append(posteriors)
        return np.concatenate(rows)

    def golden_difference(self) -> float:
        """How far the posteriors of the golden sound are from what the file says; the host is reset."""
        golden = self.properties["golden"]
        self.reset()
        found = self.push(np.frombuffer(base64.b64decode(golden["samples"]), "<i2").astype(np.int16))
        self.reset()
        return float(np.abs(found[-1] - np.array(golden["posteriors"])).max()) if len(found) == 1 else float("inf")
