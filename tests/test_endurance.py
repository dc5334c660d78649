"""Day and night: what a spotter holds, and what it hears, does not depend on how long it has listened."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from export.streaming import RENEWAL_STRIDES
from kws_stream import KeywordModel, KeywordSpotter

RATE, STRIDE = 16_000, 1280
HOUR = 3600 * RATE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compact", "gru-stream"])
def test_a_day_leaves_nothing_behind(name: str, example: NDArray[np.int16]) -> None:
    """Speech and pauses, so that the gate opens and closes all day: 24 hours, faster than real time."""
    model, rng = KeywordModel.load(name), np.random.default_rng(0)
    pause = rng.normal(0, 30, 3 * RATE).astype(np.int16)
    loop = np.concatenate((example, pause))
    # So that strides of all rounds fall on the same samples, and what is renewed is renewed there.
    again = RENEWAL_STRIDES * STRIDE
    loop = loop[: len(loop) // again * again]
    rounds, first = 24 * HOUR // len(loop), HOUR // len(loop)
    spotter, held, events = KeywordSpotter(model), 0, 0
    for done in range(rounds):
        if done == first:
            gc.collect()
            held = sys.getallocatedblocks()
        events += len(spotter.push(loop))
    gc.collect()
    assert sys.getallocatedblocks() - held < 500  # of Python's objects, a fraction of what one push makes and drops
    assert events >= rounds  # it heard words until the end
    assert spotter.seconds == rounds * len(loop) / RATE

    fresh = KeywordSpotter(model)
    minute = 60 * RATE // len(loop) + 1
    for _ in range(20 * minute):
        fresh.push(loop)  # webrtcvad takes a quarter of an hour until its picture of the noise is settled
    for _ in range(minute):
        begun, reborn = spotter.seconds, fresh.seconds
        late, early = spotter.push(loop), fresh.push(loop)
        np.testing.assert_allclose(spotter.posteriors, fresh.posteriors, atol=1e-5)
        assert [event.keyword for event in late] == [event.keyword for event in early]
        np.testing.assert_allclose([e.time - begun for e in late], [e.time - reborn for e in early], atol=1e-6)
        np.testing.assert_allclose([e.score for e in late], [e.score for e in early], atol=1e-5)
