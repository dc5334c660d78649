from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.roster import answer, main, measure_answers, parse_arguments
from export.roster_page import Entry, draw_page, draw_pareto, find_front
from kws_stream.model import KeywordModel
from models.options import parse_arguments as parse_training
from models.registry import list_architectures
from tests.corpus import write_corpus

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning:lightning", "ignore::DeprecationWarning"
)


def entry(name: str, multiplies: int, milliseconds: float, accuracy: float) -> Entry:
    interval = (accuracy - 0.01, accuracy + 0.01)
    return Entry(name, "", 1000, multiplies, accuracy, interval, 1335, milliseconds, streaming=name == "goes on")


ENTRIES = [
    entry("large", 90_000_000, 2.0, 0.95),
    entry("small", 1_000_000, 0.3, 0.90),
    entry("goes on", 2_000_000, 0.1, 0.92),
    entry("wasteful", 50_000_000, 1.0, 0.91),
    entry("as good, dearer", 2_000_001, 0.2, 0.92),
]


def test_the_front_is_what_nothing_beats() -> None:
    assert [each.name for each in find_front(ENTRIES, "multiplies")] == ["small", "goes on", "large"]
    assert [each.name for each in find_front(ENTRIES, "milliseconds")] == ["goes on", "large"]


def test_the_page_has_all_and_stars_the_front() -> None:
    page = draw_page(ENTRIES, parse_training(["lightcnn", "--data", ".", "--set", "rows=64"]), "roster.png", 0.91)
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert [row[0].strip("| ") for row in rows] == [
        "`large`",
        "`goes on`",
        "`as good, dearer`",
        "`wasteful`",
        "`small`",
    ]
    assert [row[2] for row in rows] == ["90.0 *", "2.0 *", "2.0", "50.0", "1.0 *"]
    assert [row[3] for row in rows] == ["2.000 *", "0.100 *", "0.200", "1.000", "0.300"]
    assert rows[1][4].startswith("0.920 (0.910 to 0.930)")
    assert [row[4].endswith("†") for row in rows] == [False, True, True, True, True], "as good as a constant answer"
    for part in ("Streaming networks (`goes on`)", "--batch 128", "--set rows=64`", "(roster.png)", "right in 0.910"):
        assert part in page


def named_in(figure: Figure) -> list[set[str]]:
    return [{note.get_text() for note in axes.texts} for axes in figure.axes if isinstance(axes, Axes)]


def test_the_picture_names_the_front() -> None:
    assert named_in(draw_pareto(ENTRIES, 0.5)) == [{"small", "goes on", "large"}, {"goes on", "large"}]
    assert named_in(draw_pareto(ENTRIES, 0.5, {"wasteful", "large"}))[1] == {"goes on", "large", "wasteful"}


def test_the_picture_has_all_networks() -> None:
    low = [*ENTRIES, entry("learnt nothing", 10**9, 300.0, 0.06)]
    for axes in draw_pareto(low, 0.26).axes:
        assert axes.get_ylim()[0] < 0.06
        assert axes.get_xlim()[1] > (300 if "ms" in axes.get_xlabel() else 10**9)


def test_what_costs_more_measures_more() -> None:
    """An 80 kB network against one that takes several times as long everywhere."""
    tiny, large = measure_answers([KeywordModel.load("compact-tiny"), KeywordModel.load("compact-large")])
    assert 0 < tiny < large


def test_all_networks_unless_some_are_named() -> None:
    assert parse_arguments(["-o", "runs"])[0].networks == list_architectures()
    options, common = parse_arguments(["-o", "runs", "--networks", "dnn-s", "gru-stream", "--epochs", "3"])
    assert (options.networks, common) == (["dnn-s", "gru-stream"], ["--epochs", "3"])


def test_two_networks_to_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write_corpus(tmp_path / "corpus", clips=2)
    page, runs = tmp_path / "docs" / "networks.md", tmp_path / "runs"
    page.parent.mkdir()
    command = ["-o", str(runs), "--write", str(page), "--networks", "dnn-s", "gru-stream"]
    training = ["--data", str(corpus), "--epochs", "1", "--passes", "1", "--batch", "16", "--threads", "1"]
    assert main([*command, *training]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert {line.split("`")[1] for line in page.read_text().splitlines() if line.startswith("| `")} == {
        *("dnn-s", "gru-stream")
    }
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    model = KeywordModel.load(runs / "gru-stream" / "model.onnx")
    assert model.metadata.streaming
    answer(model)
    written = (runs / "dnn-s" / "model.onnx").stat().st_mtime_ns
    assert main([*command[:-1], *training]) == 0  # dnn-s again: nothing is repeated, and the other stays on the page
    assert (runs / "dnn-s" / "model.onnx").stat().st_mtime_ns == written
    assert page.read_text().count("| `") == 2
    assert main([*command, *training, "--smoothing", "0"]) == 1
    assert "dnn-s.json: trained with another smoothing" in capsys.readouterr().err, "no page tells of two recipes"
    elsewhere = ["-o", str(tmp_path / "elsewhere"), "--records", str(runs / "records"), *command[2:]]
    rows = [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| `")]
    assert main([*elsewhere, *training]) == 0, "the records are enough"
    again = [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| `")]
    assert [row[4] for row in again] == [row[4] for row in rows]
    assert not [*(tmp_path / "elsewhere").rglob("model.onnx")]
    assert KeywordModel.load(tmp_path / "elsewhere" / "gru-stream" / "untrained.onnx").metadata.streaming


def test_a_folder_that_is_no_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["-o", str(tmp_path / "runs"), "--networks", "dnn-s", "--data", str(tmp_path), "--epochs", "1"]
    assert main(command) == 1
    assert capsys.readouterr().err.startswith("export.roster: no clips for train below")
