"""What a model file says of itself: everything needed to run it, and a proof that the run time computes the same.

Every key of the `.onnx` file's `metadata_props` begins with `kws.`; values are JSON.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import DecoderConfig, FrontendConfig, GateConfig, KeywordThreshold
from kws_stream.errors import ModelError

FORMAT = 1
STREAMING_FORMAT = 2
"""of files that hold a streaming network: a runtime that knows windows only says that it is too old for them"""
PREFIX = "kws."
UNKNOWN = "unknown"
NO_KEYWORDS = frozenset({"silence", UNKNOWN})
"""Labels that are never reported as events."""


def keywords_of(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels that can become events."""
    return tuple(label for label in labels if label not in NO_KEYWORDS)


@dataclass(frozen=True)
class Golden:
    """A short input and the logits it must give, from PCM to network: checked whenever the model is loaded."""

    samples: NDArray[np.int16]
    """`(n,)`, as many as the network's context spans"""

    outputs: tuple[float, ...]
    """the network's output for them, one value a label"""


@dataclass(frozen=True)
class Streaming:
    """How a network that goes on from states is run on a stream (ADR 11)."""

    renewal_strides: int | None
    """Every so many strides since the first answer, it begins anew with the last context; None for a network that
    forgets by itself what lies before the context."""

    lead_in_strides: int = 0
    """Strides in front of that context which it hears first, as far as the stream has them: it might else begin in the
    middle of a word, and take its end for another."""


@dataclass(frozen=True)
class ModelMetadata:
    """The contents of `metadata_props`."""

    labels: tuple[str, ...]
    """in the order of the network's outputs"""

    frontend: FrontendConfig
    context_frames: int
    """frames that the network sees at once; that a streaming one must have heard for an answer that counts"""

    stride_frames: int
    """frames between two inferences"""

    output: Literal["logits", "softmax"]
    golden: Golden
    gate: GateConfig
    decoder: DecoderConfig
    licence: str
    training: dict[str, Any]
    """how it was made: architecture, data and its fingerprint, seed, recipe"""

    accuracy: dict[str, Any]
    """measured figures, each with the data it was measured on"""

    streaming: Streaming | None = None
    """None for a network that sees windows; others take whole strides and their own states"""

    @property
    def keywords(self) -> tuple[str, ...]:
        """The labels that can become events."""
        return keywords_of(self.labels)

    @property
    def lead_frames(self) -> int:
        """Frames of zeros in front of the context with which a streaming network begins: it takes whole strides. They
        are older than the context, and so part of no answer that counts."""
        return -self.context_frames % self.stride_frames if self.streaming else 0

    def to_props(self) -> dict[str, str]:
        """Key and JSON value of each property."""
        decoder = {
            "smoothing_ms": self.decoder.smoothing_ms,
            "default": asdict(self.decoder.default),
            "keywords": {keyword: asdict(values) for keyword, values in self.decoder.keywords},
            "alone": self.decoder.alone,
        }
        golden = {
            "samples": base64.b64encode(self.golden.samples.astype("<i2").tobytes()).decode(),
            "outputs": self.golden.outputs,
        }
        values = {
            "format": STREAMING_FORMAT if self.streaming else FORMAT,
            "labels": self.labels,
            "frontend": asdict(self.frontend),
            "context_frames": self.context_frames,
            "stride_frames": self.stride_frames,
            "output": self.output,
            "golden": golden,
            "gate": asdict(self.gate),
            "decoder": decoder,
            "licence": self.licence,
            "training": self.training,
            "accuracy": self.accuracy,
        }
        if self.streaming:
            values["streaming"] = asdict(self.streaming)
        return {PREFIX + key: json.dumps(value) for key, value in values.items()}

    @classmethod
    def from_props(cls, props: Mapping[str, str]) -> ModelMetadata:
        """Read what `to_props` wrote; ModelError names what is missing, damaged or too new."""
        if PREFIX + "interface" in props:
            raise ModelError(
                "a whole pipeline of `python -m export.pipeline`, from samples and state to posteriors and state, for "
                "hosts without kws-stream; expected a network alone: load the model that it was made from"
            )
        missing = [key for key in _KEYS if PREFIX + key not in props]
        if missing:
            raise ModelError(
                f"no kws-stream metadata for {', '.join(missing)}; "
                "expected a model written by `python -m export`, which stores them in the file"
            )
        try:
            values = {key: json.loads(props[PREFIX + key]) for key in _KEYS}
            if values["format"] not in (FORMAT, STREAMING_FORMAT):
                known = f"{FORMAT} and {STREAMING_FORMAT}"
                raise ModelError(f"format {values['format']}, this version reads {known}; update kws-stream")
            streaming = json.loads(props[PREFIX + "streaming"]) if values["format"] == STREAMING_FORMAT else None
            decoder, golden = values["decoder"], values["golden"]
            return cls(
                labels=tuple(values["labels"]),
                frontend=FrontendConfig(**values["frontend"]),
                context_frames=int(values["context_frames"]),
                stride_frames=int(values["stride_frames"]),
                output=values["output"],
                golden=Golden(
                    np.frombuffer(base64.b64decode(golden["samples"]), "<i2").astype(np.int16),
                    tuple(golden["outputs"]),
                ),
                gate=GateConfig(**values["gate"]),
                decoder=DecoderConfig(
                    decoder["smoothing_ms"],
                    KeywordThreshold(**decoder["default"]),
                    tuple((word, KeywordThreshold(**value)) for word, value in decoder["keywords"].items()),
                    decoder.get("alone", 0.0),  # older files lack it
                ),
                licence=values["licence"],
                training=values["training"],
                accuracy=values["accuracy"],
                streaming=streaming and Streaming(**streaming),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"metadata is damaged ({type(error).__name__}: {error}); export the model again"
            ) from error


_KEYS = (
    "format",
    "labels",
    "frontend",
    "context_frames",
    "stride_frames",
    "output",
    "golden",
    "gate",
    "decoder",
    "licence",
    "training",
    "accuracy",
)
