from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from export.card import BEGIN, CARDS, END, ZOO, describe_zoo, flatten, main, shown
from export.quantize import main as quantize
from kws_stream import zoo
from kws_stream.evaluation import wilson_interval
from tests.corpus import write_corpus

RATE = 16_000


@pytest.fixture
def folder(tmp_path: Path, example: NDArray[np.int16]) -> Path:
    """Six clips under two labels; the second is no word that the model knows."""
    for word in ("yes", "house"):
        (tmp_path / "clips" / word).mkdir(parents=True)
        for index in range(3):
            soundfile.write(tmp_path / "clips" / word / f"{index}.wav", example[index * RATE :][:RATE], RATE)
    return tmp_path / "clips"


def test_the_figures_are_those_of_kws_eval(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lightcnn", "--test", str(folder)]) == 0
    card = capsys.readouterr().out
    command = [sys.executable, "-m", "kws_stream.cli.evaluate", "clips", str(folder), "--json"]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    low, high = figures["interval"]
    assert f"Accuracy {figures['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) on 6 clips" in card
    assert f"`kws-eval clips {folder.parent.name}/clips --model lightcnn`" in card
    for label in ("yes", "unknown"):
        row = figures["confusion"][figures["labels"].index(label)]
        hits = row[figures["labels"].index(label)]
        low, high = wilson_interval(hits, 3)
        assert f"| {label} | {hits} of 3 | {hits / 3:.3f} | {low:.3f} to {high:.3f} |" in card
        assert f"| **{label}** | {' | '.join(map(str, row))} |" in card
    assert "| **no** |" not in card, "no clips, no row"
    assert str(folder.parent) not in card, "no path of this machine"


def test_a_card_says_what_the_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an 8-bit file, with everything that its metadata hold."""
    corpus = write_corpus(tmp_path / "corpus", clips=1)
    path = tmp_path / "m.onnx"
    assert quantize(["lightcnn", "-o", str(path), "--data", str(corpus), "--clips", "4"]) == 0
    capsys.readouterr()
    assert main([str(path)]) == 0
    card = capsys.readouterr().out
    for row in (
        f"| file | `m.onnx`, {path.stat().st_size:,} bytes |",
        f"| SHA-256 | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |",
        "| an inference every | 80 ms |",
        "| frontend.kind | log_mel |",
        "| decoder.threshold | 0.8 |",
        "| licence | CC BY 4.0 |",
        "| quantization.method | static |",
        "| quantization.calibration.clips | 4 |",
        "| equal_answers.clips | 13 |",
    ):
        assert row in card
    assert "kws-eval" not in card


def test_what_is_written_by_hand_stays(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text(f"# Mine\n\n{BEGIN}\nstale\n{END}\n\nThe end.\n")
    for _ in range(2):
        assert main(["lightcnn", "--write", str(card)]) == 0
        text = card.read_text()
        assert text.startswith(f"# Mine\n\n{BEGIN}\n\n## Figures\n")
        assert text.endswith(f"|\n\n{END}\n\nThe end.\n")
        assert (text.count(BEGIN), text.count("## Figures"), "stale" in text) == (1, 1, False)
    assert [path.name for path in tmp_path.iterdir()] == ["card.md"]


def test_the_reliability_diagram_of_the_test_clips_lies_beside_the_card(folder: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text(f"{BEGIN}\n{END}\n")
    assert main(["lightcnn", "--test", str(folder), "--val", str(folder), "--write", str(card)]) == 0
    assert (tmp_path / "card.reliability.png").read_bytes().startswith(b"\x89PNG")
    text = card.read_text()
    assert text.count("](card.reliability.png)") == 1
    assert text.index("### Test clips") < text.index("card.reliability.png") < text.index("### Validation clips")


@pytest.mark.parametrize("text", ["# No markers\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n{BEGIN}\n"])
def test_a_card_without_markers_is_left_alone(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = tmp_path / "card.md"
    card.write_text(text)
    assert main(["lightcnn", "--write", str(card)]) == 1
    assert "once each and in this order" in capsys.readouterr().err
    assert card.read_text() == text


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        ("nonsense",): "no model nonsense",
        ("lightcnn", "--write", str(tmp_path / "none.md")): "none.md; write one by hand",
        ("lightcnn", "--test", str(tmp_path / "nowhere")): "kws-eval: ",
    }
    for arguments, message in cases.items():
        assert main(arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("export.card: ")
        assert message in line
    for wrong in ([], ["lightcnn", "--zoo"]):
        with pytest.raises(SystemExit) as caught:
            main(wrong)
        assert caught.value.code == 2


def test_folders_are_shown_as_others_find_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KWS_DATA", str(tmp_path))
    assert shown(tmp_path / "speech_commands" / "val") == "$KWS_DATA/speech_commands/val"
    monkeypatch.delenv("KWS_DATA")
    assert shown(tmp_path / "speech_commands" / "val") == "speech_commands/val"


def test_nested_facts_have_dotted_names() -> None:
    facts = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None}
    assert list(flatten(facts)) == [("a.b", "1"), ("a.c.d", "1, 2"), ("e", "None")]


@pytest.mark.parametrize("name", zoo.names())
def test_every_shipped_model_has_a_card_of_this_very_file(name: str) -> None:
    """When this fails: python -m export.card NAME --test DIR --val DIR --write docs/models/NAME.md."""
    digest = hashlib.sha256(zoo.find(name).read_bytes()).hexdigest()
    card = (CARDS / f"{name}.md").read_text()
    assert f"| SHA-256 | `{digest}` |" in card
    assert f"]({name}.reliability.png)" in card
    assert (CARDS / f"{name}.reliability.png").is_file()


def test_the_list_of_the_zoo_is_up_to_date(tmp_path: Path) -> None:
    """When this fails: python -m export.card --zoo."""
    text = ZOO.read_text()
    assert f"{BEGIN}\n\n{describe_zoo()}\n\n{END}" in text
    copy = tmp_path / "README.md"
    copy.write_text(text.replace(describe_zoo(), "old"))
    assert main(["--zoo", "--write", str(copy)]) == 0
    assert copy.read_text() == text
