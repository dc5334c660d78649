from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.ablate import count_alarms
from models.alarms import find_alarms, smooth_posteriors
from models.recordings import read_mono
from tests.certain import certain_task, write_sentences


def test_alarms_are_counted_once_each(tmp_path: Path) -> None:
    alarms, hours = count_alarms(certain_task(), write_sentences(tmp_path))
    assert alarms == 2
    assert hours == pytest.approx(8.5 / 3600)


def test_an_alarm_is_where_its_window_lies(tmp_path: Path) -> None:
    sentence, _ = write_sentences(tmp_path)
    alarms = list(find_alarms(certain_task(), read_mono(sentence), 0.9))
    assert [alarm.keyword for alarm in alarms] == ["yes", "yes"]
    for alarm, second in zip(alarms, (2, 5), strict=True):
        assert second * 16_000 < alarm.start + 15_920 < (second + 1.5) * 16_000  # the window ends in the loud second
        assert alarm.posterior > 0.99


def test_what_is_shorter_than_the_context_has_no_answer() -> None:
    assert smooth_posteriors(certain_task(), np.zeros(8000, np.int16)).shape == (0, 10)
    assert smooth_posteriors(certain_task(), np.zeros(16_000, np.int16)).shape == (1, 10)
