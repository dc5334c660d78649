"""Feature frames of a stream, computed when somebody asks for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kws_stream.config import FrontendConfig
from kws_stream.frontend import log_mel, to_float
from kws_stream.history import FeatureHistory, Newest

CONFIG = FrontendConfig(mean=-4, std=3)


def test_rows_that_were_given_stay_what_they_were() -> None:
    newest = Newest(2)
    newest.push(np.arange(6, dtype=np.float32).reshape(3, 2))
    given_before = newest.cut(1, 3)
    newest.drop(2)
    for _ in range(20):
        newest.push(np.full((3, 2), 9, np.float32))
        newest.drop(newest.stop - 4)
    assert given_before.tolist() == [[2, 3], [4, 5]]
    assert (newest.start, newest.stop) == (59, 63)
    assert len(newest._buffer) <= 14
    newest.drop(1000)
    assert newest.start == newest.stop == 1000, "what will be pushed next"
    newest.push(given_before)
    assert newest.cut(1000, 1002).tolist() == [[2, 3], [4, 5]]


steps = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=20)


@given(steps=steps)
@settings(max_examples=50, deadline=None)
def test_whatever_is_asked_for_it_is_what_a_whole_signal_gives(
    steps: list[tuple[int, int, int]], keywords: NDArray[np.int16]
) -> None:
    """Pushes of any length; after each, the newest frames but some, and as many of those in front as are kept."""
    samples = to_float(keywords)
    whole, history = log_mel(samples, CONFIG), FeatureHistory(CONFIG)
    at = first = 0
    for length, left, width in steps:
        history.push(samples[at : at + length])
        at += length
        assert history.frames == CONFIG.frames(at)
        stop = max(0, history.frames - left)
        start = max(first, stop - width)
        if start < stop:
            np.testing.assert_allclose(history.cut(start, stop), whole[start:stop], atol=1e-5)
        first = max(first, start)
        history.forget(first)
        assert history.kept == history.frames - first


def test_each_frame_is_computed_once_and_only_if_it_is_asked_for(
    keywords: NDArray[np.int16], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, history, computed = to_float(keywords), FeatureHistory(CONFIG), []
    compute = history._log_mel

    def counting(piece: NDArray[np.float32]) -> NDArray[np.float32]:
        computed.append(CONFIG.frames(len(piece)))
        return compute(piece)

    monkeypatch.setattr(history, "_log_mel", counting)
    history.push(samples[:32_000])
    history.forget(100)
    assert not computed
    history.cut(140, 148)
    history.cut(140, 156)
    assert computed == [8, 8]
    history.cut(100 + 60, 190)  # four are left out
    assert computed == [8, 8, 30]
