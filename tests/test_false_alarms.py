"""False alarms sorted by what was said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.false_alarms import LIKE, SAME, UNLIKE, explain, find, main, said_before
from kws_stream.truth import Sound, Truth, to_line

pytestmark = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")

SENTENCE = Sound("speech", "a.opus", 10.0, 15.0)
SAID = "one two three four five six seven now nine ten"


@pytest.mark.parametrize(
    ("keyword", "said", "apart", "words"),
    [
        ("no", "we know it", 0, "know"),
        ("no", "and now he", 0.25, "now"),
        ("stop", "there it stopped for", 0, "stopped"),
        ("on", "gone", 0, "gone"),
        ("on", "the one", 0.25, "one"),
        ("yes", "not yet", 1 / 3, "yet"),
        ("go", "", 1, ""),
    ],
)
def test_a_keyword_is_found_where_it_is_nearest(keyword: str, said: str, apart: int, words: str) -> None:
    found = find(keyword, said.split())
    assert (found.apart, found.words) == (pytest.approx(apart), words)


def test_a_keyword_may_lie_across_words() -> None:
    assert find("stop", ["this", "top", "shelf"]) == (0, "this top")


def test_what_was_said_around_an_alarm() -> None:
    transcripts = {"a.opus": SAID}
    assert said_before(SENTENCE, 14.0, transcripts) == ["five", "six", "seven", "now", "nine", "ten"]
    assert said_before(SENTENCE, 10.4, transcripts) == ["one", "two"]
    assert said_before(Sound("word", "four/x_nohash_0.flac", 0, 1), 1.0, {}) == ["four"]
    assert said_before(Sound("word", "_unknown_/bird_x_nohash_0.flac", 0, 1), 1.0, {}) == ["bird"]
    assert said_before(Sound("speech", "b.opus", 0, 1), 1.0, transcripts) == []


def test_every_cause() -> None:
    truth = Truth(
        (),
        (
            Sound("noise", "rain.opus", 0, 100),
            SENTENCE,
            Sound("word", "four/x_nohash_0.flac", 30, 30.5),
            Sound("speech", "c.opus", 50, 52),
            Sound("speech", "unknown.opus", 60, 62),
        ),
    )
    alarms = [
        {"keyword": "no", "score": 0.91, "time": 14.0},
        {"keyword": "yes", "score": 0.95, "time": 31.0},
        {"keyword": "yes", "score": 0.92, "time": 80.0},
        {"keyword": "no", "score": 0.96, "time": 51.5},
        {"keyword": "stop", "score": 0.93, "time": 51.5},
        {"keyword": "stop", "score": 0.90, "time": 61.5},
        {"keyword": "stop", "score": 0.89, "time": 200.0},
    ]
    found = explain(alarms, truth, {"a.opus": SAID, "c.opus": "I know"})
    assert [(alarm.score, alarm.cause, alarm.words, alarm.source) for alarm in found] == [
        (0.96, SAME, "know", "c.opus"),
        (0.95, UNLIKE["word"], "four", "four/x_nohash_0.flac"),
        (0.93, UNLIKE["speech"], "i know", "c.opus"),
        (0.92, UNLIKE["noise"], "", "rain.opus"),
        (0.91, LIKE, "now", "a.opus"),
        (0.90, UNLIKE["speech"], "", "unknown.opus"),
        (0.89, "nothing known", "", ""),
    ]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation, truth, transcripts = (tmp_path / name for name in ("a.json", "a.jsonl", "t.csv"))
    evaluation.write_text(json.dumps({"false_alarms": [{"keyword": "no", "score": 0.91, "time": 14.0}]}))
    truth.write_text(to_line(SENTENCE) + "\n")
    transcripts.write_text(f"path,transcript\nspeech/a.opus,{SAID.upper()}\n")
    arguments = [str(evaluation), str(truth), "--transcripts", str(transcripts)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "| sounds like it | 1 |" in printed
    assert "| no | 0.91 | 14.0 | sounds like it | now | a.opus |" in printed
    evaluation.write_text("{}")
    assert main(arguments) == 1
    assert "a.json: expected what kws-eval stream --json printed" in capsys.readouterr().err
    transcripts.write_text("path,said\na.opus,yes\n")
    evaluation.write_text('{"false_alarms": []}')
    assert main(arguments) == 1
    assert "t.csv: expected a CSV with the columns path and transcript" in capsys.readouterr().err
