from __future__ import annotations

from pathlib import Path

import pytest

from kws_stream import ModelError, zoo


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
    with pytest.raises(ModelError, match=f"no model {name}: expected a path to an .onnx file, or one of: lightcnn"):
        zoo.find(name)


def test_a_shipped_file_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lightcnn.onnx").write_bytes(zoo.find("lightcnn").read_bytes() + b"!")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    with pytest.raises(ModelError, match="not the released file; reinstall"):
        zoo.find("lightcnn")
