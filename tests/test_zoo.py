from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import pytest

from kws_stream import FileSource, KeywordModel, Listener, ModelError, spot, zoo
from kws_stream.cli import bench, evaluate, listen
from tests.conftest import EXAMPLE


def test_a_shipped_model_is_found_by_name_with_or_without_suffix() -> None:
    assert "lightcnn" in zoo.names()
    assert zoo.find("lightcnn") == zoo.find("lightcnn.onnx") == zoo.FOLDER / "lightcnn.onnx"


def test_a_file_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lightcnn.onnx").write_text("mine")
    assert zoo.find("lightcnn.onnx") == Path("lightcnn.onnx")
    assert zoo.find("lightcnn") == zoo.FOLDER / "lightcnn.onnx"


@pytest.mark.parametrize("name", ["nonsense", "folder/lightcnn", "/nowhere/lightcnn.onnx"])
def test_what_is_neither_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(ModelError, match=f"no model {name}: expected a path to an .onnx file, or one of: .*lightcnn"):
        zoo.find(name)


def test_a_shipped_file_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lightcnn.onnx").write_bytes(zoo.find("lightcnn").read_bytes() + b"!")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    with pytest.raises(ModelError, match="not the released file; reinstall"):
        zoo.find("lightcnn")


def test_versions_of_a_model_have_names_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightcnn", "lightcnn-int8"):
        shutil.copy(zoo.find("lightcnn"), tmp_path / f"{name}.onnx")
    digest = hashlib.sha256((tmp_path / "lightcnn.onnx").read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  lightcnn-int8.onnx\n{digest}  lightcnn.onnx\n")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    monkeypatch.setattr(zoo, "CHECKSUMS", tmp_path / "SHA256SUMS")
    assert zoo.names() == ["lightcnn", "lightcnn-int8"]
    assert zoo.find("lightcnn-int8") == zoo.find("lightcnn-int8.onnx") == tmp_path / "lightcnn-int8.onnx"
    assert KeywordModel.load("lightcnn-int8").name == "lightcnn-int8"


@pytest.mark.parametrize("name", zoo.names())
def test_the_oldest_onnxruntime_that_is_allowed_reads_the_format(name: str) -> None:
    assert onnx.load(zoo.find(name)).ir_version <= 9, "what onnxruntime 1.17 reads"


def test_the_default_model_ships_and_is_meant_where_none_is_named() -> None:
    assert zoo.DEFAULT in zoo.names()
    assert KeywordModel.load().name == zoo.DEFAULT
    assert Listener(source=FileSource(EXAMPLE)).spotter.model.name == zoo.DEFAULT
    assert list(spot(EXAMPLE)) == list(spot(EXAMPLE, zoo.DEFAULT))


@pytest.mark.parametrize(
    ("parse", "arguments"),
    [(listen.parse_arguments, []), (bench.parse_arguments, []), (evaluate.parse_arguments, ["clips", "folder"])],
)
def test_every_command_means_the_default_model(
    parse: Callable[[Sequence[str]], argparse.Namespace], arguments: list[str]
) -> None:
    assert parse(arguments).model == zoo.DEFAULT
    assert parse([*arguments, "--model", "mine.onnx"]).model == "mine.onnx"
