"""What the default model promises, on recordings that nothing was trained on or tuned to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from kws_stream import KeywordEvent, spot, zoo
from kws_stream.truth import Utterance
from models.labels import KEYWORDS
from models.operating_point import Score, score, stitch
from tests.conftest import EXAMPLE


def listen(path: Path) -> list[KeywordEvent]:
    command = [sys.executable, "-m", "kws_stream.cli.listen", "--json", str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [KeywordEvent(row["keyword"], row["score"], row["time"]) for row in map(json.loads, output.splitlines())]


def test_keywords_of_strangers_in_noise_are_spotted(data: Path, tmp_path: Path) -> None:
    total = Score()
    for samples, words in stitch(data / "speech_commands", data / "noise" / "test", "test", count=3):
        soundfile.write(tmp_path / "stitched.wav", samples, 16_000)
        total += score(listen(tmp_path / "stitched.wav"), words)
    print(total)
    assert total.words == 30
    assert total.hits >= 24, total
    assert total.outside <= 1, total


@pytest.mark.parametrize("model", [zoo.DEFAULT, "gru-stream", "gru-stream-large"])
def test_the_bundled_recording_is_heard_completely(model: str) -> None:
    rows = [row.split(",") for row in EXAMPLE.with_suffix(".csv").read_text().splitlines()[1:]]
    words = [Utterance(word, float(start), float(end)) for word, start, end, _ in rows]
    assert sorted(word.keyword for word in words if word.keyword in KEYWORDS) == sorted(KEYWORDS)
    assert score(list(spot(EXAMPLE, model)), words) == Score(words=22, hits=10)


def test_accuracy_on_the_test_clips(data: Path) -> None:
    folder = data / "speech_commands" / "test"
    command = [sys.executable, "-m", "kws_stream.cli.evaluate", "clips", str(folder), "--json"]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert result["clips"] == 2528
    assert result["accuracy"] >= 0.93
