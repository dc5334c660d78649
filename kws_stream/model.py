"""A keyword network in onnxruntime, refused unless it computes what its file says."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kws_stream import zoo
from kws_stream.binding import BoundNetwork
from kws_stream.errors import ModelError
from kws_stream.frontend import log_mel, to_float
from kws_stream.metadata import ModelMetadata

Floats = NDArray[np.float32]
States = tuple[Floats, ...]
"""What a streaming network keeps of one stream, each of one row; nothing for a network that sees windows."""
TOLERANCE = 1e-3
"""how far the golden outputs may be off: other processors round otherwise, a wrong front end is off by whole units"""
QUANTIZED_TOLERANCE = 0.2
"""the most that an 8-bit file may allow itself, of the range of its golden outputs: where a feature is rounded to the
next step, they move by steps, too"""


class KeywordModel:
    """Features in, posteriors out. Holds no state of a stream, so that many spotters may share one.

    A network sees windows, or it is a streaming one: then it goes on, stride by stride, from the states that it left.
    Which of both is told by the metadata, and concerns nobody who calls `predict` and `classify`.
    """

    def __init__(self, session: onnxruntime.InferenceSession, metadata: ModelMetadata, name: str) -> None:
        self.metadata = metadata
        self.name = name
        self._session = session
        features, *states = session.get_inputs()
        self._input = features.name
        self._states = [state.name for state in states]
        self._outputs = [output.name for output in session.get_outputs()[: 1 + len(states)]]
        # The axis without a size is that of the streams.
        free = [[not isinstance(size, int) for size in state.shape] for state in states]
        self._axes = [axes.index(True) if any(axes) else 0 for axes in free]
        sizes = [[size if isinstance(size, int) else 1 for size in state.shape] for state in states]
        self.initial: States = tuple(np.zeros(size, np.float32) for size in sizes)
        """The states at the beginning of a stream."""
        # Of a stream alone, a call is like the one before it.
        self._usual = (1, metadata.stride_frames if states else metadata.context_frames, metadata.frontend.bins)
        self._bound = threading.local()
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

    def stepping(self, hop_ms: float) -> KeywordModel:
        """The same network, asked every `hop_ms` of speech instead of as often as its file says.

        Raises ModelError for a streaming network, whose stride is part of it, and for a hop that is not a whole number
        of frames.
        """
        step = self.metadata.frontend.hop_ms
        frames = round(hop_ms / step) if math.isfinite(hop_ms) else 0
        if frames < 1 or not math.isclose(frames * step, hop_ms):
            raise ModelError(f"expected a hop of a whole number of frames of {step:g} ms, got {hop_ms:g} ms")
        if self.metadata.streaming and frames != self.metadata.stride_frames:
            stride = self.metadata.stride_frames * step
            raise ModelError(f"{self.name}: a streaming network that answers every {stride:g} ms; it has no other hop")
        return KeywordModel(self._session, replace(self.metadata, stride_frames=frames), self.name)

    @property
    def fingerprint(self) -> str:
        """What tells this network from others, whatever else stands in its file: thresholds hold for one network."""
        facts = json.dumps([self.metadata.labels, self.metadata.golden.outputs])
        return hashlib.sha256(facts.encode()).hexdigest()[:16]

    def predict(self, features: Floats) -> Floats:
        """Posteriors `(batch, labels)` of contexts `(batch, frames, bins)`, whatever else is in the batch.

        Of a streaming network, they are its last answer to a stream that begins with the context.
        """
        posteriors, _ = self.answer(self.begun(features), [self.initial] * len(features))
        last: Floats = posteriors[:, -1]
        return last

    def answer(self, features: Floats, states: Sequence[States]) -> tuple[Floats, list[States]]:
        """Posteriors `(batch, answers, labels)` for features `(batch, frames, bins)`, and the states that are left.

        `states`: of each row, those that it goes on from: `initial`, or what an earlier call left. A streaming network
        takes whole strides, and answers after each; one that sees windows answers once, and leaves nothing.
        """
        if self._alone and len(features) > 1:
            rows = [self._run(features[row : row + 1], states[row : row + 1]) for row in range(len(features))]
            outputs, left = np.concatenate([outputs for outputs, _ in rows]), [state for _, (state,) in rows]
        else:
            outputs, left = self._run(features, states)
        if outputs.ndim == 2:
            outputs = outputs[:, None]  # (batch, 1, labels)
        return outputs if self.metadata.output == "softmax" else softmax(outputs), left

    def begun(self, features: Floats) -> Floats:
        """Contexts `(batch, frames, bins)` as a stream begins with them: in whole strides, for a streaming network."""
        lead = self.metadata.lead_frames
        return np.pad(features, ((0, 0), (lead, 0), (0, 0))) if lead else features

    def _run(self, features: Floats, states: Sequence[States]) -> tuple[Floats, list[States]]:
        """What the network gives, `(batch, labels)` or `(batch, answers, labels)`, and the states of each row."""
        maps = features[:, None]  # (batch, 1, frames, bins)
        if features.shape == self._usual:
            outputs, *left = self._bind(maps, states[0])(maps, *states[0])
            return outputs, [tuple(left)]
        feed = {self._input: maps}
        for name, axis, *values in zip(self._states, self._axes, *states, strict=True):
            feed[name] = np.concatenate(values, axis)
        outputs, *left = self._session.run(self._outputs, feed)
        of_rows = [split(state, axis) for state, axis in zip(left, self._axes, strict=True)]
        return outputs, [tuple(rows[row] for rows in of_rows) for row in range(len(features))]

    def _bind(self, maps: Floats, states: States) -> BoundNetwork:
        """The network for one stride, or window, of one stream; each thread has its own."""
        network: BoundNetwork | None = getattr(self._bound, "network", None)
        if network is None:
            names = [self._input, *self._states]
            network = self._bound.network = BoundNetwork(self._session, names, [maps, *states], self._outputs)
        return network

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

    def outputs(self, features: Floats) -> Floats:
        """What the network gives for contexts `(batch, frames, bins)`, `(batch, labels)`: `predict` before its softmax.

        A streaming network is asked stride by stride, so that what it keeps in between is part of the answer.
        """
        states = [self.initial] * len(features)
        if self.metadata.streaming is None:
            return self._run(features, states)[0]
        features, stride = self.begun(features), self.metadata.stride_frames
        for start in range(0, features.shape[1], stride):
            outputs, states = self._run(features[:, start : start + stride], states)
        last: Floats = outputs[:, -1]
        return last

    def _check(self) -> None:
        """Refuse a network that does not fit its metadata or gives other numbers than it must."""
        metadata = self.metadata
        count = len(metadata.labels)
        features = self.features(metadata.golden.samples)[None]  # (1, frames, bins)
        if bool(self._states) != bool(metadata.streaming):
            told = "a streaming network" if metadata.streaming else "one that sees windows"
            raise ModelError(f"takes {len(self._states)} states, but its metadata tell of {told}; export it again")
        try:
            outputs = self.outputs(features)
        except Exception as error:
            raise ModelError(
                f"does not accept features of shape {features[:, None].shape} as its metadata says "
                f"({_first_line(error)})"
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
    try:
        return onnxruntime.InferenceSession(path, session_options(threads), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises RuntimeError and several classes of its own without a base
        raise ModelError(f"{path}: not a model that onnxruntime can run ({_first_line(error)})") from error


def session_options(threads: int = 1) -> onnxruntime.SessionOptions:
    """How onnxruntime runs a network beside a stream: on few threads, none of which waits in a loop."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # its errors come as exceptions, too
    return options


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


def split(states: Floats, axis: int) -> list[Floats]:
    """What each stream of a batch keeps; numpy's own split takes several times as long."""
    front = (slice(None),) * axis
    return [states[(*front, slice(row, row + 1))] for row in range(states.shape[axis])]


def softmax(logits: Floats) -> Floats:
    """Over the labels, the last axis."""
    result: Floats = logits - np.maximum.reduce(logits, -1, keepdims=True)
    np.exp(result, out=result)
    result /= np.add.reduce(result, -1, keepdims=True)
    return result


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
