"""`python -m export.quantize MODEL -o OUT.onnx --data DIR`: a model whose weights and activations have 8 bits.

onnxruntime quantises. What this adds is the calibration on clips, the metadata, and the proof that little is lost.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.__main__ import Validation, load
from export.integer import Floats, integer_share, quantize_graph
from export.onnx import oldest_format, replacing, save, update_checksums
from kws_stream import zoo
from kws_stream.errors import ModelError
from kws_stream.evaluation import Evaluation, wilson_interval
from kws_stream.metadata import Golden
from kws_stream.model import QUANTIZED_TOLERANCE, TOLERANCE, KeywordModel, open_session
from models.command import complete
from models.dataset import Clip, fingerprint, list_clips
from models.labels import LABELS
from models.recordings import read_mono

CLIPS = 512
ROUNDING = 1e-4
"""what two right front ends may differ by in a feature: the tolerance between torchaudio's and numpy's"""
TRIALS = 200
REST = "onnxruntime has no GRU of 8 bits; static leaves LSTMs as they are, dynamic convolutions"
FIGURES = ("accuracy", "interval", "ece", "clips")
"""of `kws_stream.evaluation` that are kept"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m export.quantize", description="Reduce an exported model to 8 bits.")
    parser.add_argument("model", help="path to an .onnx file of python -m export, or the name of a model that ships")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    parser.add_argument(
        "--data", type=Path, required=True, help="corpus: train clips to calibrate, val clips to verify"
    )
    parser.add_argument(
        "--method",
        choices=("static", "dynamic"),
        default="static",
        help="static: ranges of activations from clips (convolutions); dynamic: anew for each inference (recurrent)",
    )
    parser.add_argument("--clips", type=int, default=CLIPS, help="clips to calibrate on (default: %(default)s)")
    parser.add_argument(
        "--max-loss",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="percentage points of validation accuracy that may be lost (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.clips < 1:
        parser.error(f"--clips: expected one or more, got {options.clips}")
    return options


def choose_clips(clips: Iterable[Clip], count: int) -> list[Clip]:
    """`count` clips, or all when there are fewer: the labels in turn, of each the speaker chosen least so far.

    The same for the same files, whatever their order: ties are broken by the SHA-1 of the name.
    """
    ordered = sorted(clips, key=lambda clip: hashlib.sha1(f"{clip.word}/{clip.path.name}".encode()).digest())
    waiting = {label: [clip for clip in ordered if clip.label == label] for label in LABELS}
    heard: Counter[str] = Counter()
    chosen: list[Clip] = []
    turns = cycle(LABELS)
    while len(chosen) < min(count, len(ordered)):
        if candidates := waiting[next(turns)]:
            clip = min(candidates, key=lambda clip: heard[clip.speaker])
            candidates.remove(clip)
            heard[clip.speaker] += 1
            chosen.append(clip)
    return chosen


def measure_golden(run: Callable[[Floats], Floats], features: Floats) -> tuple[Floats, float]:
    """Outputs `(labels,)` for the golden features `(frames, bins)`, and how far they may be off on other machines.

    Twice as far as rounding of the features by up to ROUNDING moves them, at least TOLERANCE. Raises ModelError when
    that is more than the runtime accepts.
    """
    rng = np.random.default_rng(0)
    outputs = run(features)
    noise = (rng.uniform(-ROUNDING, ROUNDING, features.shape).astype(np.float32) for _ in range(TRIALS))
    moved = max(float(np.abs(run(features + shift) - outputs).max()) for shift in noise)
    tolerance = max(TOLERANCE, math.ceil(2 * moved * 1000) / 1000)
    if not tolerance <= QUANTIZED_TOLERANCE * float(np.ptp(outputs)):
        raise ModelError(
            f"rounding moves golden outputs by {moved:.2g}, while they range over {np.ptp(outputs):.2g}: "
            "too much for a self-test; try the other method (--method)"
        )
    return outputs, tolerance


def compare(source: KeywordModel, result: KeywordModel, validation: Validation) -> dict[str, Any]:
    """Accuracy of both on the validation words, calibration error, and how often the answers are the same."""
    features = [source.features(row) for row in validation.samples.numpy()]
    # One by one, as in a stream: dynamic ranges depend on what else is in the batch.
    before, after = (
        np.concatenate([model.predict(row[None]) for row in features])  # (clips, labels)
        for model in (source, result)
    )
    truth, words = validation.labels.numpy(), validation.words
    figures = {
        name: {key: Evaluation(LABELS, truth[:words], posteriors[:words]).to_json()[key] for key in FIGURES}
        for name, posteriors in (("validation", after), ("source_validation", before))
    }
    figures["validation"]["note"] = "spoken labels of the split that also chose the checkpoint"
    equal = int((before.argmax(1) == after.argmax(1)).sum())
    low, high = wilson_interval(equal, len(truth))
    figures["equal_answers"] = {
        "share": round(equal / len(truth), 4),
        "interval": [round(low, 4), round(high, 4)],
        "clips": len(truth),
        "silence": len(truth) - words,
    }
    return figures


def quantize(options: argparse.Namespace) -> None:
    """Load, quantise, write, verify."""
    path = zoo.find(options.model)
    source = KeywordModel.load(path)
    metadata = source.metadata
    if metadata.labels != LABELS:
        raise ModelError(f"{path}: expected the labels {' '.join(LABELS)}, got {' '.join(metadata.labels)}")
    if "quantization" in metadata.training:
        raise ModelError(f"{path}: has 8 bits already; quantise the model that it was made from")
    clips = choose_clips(list_clips(options.data, "train"), options.clips)
    validation = load(options.data)
    features = (source.begun(source.features(read_mono(clip.path))[None]) for clip in clips)
    model = quantize_graph(path, features, options.method)
    share = integer_share(model)
    if share < 0.5:
        print(f"export.quantize: only {share:.1%} of the weights have 8 bits now; {REST}", file=sys.stderr)
    facts: dict[str, Any] = {
        "method": options.method,
        "integer_share": round(share, 4),
        "source": {
            "name": path.stem,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "accuracy": metadata.accuracy,
        },
        "onnxruntime": version("onnxruntime"),
    }
    if options.method == "static":
        speakers = len({clip.speaker for clip in clips})
        facts["calibration"] = {"clips": len(clips), "speakers": speakers, "fingerprint": fingerprint(clips)}
    with replacing(options.output) as part:
        figures = write(model, part, source, facts, validation)
        check_loss(figures, options.max_loss)
    update_checksums(options.output)
    print(f"{options.output}: {path.stat().st_size:,} -> {options.output.stat().st_size:,} bytes", file=sys.stderr)
    print(*(f"{name}: {values}" for name, values in {**facts, **figures}.items()), sep="\n", file=sys.stderr)


def write(
    model: onnx.ModelProto, part: Path, source: KeywordModel, facts: dict[str, Any], validation: Validation
) -> dict[str, Any]:
    """Write `model` with metadata of its own to `part`; the figures that it was compared by.

    The figures are written, too, but measured first: the file is written without metadata, then with golden outputs.
    """
    model.ir_version = oldest_format(model)
    part.write_bytes(model.SerializeToString())
    session = open_session(part)
    bare, golden = KeywordModel(session, source.metadata, source.name), source.metadata.golden

    def run(features: Floats) -> Floats:
        outputs: Floats = bare.outputs(features[None])[0]  # (labels,)
        return outputs

    outputs, facts["golden_tolerance"] = measure_golden(run, source.features(golden.samples))
    metadata = replace(
        source.metadata,
        golden=Golden(golden.samples, tuple(round(value, 6) for value in outputs.tolist())),
        training={**source.metadata.training, "quantization": facts},
    )
    figures = compare(source, KeywordModel(session, metadata, source.name), validation)
    save(model, replace(metadata, accuracy=figures), part)
    KeywordModel.load(part)
    return figures


def check_loss(figures: dict[str, Any], max_loss: float) -> None:
    """ModelError when more than `max_loss` percentage points of accuracy were lost."""
    before, after = figures["source_validation"], figures["validation"]
    loss = 100 * (before["accuracy"] - after["accuracy"])
    if not loss <= max_loss:
        raise ModelError(
            f"8 bits lose {loss:.2f} percentage points of accuracy on {after['clips']} validation clips "
            f"({before['accuracy']} -> {after['accuracy']}), at most {max_loss:g} may be lost (--max-loss); "
            "nothing was written"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    return complete("export.quantize", lambda: quantize(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
