from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kws_stream import KeywordEvent
from kws_stream.truth import Utterance
from models.operating_point import Score, main, score, stitch

WORDS = [Utterance("yes", 1.0, 1.5), Utterance("no", 3.0, 3.4)]


def test_each_event_is_judged_once() -> None:
    events = [("yes", 1.6), ("yes", 1.9), ("no", 1.9), ("no", 2.6), ("yes", 4.0), ("no", 0.9)]
    judged = score([KeywordEvent(keyword, 1.0, time) for keyword, time in events], WORDS)
    assert judged == Score(words=2, hits=1, confusions=2, outside=2, duplicates=1)
    assert score([], WORDS) == Score(words=2)


def test_recordings_have_ten_keywords_by_ten_speakers_and_are_the_same_every_time(data: Path) -> None:
    recordings = list(stitch(data / "speech_commands", data / "noise" / "val", "val", 2))
    again = list(stitch(data / "speech_commands", data / "noise" / "val", "val", 2))
    for (samples, words), (same, _) in zip(recordings, again, strict=True):
        assert len({word.keyword for word in words}) == 10
        np.testing.assert_array_equal(samples, same)
    assert [w.keyword for w in recordings[0][1]] != [w.keyword for w in recordings[1][1]]


def test_the_test_split_is_not_offered(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--model", "lightcnn", "--data", ".", "--noise", ".", "--split", "test"])
    assert "invalid choice: 'test'" in capsys.readouterr().err
