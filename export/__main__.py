"""`python -m export CHECKPOINT -o OUT.onnx`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from export.onnx import build_metadata, update_checksums, write
from kws_stream.config import DecoderConfig, GateConfig, KeywordThreshold
from kws_stream.errors import KwsError, ModelError
from kws_stream.evaluation import wilson_interval
from models.batches import to_tensor
from models.dataset import list_clips
from models.labels import LABELS
from models.recordings import load_clips
from models.task import KeywordTask, load_checkpoint

LICENCE = "CC BY 4.0"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m export", description="Export a checkpoint of models.train to ONNX.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    parser.add_argument("--data", type=Path, help="clips to verify on (default: the folder it was trained on)")
    parser.add_argument("--licence", default=LICENCE)
    defaults, decoder = KeywordThreshold(), DecoderConfig()
    parser.add_argument("--threshold", type=float, default=defaults.threshold)
    parser.add_argument("--release", type=float, default=defaults.release)
    parser.add_argument("--refractory-ms", type=float, default=defaults.refractory_ms)
    parser.add_argument("--smoothing-ms", type=float, default=decoder.smoothing_ms)
    return parser.parse_args(arguments)


def measure(task: KeywordTask, samples: torch.Tensor, labels: list[str]) -> dict[str, Any]:
    """Accuracy on the validation clips `(clips, n)`, which chose the checkpoint: optimistic, and it says so."""
    with torch.no_grad():
        answers = torch.cat([task(batch).argmax(1) for batch in samples.split(256)])
    hits = sum(LABELS[answer] == label for answer, label in zip(answers.tolist(), labels, strict=True))
    low, high = wilson_interval(hits, len(labels))
    return {
        "validation": {
            "accuracy": round(hits / len(labels), 4),
            "interval": [round(low, 4), round(high, 4)],
            "clips": len(labels),
            "note": "spoken labels of the split that also chose the checkpoint",
        }
    }


def export(options: argparse.Namespace) -> None:
    """Load, measure, write, verify."""
    try:
        values = KeywordThreshold(options.threshold, options.release, options.refractory_ms)
        decoder = DecoderConfig(options.smoothing_ms, values)
    except ValueError as error:
        raise KwsError(str(error)) from error
    task = load_checkpoint(options.checkpoint)
    corpus = options.data or task.hparams["corpus"]
    if corpus is None:
        raise ModelError("the checkpoint names no corpus; give a folder of real clips to verify on (--data)")
    clips = list_clips(Path(corpus), "val")
    samples = to_tensor(load_clips(clips).samples)
    accuracy = measure(task, samples, [clip.label for clip in clips])
    metadata = build_metadata(task, options.licence, accuracy, decoder, GateConfig())
    result = write(task, metadata, options.output, samples[:: max(1, len(samples) // 256)])
    update_checksums(options.output)
    print(
        f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB, verified on {result.clips} clips "
        f"(logits within {result.logits:.1e}, posteriors within {result.posteriors:.1e}), validation {accuracy}",
        file=sys.stderr,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    try:
        export(parse_arguments(arguments))
    except KwsError as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
