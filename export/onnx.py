"""A checkpoint as a single `.onnx` file with its metadata."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from export.golden import golden_samples
from export.verify import Verification, verify
from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.metadata import Golden, ModelMetadata
from models.complexity import count_multiplies
from models.registry import parameter_count
from models.task import KeywordTask

STRIDE_FRAMES = 8
"""80 ms: three poolings by 2 make the networks indifferent to smaller steps"""


def build_metadata(
    task: KeywordTask, licence: str, accuracy: dict[str, Any], decoder: DecoderConfig, gate: GateConfig
) -> ModelMetadata:
    """The metadata of a trained task, with the golden outputs that torch gives."""
    sound = golden_samples(task.config.samples(task.frames), task.config.sample_rate)
    with torch.no_grad():
        logits = task(torch.from_numpy(sound)[None].float() / 32768)[0]  # (labels,)
    return ModelMetadata(
        labels=tuple(task.hparams["labels"]),
        frontend=task.config,
        context_frames=task.frames,
        stride_frames=STRIDE_FRAMES,
        output="logits",
        golden=Golden(sound, tuple(round(value, 6) for value in logits.tolist())),
        gate=gate,
        decoder=decoder,
        licence=licence,
        training={
            "architecture": task.hparams["architecture"],
            "parameters": parameter_count(task.network),
            "multiplies": count_multiplies(task.network, task.frames, task.config.bins),
            **(task.hparams["provenance"] or {}),
        },
        accuracy=accuracy,
    )


def to_onnx(task: KeywordTask, metadata: ModelMetadata) -> onnx.ModelProto:
    """The network, from `features` `(batch, 1, frames, bins)` to `logits` `(batch, labels)`."""
    example = torch.zeros(2, 1, task.frames, task.config.bins)
    shapes = ({0: torch.export.Dim("batch", min=1)},)
    return trace(task.network, (example,), metadata, ["features"], ["logits"], shapes)


def trace(
    network: nn.Module,
    example: tuple[torch.Tensor, ...],
    metadata: ModelMetadata,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic_shapes: tuple[Any, ...],
) -> onnx.ModelProto:
    """The graph of a network as torch's exporter finds it with `example`, cleaned of this machine, with `metadata`."""
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # its own progress
        warnings.filterwarnings("ignore", "# The axis name")  # states share the batch of the features
        warnings.simplefilter("ignore", FutureWarning)  # how torch uses itself
        program = torch.onnx.export(
            network,
            example,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic_shapes,
            dynamo=True,
        )
    assert program is not None
    model = program.model_proto
    model.ir_version = oldest_format(model)
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]  # the exporter's stack traces, with the paths of this machine
        node.doc_string = ""
    onnx.helper.set_model_props(model, metadata.to_props())
    onnx.checker.check_model(model, full_check=True)
    return model


def oldest_format(model: onnx.ModelProto) -> int:
    """The oldest format that holds the operators of `model`: onnxruntime 1.17 refuses the exporter's newest."""
    return onnx.helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)


def write(model: onnx.ModelProto, task: KeywordTask, output: Path, clips: torch.Tensor) -> Verification:
    """Verify an exported `model` on real clips `(clips, n)`; only then put the file in its place, whole or not at all.

    Raises ModelError when the verification fails; `output` is then what it was before.
    """
    with replacing(output) as part:
        part.write_bytes(model.SerializeToString())
        return verify(part, task, clips)


@contextlib.contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A file to write, beside `output`; it takes that place when the block ends well, and is removed when not."""
    output.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(suffix=output.suffix, dir=output.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


def save(model: onnx.ModelProto, metadata: ModelMetadata, path: Path) -> None:
    """Write `model` with `metadata` as a single file."""
    onnx.helper.set_model_props(model, metadata.to_props())
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def update_checksums(model: Path) -> None:
    """Enter `model` into the SHA256SUMS beside it, where there is such a file."""
    sums = model.with_name("SHA256SUMS")
    if not sums.is_file():
        return
    digests = dict(line.split()[::-1] for line in sums.read_text().splitlines())
    digests[model.name] = hashlib.sha256(model.read_bytes()).hexdigest()
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())))
