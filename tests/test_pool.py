from __future__ import annotations

import weakref
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.quantize import main as quantize
from kws_stream import (
    AudioError,
    DecoderConfig,
    GateConfig,
    KeywordModel,
    KeywordSpotter,
    KeywordThreshold,
    KwsError,
    SpotterPool,
)
from kws_stream.pool import LARGEST_BATCH
from tests.corpus import write_corpus

RATE = 16_000
STRIDE = 1280
OPEN = GateConfig(mode=None)
Samples = NDArray[np.int16]


def shifted(example: Samples, count: int) -> dict[int, Samples]:
    """The recording for `count` streams, begun a little later in each."""
    return {stream: np.roll(example, -777 * stream) for stream in range(count)}


def pool_of(model: KeywordModel, count: int, gate: GateConfig | None = None) -> SpotterPool:
    pool = SpotterPool(model, gate=gate)
    for stream in range(count):
        pool.add(stream)
    return pool


def test_every_stream_gives_the_events_that_it_gives_alone(model: KeywordModel, example: Samples) -> None:
    signals = shifted(example, 5)
    pool = pool_of(model, 5)
    events = pool.push(signals)
    for stream, signal in signals.items():
        alone = KeywordSpotter(model)
        expected = alone.push(signal)
        assert [(event.keyword, event.time) for event in events[stream]] == [(e.keyword, e.time) for e in expected]
        assert [event.score for event in events[stream]] == pytest.approx([e.score for e in expected], abs=1e-5)
        assert pool[stream].inferences == alone.inferences
        np.testing.assert_allclose(pool[stream].posteriors, alone.posteriors, atol=1e-5)
    assert all(events.values())
    assert pool.inferences == sum(pool[stream].inferences for stream in pool)


def test_streams_pushed_together_make_one_call_a_step(model: KeywordModel, example: Samples) -> None:
    count = LARGEST_BATCH
    signals, pool = shifted(example, count), pool_of(model, count, OPEN)
    context = model.metadata.frontend.samples(model.metadata.context_frames)
    pool.push({stream: signal[:context] for stream, signal in signals.items()})
    assert (pool.calls, pool.inferences) == (1, count)
    for step in range(10):
        start = context + step * STRIDE
        pool.push({stream: signal[start : start + STRIDE] for stream, signal in signals.items()})
    assert (pool.calls, pool.inferences) == (11, 11 * count)


def test_a_batch_has_a_largest_size(model: KeywordModel, example: Samples) -> None:
    context = model.metadata.frontend.samples(model.metadata.context_frames)
    crowd = pool_of(model, 100, OPEN)
    crowd.push({stream: example[:context] for stream in crowd})
    assert (crowd.calls, crowd.inferences) == (ceil(100 / LARGEST_BATCH), 100)
    long = pool_of(model, 1, OPEN)
    long.push({0: example})
    assert long.calls == ceil(long.inferences / LARGEST_BATCH)


def test_silence_makes_no_call(model: KeywordModel) -> None:
    pool = pool_of(model, 3)
    assert pool.push({stream: np.zeros(5 * RATE, np.int16) for stream in pool}) == {0: [], 1: [], 2: []}
    assert (pool.calls, pool.inferences) == (0, 0)
    assert [pool[stream].seconds for stream in pool] == [5, 5, 5]


def test_what_is_not_pushed_does_not_move(model: KeywordModel, example: Samples) -> None:
    pool = pool_of(model, 2)
    assert pool.push({}) == {}
    assert pool.push({1: example[:0]}) == {1: []}
    assert list(pool.push({1: example})) == [1]
    assert (pool[0].seconds, pool[1].seconds) == (0, len(example) / RATE)


def test_reset_and_skip_of_one_stream_leave_the_others_alone(model: KeywordModel, example: Samples) -> None:
    pool, whole = pool_of(model, 3), pool_of(model, 3).push(dict.fromkeys(range(3), example))
    begun = pool.push(dict.fromkeys(range(3), example[: 3 * RATE]))
    pool[0].reset()
    pool[1].skip(5 * RATE)
    events = pool.push({0: example, 1: example, 2: example[3 * RATE :]})
    assert [e.keyword for e in events[0]] == [e.keyword for e in whole[0]]
    assert [e.time for e in events[0]] == [e.time for e in whole[0]]
    assert [e.time - 8 for e in events[1]] == pytest.approx([e.time for e in whole[1]])
    assert [(e.keyword, e.time) for e in begun[2] + events[2]] == [(e.keyword, e.time) for e in whole[2]]


