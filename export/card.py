"""`python -m export.card MODEL --test DIR`: the measured part of a model card, so that nobody types a figure.

`--write FILE` puts it between the markers of a card that is otherwise written by hand; `--zoo` does the same for the
list of the models that ship.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.onnx import replacing
from export.seeds import summarise
from kws_stream import zoo
from kws_stream.errors import KwsError
from kws_stream.evaluation import wilson_interval
from kws_stream.metadata import ModelMetadata
from kws_stream.model import KeywordModel
from models.command import complete
from models.markdown import table

BEGIN, END = "<!-- python -m export.card wrote what follows -->", "<!-- and nothing beyond this line -->"
CARDS = Path(__file__).parents[1] / "docs" / "models"
ZOO = zoo.FOLDER / "README.md"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m export.card", description="Print the measured part of a model card.")
    parser.add_argument("model", nargs="?", help="path to an .onnx file, or the name of a model that ships")
    parser.add_argument("--test", type=Path, metavar="DIR", help="word folders for kws-eval: the test clips")
    parser.add_argument("--val", type=Path, metavar="DIR", help="word folders for kws-eval: the validation clips")
    parser.add_argument("--seeds", nargs="+", default=[], metavar="MODEL", help="the same recipe with other seeds")
    parser.add_argument("--write", type=Path, metavar="FILE.md", help="replace what stands between the card's markers")
    parser.add_argument("--zoo", action="store_true", help="write the list of the models that ship instead")
    options = parser.parse_args(arguments)
    if options.zoo == bool(options.model):
        parser.error("name a model, or give --zoo alone")
    if options.seeds and not options.test:
        parser.error("--seeds compares on test clips: give --test DIR, too")
    return options


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, text) of everything in a JSON object; lists of plain values are one text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, (list, tuple)):
        yield name, ", ".join(map(str, value))
    else:
        yield name, str(value)


def evaluate(model: str, folder: Path, *drawing: str) -> dict[str, Any]:
    """What `kws-eval clips FOLDER --json` says, in a process of its own: only that command opens test clips.

    `drawing` are options of kws-eval that leave a picture.
    """
    command = [sys.executable, "-m", "kws_stream.cli.evaluate", "clips", str(folder), "--model", model, "--json"]
    result = subprocess.run([*command, *drawing], capture_output=True, text=True)
    if result.returncode:
        raise KwsError(result.stderr.strip() or f"kws-eval failed with exit code {result.returncode}")
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def shown(folder: Path) -> str:
    """A folder as others find it: below $KWS_DATA, or by its last two names."""
    data = os.environ.get("KWS_DATA")
    if data and folder.resolve().is_relative_to(Path(data).resolve()):
        return f"$KWS_DATA/{folder.resolve().relative_to(Path(data).resolve()).as_posix()}"
    return Path(*folder.parts[-2:]).as_posix()


def describe_accuracy(title: str, command: str, figures: Mapping[str, Any]) -> str:
    """What kws-eval measured: the whole, each label, and what was taken for what."""
    labels, confusion = figures["labels"], figures["confusion"]
    low, high = figures["interval"]
    error = f", expected calibration error {figures['ece']:.3f}" if "ece" in figures else ""
    counts = [(row[index], sum(row)) for index, row in enumerate(confusion)]
    recall = [
        (label, f"{hits} of {clips}", f"{hits / clips:.3f}", "{:.3f} to {:.3f}".format(*wilson_interval(hits, clips)))
        for label, (hits, clips) in zip(labels, counts, strict=True)
        if clips
    ]
    rows = [(f"**{label}**", *row) for label, row in zip(labels, confusion, strict=True) if sum(row)]
    return "\n\n".join(
        (
            f"### {title}",
            f"`{command}`",
            f"Accuracy {figures['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) on {figures['clips']:,} clips"
            f"{error}. The intervals take the clips as independent; clips of one speaker are not, so the true ones "
            "are wider.",
            table(("label", "right", "recall", "95 % interval"), recall),
            "What was said (rows), and what it was taken for (columns):",
            table(("", *labels), rows),
        )
    )


def describe_seeds(model: str, others: Sequence[str], folder: Path) -> str:
    """How far trainings with other seeds lie from this one."""
    sentence, rows = summarise([evaluate(each, folder) for each in (model, *others)])
    return "\n\n".join(
        (
            f"### {1 + len(others)} seeds on the test clips",
            f"{sentence} The first is the one that ships; none was chosen by these clips.",
            table(("label", "recall of each seed", "mean"), rows),
        )
    )


def describe_file(path: Path, metadata: ModelMetadata) -> str:
    """The file, and how a runtime uses it."""
    frontend = metadata.frontend
    context = frontend.samples(metadata.context_frames) / frontend.sample_rate
    stride = 1000 * metadata.stride_frames * frontend.hop / frontend.sample_rate
    rows = [
        ("file", f"`{path.name}`, {path.stat().st_size:,} bytes"),
        ("SHA-256", f"`{digest(path)}`"),
        *((name, f"{metadata.training[name]:,}") for name in ("parameters", "multiplies") if name in metadata.training),
        ("labels", ", ".join(metadata.labels)),
        ("input", f"{metadata.context_frames} frames of {frontend.bins} bins ({context:.3f} s)"),
        ("an inference every", f"{stride:g} ms"),
        ("output", metadata.output),
        ("licence", metadata.licence),
    ]
    settings = {
        "frontend": asdict(frontend),
        "gate": asdict(metadata.gate),
        "decoder": {
            "smoothing_ms": metadata.decoder.smoothing_ms,
            "alone": metadata.decoder.alone,
            **asdict(metadata.decoder.default),
            **{keyword: asdict(values) for keyword, values in metadata.decoder.keywords},
        },
    }
    return table(("what", "value"), [*rows, *flatten(settings)])


def describe_model(
    name: str, folders: Mapping[str, Path | None], seeds: Sequence[str], picture: Path | None = None
) -> str:
    """The generated part of a card; `folders` of clips by title, `seeds` models of the same recipe.

    The reliability diagram of the first folder is drawn to `picture`, which the card shows from the same folder.
    """
    path = zoo.find(name)
    metadata = KeywordModel.load(path).metadata
    model = path.stem if path.parent == zoo.FOLDER else path.name
    parts = ["## Figures", describe_file(path, metadata)]
    for title, folder in folders.items():
        if folder:
            drawing = ("--reliability", str(picture)) if picture else ()
            command = f"kws-eval clips {shown(folder)} --model {model}"
            parts.append(describe_accuracy(title, command, evaluate(str(path), folder, *drawing)))
            if picture:
                parts.append(f"![Share of right answers over their posterior]({picture.name})")
            picture = None
    if seeds and (test := folders["Test clips"]):
        parts.append(describe_seeds(str(path), seeds, test))
    for title, facts in (("Measured at export", metadata.accuracy), ("Training", metadata.training)):
        if facts:
            parts += [f"### {title}", table(("what", "value"), flatten(facts))]
    return "\n\n".join(parts)


def describe_zoo() -> str:
    """The models that ship, a row each."""
    rows = []
    for name in zoo.names():
        path = zoo.find(name)
        metadata = KeywordModel.load(path).metadata
        validation = metadata.accuracy.get("validation", {})
        interval = " to ".join(f"{bound:.3f}" for bound in validation.get("interval", ()))
        rows.append(
            (
                f"[{name}](../../docs/models/{name}.md)" if (CARDS / f"{name}.md").is_file() else name,
                "yes" if name == zoo.DEFAULT else "",
                f"{path.stat().st_size / 1e6:.2f} MB",
                f"{metadata.training['parameters']:,}" if "parameters" in metadata.training else "-",
                f"{validation['accuracy']:.3f} ({interval})" if validation else "-",
                metadata.licence,
                f"`{digest(path)}`",
            )
        )
    return table(("model", "default", "size", "parameters", "validation accuracy", "licence", "SHA-256"), rows)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers of `path`; KwsError when it is missing or has not one pair of them."""
    if not path.is_file():
        raise KwsError(f"no card {path}; write one by hand, with the lines {BEGIN} and {END} where the figures belong")
    card = path.read_text(encoding="utf-8")
    if card.count(BEGIN) != 1 or card.count(END) != 1 or card.index(BEGIN) > card.index(END):
        raise KwsError(f"{path}: expected the lines {BEGIN} and {END}, once each and in this order")
    before, rest = card.split(BEGIN)
    with replacing(path) as part:
        part.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


def command(options: argparse.Namespace) -> None:
    """Measure, and print or write."""
    if options.zoo:
        write_between_markers(options.write or ZOO, describe_zoo())
        return
    folders = {"Test clips": options.test, "Validation clips": options.val}
    picture = options.write.with_suffix(".reliability.png") if options.write else None
    text = describe_model(options.model, folders, options.seeds, picture)
    if options.write:
        write_between_markers(options.write, text)
    else:
        print(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return complete("export.card", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
