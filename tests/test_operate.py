from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from export.operate import main
from kws_stream import FileSource, KeywordModel, zoo
from kws_stream.operation import shifted
from kws_stream.trace import Replay, record
from kws_stream.truth import Utterance, to_line
from tests.conftest import EXAMPLE


def write_stream(folder: Path, name: str, split: str = "val") -> Path:
    """The bundled recording, in which every other event is taken for a word."""
    model = KeywordModel.load("compact-tiny")
    events = Replay(record(model, FileSource(EXAMPLE)), model.metadata.decoder).events(model.metadata.decoder)
    words = [Utterance(event.keyword, event.time - 0.6, event.time - 0.1) for event in events[::2]]
    lines = [to_line({"split": split, "seed": 1}), *map(to_line, words)]
    (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return Path(shutil.copy(EXAMPLE, folder / f"{name}{EXAMPLE.suffix}"))


@pytest.mark.parametrize("rule", ["each", "alike"])
def test_the_file_has_the_thresholds_and_what_they_came_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    streams = [str(write_stream(tmp_path, name)) for name in ("one", "two")]
    output = tmp_path / "operated.onnx"
    target = ["--target-fa", "200", "--rule", rule]
    assert main(["compact-tiny", "-o", str(output), "--streams", *streams, *target]) == 0
    page = capsys.readouterr().out
    before, after = KeywordModel.load("compact-tiny"), KeywordModel.load(output)
    facts = after.metadata.accuracy["operating_point"]
    assert facts["rule"] == rule
    assert facts["streams"] == [{"split": "val", "seed": 1}] * 2
    assert facts["chosen_on"]["fa_per_hour"] <= 200
    assert facts["chosen_on"] == facts["held_out"], "both streams are the same"
    assert f"{facts['chosen_on']['frr']:.1%} (" in page
    for word in after.metadata.keywords:
        assert f"| {word} | {after.metadata.decoder.of(word).threshold:.4f} |" in page
    assert after.fingerprint == before.fingerprint, "the network is the same"
    assert after.metadata.accuracy["validation"] == before.metadata.accuracy["validation"]
    if rule == "alike":
        assert not after.metadata.decoder.keywords
        assert after.metadata.decoder.default.threshold != before.metadata.decoder.default.threshold
        assert after.metadata.decoder != shifted(before.metadata.decoder, 0.0)


def test_the_decoder_is_changed_and_the_thresholds_are_kept(tmp_path: Path) -> None:
    output = tmp_path / "operated.onnx"
    command = ["compact-tiny", "-o", str(output), "--streams", str(write_stream(tmp_path, "one"))]
    assert main([*command, "--rule", "kept", "--alone", "3"]) == 0
    before, after = KeywordModel.load("compact-tiny").metadata.decoder, KeywordModel.load(output).metadata.decoder
    assert after == replace(before, alone=3.0)
    assert KeywordModel.load(output).metadata.accuracy["operating_point"]["target_fa_per_hour"] is None


def test_test_clips_choose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream = write_stream(tmp_path, "one", split="test")
    output = tmp_path / "operated.onnx"
    assert main(["compact-tiny", "-o", str(output), "--streams", str(stream)]) == 1
    assert "chosen on streams of train or val, and this one is of test" in capsys.readouterr().err
    assert not output.exists()


def test_a_stream_without_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream = shutil.copy(EXAMPLE, tmp_path / "lonely.flac")
    assert main(["compact-tiny", "-o", str(tmp_path / "out.onnx"), "--streams", str(stream)]) == 1
    assert "lonely.jsonl: cannot be read" in capsys.readouterr().err


def test_no_alarms_at_all_is_no_target(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["compact-tiny", "-o", "out.onnx", "--streams", "a.flac", "--target-fa", "0"])
    assert "--target-fa 0: expected more than 0" in capsys.readouterr().err


def test_a_weight_below_0_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact-tiny", "-o", "out.onnx", "--streams", "a.flac", "--alone", "-1"]) == 1
    assert "--alone: expected 0 (off) or more, got -1" in capsys.readouterr().err


def test_the_zoo_is_left_alone(tmp_path: Path) -> None:
    before = zoo.find("compact-tiny").read_bytes()
    stream = write_stream(tmp_path, "one")
    command = ["compact-tiny", "-o", str(tmp_path / "out.onnx"), "--streams", str(stream), "--target-fa", "200"]
    assert main(command) == 0
    assert zoo.find("compact-tiny").read_bytes() == before
    assert "held_out" not in KeywordModel.load(tmp_path / "out.onnx").metadata.accuracy["operating_point"]