def test_reset_is_as_good_as_new(model: KeywordModel, example: Samples) -> None:
    pool, signals = pool_of(model, 3), shifted(example, 3)
    first = pool.push(signals)
    pool.reset()
    assert [pool[stream].seconds for stream in pool] == [0, 0, 0]
    assert pool.push(signals) == first


def test_streams_come_and_go(model: KeywordModel, example: Samples) -> None:
    expected = [(event.keyword, event.time) for event in KeywordSpotter(model).push(example)]
    pool = SpotterPool(model)
    pool.add("early")
    events = pool.push({"early": example[:50_000]})["early"]
    assert pool.add("late") is pool["late"]
    both = pool.push({"late": example[:50_000], "early": example[50_000:]})
    assert [(event.keyword, event.time) for event in events + both["early"]] == expected
    gone = weakref.ref(pool["early"])
    pool.remove("early")
    assert gone() is None
    assert (list(pool), len(pool), "early" in pool) == (["late"], 1, False)
    events = both["late"] + pool.push({"late": example[50_000:]})["late"]
    assert [(event.keyword, event.time) for event in events] == expected
    pool.add("early")
    assert pool["early"].seconds == 0


def test_a_name_that_is_taken_or_unknown_is_one_line(model: KeywordModel, example: Samples) -> None:
    pool = pool_of(model, 1)
    with pytest.raises(KwsError, match="stream 0 is in the pool already; reset it, or remove it first"):
        pool.add(0)
    for use in (pool.__getitem__, pool.remove):
        with pytest.raises(KwsError, match="no stream 'hall' in the pool; add it first"):
            use("hall")
    with pytest.raises(KwsError, match="no stream 'hall'"):
        pool.push({0: example, "hall": example})
    assert pool[0].seconds == 0


def test_a_block_that_is_no_audio_loses_nothing(model: KeywordModel, example: Samples) -> None:
    pool, reference = pool_of(model, 2), pool_of(model, 2).push(dict.fromkeys(range(2), example))
    before = pool.push(dict.fromkeys(range(2), example[: 5 * RATE]))
    rest = example[5 * RATE :]
    with pytest.raises(AudioError, match=r"stream 1: expected finite samples, got NaN"):
        pool.push({0: rest, 1: np.array([0.0, np.nan], np.float32)})
    after = pool.push(dict.fromkeys(range(2), rest))
    for stream in pool:
        events = before[stream] + after[stream]
        assert [(e.keyword, e.time) for e in events] == [(e.keyword, e.time) for e in reference[stream]]


def test_thresholds_replace_the_models(model: KeywordModel, example: Samples) -> None:
    pool = SpotterPool(model, decoder=DecoderConfig(default=KeywordThreshold(1.0)))
    pool.add("strict")
    assert pool.push({"strict": example}) == {"strict": []}


# torch's exporter warns of its own internals.
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_whose_rows_go_alone(example: Samples, tmp_path: Path) -> None:
    """Dynamic quantisation takes its ranges from the batch, so the batches of a pool must not change a posterior."""
    corpus, path = write_corpus(tmp_path / "corpus", clips=2), tmp_path / "dynamic.onnx"
    assert quantize(["lightcnn", "-o", str(path), "--data", str(corpus), "--method", "dynamic"]) == 0
    model = KeywordModel.load(path)
    signals, pool = shifted(example[: 4 * RATE], 3), pool_of(model, 3, OPEN)
    alone = {stream: KeywordSpotter(model, gate=OPEN) for stream in signals}
    for start in range(0, 4 * RATE, STRIDE):
        blocks = {stream: signal[start : start + STRIDE] for stream, signal in signals.items()}
        pool.push(blocks)
        for stream, block in blocks.items():
            alone[stream].push(block)
            np.testing.assert_allclose(pool[stream].posteriors, alone[stream].posteriors, atol=1e-5)
    assert pool.calls == pool[0].inferences == alone[0].inferences > 30
