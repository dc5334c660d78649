from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from kws_stream import DecoderConfig, FileSource, KeywordModel, KeywordSpotter, KeywordThreshold, KwsError
from kws_stream.operation import SHIFTS, Point, measure, moved, pick, shifted, sweep
from kws_stream.trace import Replay, record
from kws_stream.truth import Utterance
from tests.conftest import EXAMPLE


def test_thresholds_move_in_log_odds_and_releases_with_them() -> None:
    values = moved(KeywordThreshold(0.8, 0.4, 300), 1.5)
    assert logit(values.threshold) == pytest.approx(logit(0.8) + 1.5)
    assert values.release / values.threshold == pytest.approx(0.5)
    assert values.refractory_ms == 300
    assert moved(KeywordThreshold(1.0, 0.3), 10).threshold <= 1
    assert moved(values, -1.5).threshold == pytest.approx(0.8)


def test_all_keywords_are_moved_alike() -> None:
    config = DecoderConfig(240, KeywordThreshold(0.6), (("no", KeywordThreshold(0.9)),))
    alike = shifted(config, 1.0)
    assert [logit(alike.of(w).threshold) - logit(config.of(w).threshold) for w in ("yes", "no")] == pytest.approx(
        [1, 1]
    )
    assert alike.smoothing_ms == 240
    assert shifted(config, 0) == config


def point(shift: float, hits: int, alarms: int, confusions: int = 0) -> Point:
    return Point(shift, 10, hits, alarms, confusions, 0, hours=2.0)


def test_the_point_with_the_fewest_misses_within_the_aim() -> None:
    points = [point(0, 9, 5), point(1, 8, 2), point(2, 8, 2), point(3, 7, 0)]
    assert [pick(points, aim).shift for aim in (3, 1, 0.5)] == [0, 2, 3]
    with pytest.raises(KwsError, match=r"no threshold keeps this model at 0.1 false alarms an hour"):
        pick(points[:3], 0.1)


def test_figures_have_intervals() -> None:
    figures = point(0, 8, 3).to_json()
    assert (figures["frr"], figures["fa_per_hour"]) == (0.2, 1.5)
    assert figures["fa_interval"] == pytest.approx([0.309, 4.384], abs=1e-3)  # 0.6187 and 8.7673 for three (Garwood)
    assert figures["frr_interval"][0] < 0.2 < figures["frr_interval"][1]


def test_a_sweep_is_one_spotter_a_threshold(model: KeywordModel) -> None:
    words = [Utterance("yes", 0.5, 1.2)]
    trace, config = record(model, FileSource(EXAMPLE)), model.metadata.decoder
    samples = np.concatenate([block.samples for block in FileSource(EXAMPLE).blocks(16_000)])
    for found in sweep(Replay(trace, config), config, words, (-3.0, 0.0, 2.0)):
        events = KeywordSpotter(model, decoder=shifted(config, found.shift)).push(samples)
        assert found == measure(events, words, len(samples) / 16_000, found.shift)


@given(threshold=st.floats(0.01, 1), shift=st.sampled_from(SHIFTS))
def test_a_release_at_its_threshold_stays_there(threshold: float, shift: float) -> None:
    """Rounding must not lift it above, which is refused."""
    values = moved(KeywordThreshold(threshold, threshold), shift)
    assert values.release == values.threshold
