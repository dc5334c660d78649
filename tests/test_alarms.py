from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from kws_stream.config import FrontendConfig
from models.ablate import count_alarms
from models.alarms import find_alarms, smooth_posteriors
from models.task import KeywordTask


class Certain(torch.nn.Module):
    """Hears "yes" whenever the end of its window is loud."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        loud = features[:, 0, -10:].mean((1, 2)) > 0
        logits = torch.zeros(len(features), 12)
        logits[:, 0] = torch.where(loud, 20.0, -20.0)
        return logits


@pytest.fixture
def certain() -> KeywordTask:
    task = KeywordTask("compact-tiny", {"mean": -8.0})
    assert task.config == FrontendConfig(mean=-8.0)
    task.network = Certain()
    return task


@pytest.fixture
def sentence(tmp_path: Path) -> Path:
    """8 seconds of quiet; loud from 2 to 3 and from 5 to 6."""
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1e-4, 8 * 16_000)
    for second in (2, 5):
        samples[second * 16_000 : (second + 1) * 16_000] += rng.normal(0, 0.1, 16_000)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    soundfile.write(tmp_path / "short.wav", samples[:8000], 16_000)
    return tmp_path / "a.wav"


def test_alarms_are_counted_once_each(certain: KeywordTask, sentence: Path) -> None:
    alarms, hours = count_alarms(certain, [sentence, sentence.with_name("short.wav")])
    assert alarms == 2
    assert hours == pytest.approx(8.5 / 3600)


def test_an_alarm_is_where_its_window_lies(certain: KeywordTask, sentence: Path) -> None:
    alarms = list(find_alarms(certain, sentence, 0.9))
    assert [alarm.keyword for alarm in alarms] == ["yes", "yes"]
    for alarm, second in zip(alarms, (2, 5), strict=True):
        assert second * 16_000 < alarm.start + 15_920 < (second + 1.5) * 16_000  # the window ends in the loud second
        assert alarm.posterior > 0.99


def test_what_is_shorter_than_the_context_has_no_answer(certain: KeywordTask) -> None:
    assert smooth_posteriors(certain, np.zeros(8000, np.int16)).shape == (0, 10)
    assert smooth_posteriors(certain, np.zeros(16_000, np.int16)).shape == (1, 10)
