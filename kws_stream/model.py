"""A keyword network in onnxruntime, refused unless it computes what its file says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kws_stream import zoo
from kws_stream.errors import ModelError
from kws_stream.frontend import log_mel, to_float
from kws_stream.metadata import ModelMetadata

Floats = NDArray[np.float32]
TOLERANCE = 1e-3
"""how far the golden outputs may be off: other processors round otherwise, a wrong front end is off by whole units"""
QUANTIZED_TOLERANCE = 0.2
"""the most that an 8-bit file may allow itself, of the range of its golden outputs: where a feature is rounded to the
next step, they move by steps, too"""


class KeywordModel:
    """Features in, posteriors out. Holds no state of a stream, so that many spotters may share one."""

    def __init__(self, session: onnxruntime.InferenceSession, metadata: ModelMetadata, name: str) -> None:
        self.metadata = metadata
        self.name = name
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [session.get_outputs()[0].name]
        # Dynamic quantisation takes its ranges from everything that is in a batch.
        facts = metadata.training.get("quantization")
        self._alone = isinstance(facts, dict) and facts.get("method") == "dynamic"

    @classmethod
    def load(cls, model: str | Path = zoo.DEFAULT, threads: int = 1) -> KeywordModel:
        """A model from its path, or from the name of one that ships ("lightcnn" or "lightcnn.onnx"); the default one
        when none is named.

        `threads` more than one pays for large batches only. Raises ModelError when there is no such file, when it is no
        ONNX model, has no kws-stream metadata, has another number of outputs than labels, or fails its golden test.
        """
        path = zoo.find(model)
        session = open_session(path, threads)
        try:
            metadata = ModelMetadata.from_props(session.get_modelmeta().custom_metadata_map)
            loaded = cls(session, metadata, path.stem)
            loaded._check()
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        return loaded

    @property
    def fingerprint(self) -> str:
        """What tells this network from others, whatever else stands in its file: thresholds hold for one network."""
        facts = json.dumps([self.metadata.labels, self.metadata.golden.outputs])
        return hashlib.sha256(facts.encode()).hexdigest()[:16]

    def predict(self, features: Floats) -> Floats:
        """Posteriors `(batch, labels)` of contexts `(batch, frames, bins)`, whatever else is in the batch."""
        batches = [context[None] for context in features] if self._alone else [features]
        outputs = np.concatenate(
            [self._session.run(self._outputs, {self._input: batch[:, None]})[0] for batch in batches]
        )
        posteriors: Floats = outputs if self.metadata.output == "softmax" else softmax(outputs)
        return posteriors

    def classify(self, samples: NDArray[np.generic]) -> Floats:
        """Posteriors `(labels,)` of one clip `(n,)` at the model's sample rate.

        A shorter clip than the context is followed by zeros, of a longer one the middle is taken.
        Raises AudioError for samples that are none.
        """
        posteriors: Floats = self.predict(self.features(samples)[None])[0]
        return posteriors

    def features(self, samples: NDArray[np.generic]) -> Floats:
        """The context `(frames, bins)` of a clip `(n,)`, cut and padded as for `classify`. Raises AudioError."""
        context = self.metadata.frontend.samples(self.metadata.context_frames)
        start = max(0, len(samples) - context) // 2
        clip = to_float(samples)[start : start + context]
        return log_mel(np.pad(clip, (0, context - len(clip))), self.metadata.frontend)

    def _check(self) -> None:
        """Refuse a network that does not fit its metadata or gives other numbers than it must."""
        metadata = self.metadata
        count = len(metadata.labels)
        features = self.features(metadata.golden.samples)[None, None]  # (1, 1, frames, bins)
        try:
            (outputs,) = self._session.run(self._outputs, {self._input: features})
        except Exception as error:
            raise ModelError(
                f"does not accept features of shape {features.shape} as its metadata says ({_first_line(error)})"
            ) from error
        if outputs.shape != (1, count):
            raise ModelError(f"expected {count} outputs, one a label, got shape {outputs.shape}; export it again")
        expected = np.array(metadata.golden.outputs, np.float32)
        if expected.shape != (count,):
            raise ModelError(f"expected {count} golden outputs, got {expected.size}; export it again")
        # Not `difference > tolerance`: a NaN must fail, too.
        difference, tolerance = float(np.abs(outputs[0] - expected).max()), golden_tolerance(metadata)
        if not difference <= tolerance:
            raise ModelError(
                f"golden test failed: outputs differ by {difference:.2g}, at most {tolerance:g} is allowed; "
                "the file or the installation computes something else than was trained"
            )


def open_session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """onnxruntime as a stream wants it, nothing checked yet; ModelError when it cannot run the file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # its errors come as exceptions, too
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises RuntimeError and several classes of its own without a base
        raise ModelError(f"{path}: not a model that onnxruntime can run ({_first_line(error)})") from error


def golden_tolerance(metadata: ModelMetadata) -> float:
    """How far the golden outputs may be off: TOLERANCE, or what an 8-bit file measured and states.

    Raises ModelError when that is missing, or more than QUANTIZED_TOLERANCE.
    """
    facts = metadata.training.get("quantization")
    if facts is None:
        return TOLERANCE
    stated = facts.get("golden_tolerance") if isinstance(facts, dict) else None
    most = QUANTIZED_TOLERANCE * float(np.ptp(metadata.golden.outputs))
    if not isinstance(stated, float) or not 0 < stated <= most:
        raise ModelError(
            f"8-bit file whose golden outputs may be off by {stated}; expected at most {most:.2g}: quantise it again"
        )
    return stated


def softmax(logits: Floats) -> Floats:
    """Row-wise over `(batch, labels)`."""
    exponentials: Floats = np.exp(logits - logits.max(1, keepdims=True))
    result: Floats = exponentials / exponentials.sum(1, keepdims=True)
    return result


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
