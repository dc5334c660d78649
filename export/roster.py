"""`python -m export.roster -o FOLDER ...`: every registered network, trained alike, on one page.

Each is trained by one modest recipe, exported, verified, and asked in turns with all others what an answer costs. All
arguments that this command does not know go to `models.train`. A training that is complete is not repeated, one that
was stopped goes on; several commands may share the folder if they train different networks. What a training came to is
a record, which may outlive it: what an answer costs is measured anew, and does not depend on what was learnt (that of
`adaptive` is the dearer one of its two).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from export.__main__ import export
from export.__main__ import parse_arguments as parse_export
from export.onnx import build_metadata, replacing
from export.roster_page import Entry, draw_page, draw_pareto
from export.streaming import to_graph
from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.errors import KwsError
from kws_stream.model import KeywordModel
from models.callbacks import hush
from models.command import complete
from models.dataset import list_clips
from models.options import parse_arguments as parse_training
from models.published import PARAMETERS
from models.registry import find_architecture, list_architectures
from models.streaming import StreamingNetwork
from models.task import KeywordTask
from models.train import train

ROUNDS = 9
"""in each, every network answers; the fastest counts, because what else the machine does only ever adds"""
TURN = 0.03
"""seconds at least of one network's answers in a round"""
DPI = 144
RECIPE = ("epochs", "batch", "learning_rate", "passes", "smoothing", "seed", "set")
"""options of `models.train` that all networks on the page must share"""


def parse_arguments(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """This command's options, and those for `models.train`; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m export.roster", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="of the trainings")
    parser.add_argument(
        "--records", type=Path, metavar="FOLDER", help="of what the trainings came to (default: in the one of -o)"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE.md", help="where the page goes (default: FOLDER/roster.md)")
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=list_architectures(),
        default=list_architectures(),
        metavar="ARCH",
        help="train only these (default: all); the page has all that are trained",
    )
    return parser.parse_known_args(arguments)


def build_model(architecture: str, folder: Path, records: Path, common: Sequence[str]) -> None:
    """Train, export and keep the record, or go on where that was stopped; nothing for a network that has a record."""
    record, run = records / f"{architecture}.json", folder / architecture
    if record.exists():
        return
    training = parse_training([architecture, *common])
    training.run, training.resume = run, (run / "last.ckpt").exists()
    export(parse_export([str(train(training)), "-o", str(run / "model.onnx")]))
    metadata = KeywordModel.load(run / "model.onnx").metadata
    facts = {
        "recipe": {option: metadata.training["options"][option] for option in RECIPE},
        "parameters": metadata.training["parameters"],
        "multiplies": metadata.training["multiplies"],
        **metadata.accuracy["validation"],
    }
    records.mkdir(parents=True, exist_ok=True)
    with replacing(record) as part:
        part.write_text(json.dumps(facts, indent=1) + "\n")


def open_model(architecture: str, folder: Path) -> KeywordModel:
    """The network as it was trained below `folder`, or as it begins where only the record is left."""
    trained, beginning = (folder / architecture / name for name in ("model.onnx", "untrained.onnx"))
    if not trained.exists() and not beginning.exists():
        task = KeywordTask(architecture, asdict(find_architecture(architecture).frontend)).eval()
        metadata = build_metadata(task, "CC0-1.0", {}, DecoderConfig(), GateConfig())
        model = to_graph(task, metadata, isinstance(task.network, StreamingNetwork))
        with replacing(beginning) as part:
            part.write_bytes(model.SerializeToString())
    return KeywordModel.load(trained if trained.exists() else beginning)


def answer(model: KeywordModel) -> None:
    """One answer: of a window, or of a streaming network to its next stride."""
    metadata = model.metadata
    frames = metadata.stride_frames if metadata.streaming else metadata.context_frames
    model.answer(np.zeros((1, frames, metadata.frontend.bins), np.float32), [model.initial])


def measure_answers(models: Sequence[KeywordModel]) -> list[float]:
    """Milliseconds of processor time that each takes for an answer, on one thread."""
    fastest = [float("inf")] * len(models)
    for _ in range(ROUNDS):
        for place, model in enumerate(models):
            answer(model)  # what the one before it left in the caches is not this one's
            began, count = time.process_time(), 0
            while (spent := time.process_time() - began) < TURN or count == 0:
                answer(model)
                count += 1
            fastest[place] = min(fastest[place], 1e3 * spent / count)
    return fastest


def read_entries(folder: Path, records: Path, recipe: argparse.Namespace) -> Iterator[Entry]:
    """All that have a record, measured together; KwsError when one was trained by another recipe."""
    found = {name: records / f"{name}.json" for name in list_architectures()}
    facts = {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}
    for name, each in facts.items():
        if different := [option for option in RECIPE if each["recipe"][option] != getattr(recipe, option)]:
            raise KwsError(f"{found[name]}: trained with another {different[0]}; give another folder, or remove it")
    models = [open_model(name, folder) for name in facts]
    for (name, each), model, cost in zip(facts.items(), models, measure_answers(models), strict=True):
        yield Entry(
            name,
            find_architecture(name).paper,
            each["parameters"],
            each["multiplies"],
            each["accuracy"],
            tuple(each["interval"]),
            each["clips"],
            cost,
            model.metadata.streaming is not None,
        )


def command(options: argparse.Namespace, common: Sequence[str]) -> None:
    """Network by network, then the page."""
    records = options.records or options.output / "records"
    for architecture in options.networks:
        build_model(architecture, options.output, records, common)
    page = options.write or options.output / "roster.md"
    picture = page.with_suffix(".png")
    recipe = parse_training(["lightcnn", *common])
    entries = list(read_entries(options.output, records, recipe))
    counts = Counter(clip.label for clip in list_clips(recipe.data, "val"))
    floor = max(counts.values()) / counts.total()
    draw_pareto(entries, floor, PARAMETERS.keys()).savefig(picture, dpi=DPI)
    page.write_text(draw_page(entries, recipe, picture.name, floor), encoding="utf-8")
    print(page)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    hush()
    options, common = parse_arguments(arguments)
    return complete("export.roster", lambda: command(options, common))


if __name__ == "__main__":
    sys.exit(main())
