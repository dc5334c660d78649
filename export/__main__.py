"""`python -m export CHECKPOINT -o OUT.onnx`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import torch

from export.onnx import build_metadata, update_checksums, write
from export.streaming import step_of, to_graph
from kws_stream.config import DecoderConfig, GateConfig, KeywordThreshold
from kws_stream.errors import KwsError, ModelError
from kws_stream.evaluation import wilson_interval
from models.batches import load_validation, to_tensor
from models.calibration import Scaled, cross_scaled, fit_temperature, measure_calibration, prior_shift
from models.command import complete
from models.corpora import Sources
from models.dataset import list_clips
from models.labels import LABELS, UNKNOWN
from models.recipe import read_recipe
from models.recordings import load_clips
from models.streaming import StreamingNetwork
from models.task import KeywordTask, load_checkpoint

LICENCE = "CC BY 4.0"
UNKNOWN_RATIO = 1.0
"""labels come alike, as in the official test set: docs/adr/0006-calibration.md"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m export", description="Export a checkpoint of models.train to ONNX.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    parser.add_argument(
        "--data", type=Path, help="clips to verify on and calibrate with (default: the folder it was trained on)"
    )
    parser.add_argument("--licence", default=LICENCE)
    defaults, decoder = KeywordThreshold(), DecoderConfig()
    parser.add_argument("--threshold", type=float, default=defaults.threshold)
    parser.add_argument("--release", type=float, default=defaults.release)
    parser.add_argument("--refractory-ms", type=float, default=defaults.refractory_ms)
    parser.add_argument("--smoothing-ms", type=float, default=decoder.smoothing_ms)
    parser.add_argument(
        "--no-calibration", dest="calibration", action="store_false", help="export the logits as they were trained"
    )
    parser.add_argument(
        "--unknown-ratio",
        type=float,
        default=UNKNOWN_RATIO,
        metavar="N",
        help="unknown words expected for every utterance of one keyword: fewer let more keywords through, and more "
        "unknown words, too (default: %(default)s; training had more; nothing is shifted with --no-calibration)",
    )
    parser.add_argument(
        "--streaming",
        action=argparse.BooleanOptionalAction,
        help="a graph that goes on from states and computes each frame once, or one that sees windows (default: as the "
        "network was made; a Light CNN can be either)",
    )
    return parser.parse_args(arguments)


class Validation(NamedTuple):
    """The validation clips, and silence where noise is found beside them."""

    samples: torch.Tensor
    """`(clips, n)` float32"""
    labels: torch.Tensor
    """`(clips,)` index into LABELS"""
    speakers: list[str]
    """of each clip; every silence is its own"""
    words: int
    """clips that are words; they come first"""


def load(corpus: Path) -> Validation:
    """Decode; AudioError when `corpus` holds no validation clips."""
    clips, sources = list_clips(corpus, "val"), Sources(corpus)
    if sources.val_noise_folders():
        samples, labels = load_validation(sources)
    else:
        print(f"no noise in or beside {corpus}: validated without silence", file=sys.stderr)
        samples = to_tensor(load_clips(clips).samples)
        labels = torch.tensor([LABELS.index(clip.label) for clip in clips])
    speakers = [clip.speaker for clip in clips] + [f"silence {row}" for row in range(len(clips), len(labels))]
    return Validation(samples, labels, speakers, len(clips))


@torch.no_grad()
def answer(task: KeywordTask, samples: torch.Tensor) -> torch.Tensor:
    """`(clips, n)` -> `(clips, labels)` logits."""
    return torch.cat([task(batch) for batch in samples.split(256)])


def measure(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    """Accuracy of logits `(clips, labels)` on the clips that chose the checkpoint: optimistic, and it says so."""
    hits = int((logits.argmax(1) == labels).sum())
    low, high = wilson_interval(hits, len(labels))
    return {
        "accuracy": round(hits / len(labels), 4),
        "interval": [round(low, 4), round(high, 4)],
        "clips": len(labels),
        "note": "spoken labels of the split that also chose the checkpoint",
    }


def shift_unknown(task: KeywordTask, ratio: float) -> list[float]:
    """What is added to each logit, so that they answer to labels that come alike, and unknown words `ratio` times."""
    options = (task.hparams["provenance"] or {}).get("options", {})
    trained = read_recipe(options.get("set", []))[1].label_shares
    expected = [ratio if label == UNKNOWN else 1.0 for label in LABELS]
    return [round(float(value), 4) for value in prior_shift(trained, expected)]


def calibrate(task: KeywordTask, validation: Validation, ratio: float) -> dict[str, Any]:
    """Divide the logits of `task` by the temperature that the clips ask for, shift them to the labels' shares that are
    expected, and report what the temperature changes: the clips have the labels in shares like those of training."""
    logits, labels = answer(task, validation.samples), validation.labels
    temperature = float(f"{fit_temperature(logits, labels):.4g}")
    shift = shift_unknown(task, ratio)
    task.network = Scaled(task.network, temperature, shift).eval()
    figures: dict[str, Any] = {
        "before": logits,
        "after": logits / temperature,
        "held_out": cross_scaled(logits, labels, validation.speakers),
    }
    return {
        "temperature": temperature,
        "unknown_ratio": ratio,
        "shift": {label: value for label, value in zip(LABELS, shift, strict=True) if value},
        **{name: measure_calibration(values, labels) for name, values in figures.items()},
        "clips": len(labels),
        "silence": len(labels) - validation.words,
        "note": "nll in nats; the temperature was fitted on these clips, held_out on those of other speakers",
    }


def export(options: argparse.Namespace) -> None:
    """Load, measure, calibrate, write, verify."""
    if not 0 < options.unknown_ratio < inf:
        raise KwsError(f"--unknown-ratio {options.unknown_ratio:g}: expected a number above 0; 1 is for equal shares")
    try:
        values = KeywordThreshold(options.threshold, options.release, options.refractory_ms)
        decoder = DecoderConfig(options.smoothing_ms, values)
    except ValueError as error:
        raise KwsError(str(error)) from error
    task = load_checkpoint(options.checkpoint)
    corpus = options.data or task.hparams["corpus"]
    if corpus is None:
        raise ModelError("the checkpoint names no corpus; give a folder of real clips to verify on (--data)")
    streaming = isinstance(task.network, StreamingNetwork) if options.streaming is None else options.streaming
    if streaming:
        step_of(task.network)  # refuses what cannot be streamed before anything is measured
    validation = load(Path(corpus))
    calibration = calibrate(task, validation, options.unknown_ratio) if options.calibration else None
    logits = answer(task, validation.samples)
    accuracy = {"validation": measure(logits[: validation.words], validation.labels[: validation.words])}
    if calibration:
        accuracy["calibration"] = calibration
    metadata = build_metadata(task, options.licence, accuracy, decoder, GateConfig())
    model = to_graph(task, metadata, streaming)
    samples = validation.samples[:: max(1, len(validation.samples) // 256)]
    result = write(model, task, options.output, samples)
    update_checksums(options.output)
    print(
        f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB, verified on {result.clips} clips "
        f"(logits within {result.logits:.1e}, posteriors within {result.posteriors:.1e})",
        *(f"{name}: {figures}" for name, figures in accuracy.items()),
        sep="\n",
        file=sys.stderr,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    return complete("export", lambda: export(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
