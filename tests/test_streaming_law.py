"""concat(push(b) for b in blocks) == f(concat(blocks)), for every way of cutting the blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kws_stream import (
    DecoderConfig,
    FrontendConfig,
    GateConfig,
    KeywordEvent,
    KeywordModel,
    KeywordSpotter,
    KeywordThreshold,
    SpotterPool,
)
from kws_stream.decoder import PosteriorDecoder
from kws_stream.frontend import StreamingLogMel, log_mel, to_float
from kws_stream.gate import SpeechGate
from kws_stream.sources import Converter

RATE = 16_000
BLOCKS = (1, 79, 160, 161, 320, 1280, 16_000)
cuts = st.lists(st.sampled_from(BLOCKS) | st.integers(1, 5000), min_size=1, max_size=8)
"""Block lengths, used over and over until the recording ends."""

law = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def blocks(samples: NDArray[Any], lengths: list[int]) -> Iterator[NDArray[Any]]:
    at = 0
    # A recording of seconds in blocks of one sample is the same law a hundred thousand times: grow after a while.
    for length in chain(cycle(lengths) if sum(lengths) / len(lengths) > 300 else chain(lengths * 50, cycle([997]))):
        if at >= len(samples):
            return
        yield samples[at : at + length]
        at += length


def pushed(push: Callable[[Any], Any], samples: NDArray[Any], lengths: list[int]) -> list[Any]:
    return [push(block) for block in blocks(samples, lengths)]


@pytest.fixture(scope="module")
def noisy(keywords: NDArray[np.int16]) -> NDArray[np.float32]:
    """Words with digital silence in between, so that the gate opens and closes."""
    silence = np.zeros(2 * RATE, np.float32)
    words = to_float(keywords)[: 10 * RATE]
    return np.concatenate([silence, words[: 4 * RATE], silence, words[4 * RATE :], silence])


@pytest.mark.parametrize("kind", ["log_mel", "log_spectrogram"])
@law
@given(lengths=cuts)
def test_front_end(kind: Any, speech: NDArray[np.int16], lengths: list[int]) -> None:
    config = FrontendConfig(kind=kind, mean=-3.0, std=2.0)
    signal = to_float(speech)[: 3 * RATE]
    stream = StreamingLogMel(config)
    stream.push(signal[:777])
    stream.reset()
    frames = np.concatenate(pushed(stream.push, signal, lengths))
    np.testing.assert_allclose(frames, log_mel(signal, config), atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
@law
@given(lengths=cuts)
def test_converter(rate: int, speech: NDArray[np.int16], lengths: list[int]) -> None:
    stereo = np.stack([speech, speech // 2], axis=1)[: 2 * RATE]
    whole = Converter(rate, RATE).push(stereo, last=True)
    converter = Converter(rate, RATE)
    parts = [*pushed(converter.push, stereo, lengths), converter.push(stereo[:0], last=True)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


@law
@given(lengths=cuts, mode=st.sampled_from([0, 2, 3, None]))
def test_gate(noisy: NDArray[np.float32], lengths: list[int], mode: int | None) -> None:
    gate = SpeechGate(GateConfig(mode))
    whole = gate.push(noisy)
    gate.reset()
    assert list(chain(*pushed(gate.push, noisy, lengths))) == whole


@law
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
    smoothing=st.sampled_from([0.0, 80.0, 240.0]),
    alone=st.sampled_from([0.0, 1.5]),
)
def test_decoder(lengths: list[int], seed: int, smoothing: float, alone: float) -> None:
    rng = np.random.default_rng(seed)
    labels = ("yes", "no", "silence", "unknown")
    logits = np.repeat(rng.normal(0, 4, (40, 4)), 5, axis=0)  # words that stay for five strides
    posteriors = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    ends = np.cumsum(rng.choice([1280, 1280, 1280, 6400], len(posteriors)))  # with gaps
    config = DecoderConfig(smoothing, KeywordThreshold(0.5, 0.3, 200), alone=alone)
    decoder = PosteriorDecoder(labels, 1280, config)
    whole = decoder.push(posteriors, ends)
    decoder.reset()
    pairs = zip(blocks(posteriors, lengths), blocks(ends, lengths), strict=True)
    assert list(chain(*(decoder.push(rows, at) for rows, at in pairs))) == whole
    assert whole


@pytest.mark.parametrize("mode", [2, None])
@law
@given(lengths=cuts)
def test_spotter(model: KeywordModel, noisy: NDArray[np.float32], mode: int | None, lengths: list[int]) -> None:
    spotter = KeywordSpotter(model, gate=GateConfig(mode))
    whole = spotter.push(noisy)
    inferences = spotter.inferences
    spotter.reset()
    parts = list(chain(*pushed(spotter.push, noisy, lengths)))
    assert [(event.keyword, event.time) for event in parts] == [(event.keyword, event.time) for event in whole]
    assert [event.score for event in parts] == pytest.approx([event.score for event in whole], abs=1e-5)
    assert spotter.inferences == inferences
    assert whole


three_cuts = st.lists(cuts, min_size=3, max_size=3)
turn = st.sets(st.integers(0, 2), min_size=1)
"""Which of three streams have a block."""


def three(noisy: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [noisy[: 6 * RATE], noisy[5 * RATE : 10 * RATE], noisy[4321:]]


def interleaved(
    signals: list[NDArray[Any]], lengths: list[list[int]], turns: list[set[int]]
) -> Iterator[dict[int, NDArray[Any]]]:
    """Each signal cut in its own way; `turns`, then all, over and over until the last of them ends."""
    waiting = [deque(blocks(signal, own)) for signal, own in zip(signals, lengths, strict=True)]
    for streams in cycle([*turns, set(range(len(signals)))]):
        yield {stream: waiting[stream].popleft() for stream in streams if waiting[stream]}
        if not any(waiting):
            return


@pytest.mark.parametrize("mode", [2, None])
@law
@given(lengths=three_cuts, turns=st.lists(turn, max_size=8))
def test_pool(
    model: KeywordModel, noisy: NDArray[np.float32], mode: int | None, lengths: list[list[int]], turns: list[set[int]]
) -> None:
    signals = three(noisy)
    pool = SpotterPool(model, gate=GateConfig(mode))
    alone = [KeywordSpotter(model, gate=GateConfig(mode)) for _ in signals]
    events: list[list[KeywordEvent]] = [[] for _ in signals]
    for stream in range(3):
        pool.add(stream)
    for together in interleaved(signals, lengths, turns):
        for stream, fell in pool.push(together).items():
            events[stream] += fell
            alone[stream].push(together[stream])
            np.testing.assert_allclose(pool[stream].posteriors, alone[stream].posteriors, atol=1e-5)
    for stream, signal in enumerate(signals):
        whole = KeywordSpotter(model, gate=GateConfig(mode))
        expected = whole.push(signal)
        assert [(event.keyword, event.time) for event in events[stream]] == [(e.keyword, e.time) for e in expected]
        assert [event.score for event in events[stream]] == pytest.approx([e.score for e in expected], abs=1e-5)
        np.testing.assert_allclose(pool[stream].posteriors, whole.posteriors, atol=1e-5)
        assert pool[stream].inferences == whole.inferences
    assert any(events)


@law
@given(
    lengths=three_cuts,
    turns=st.lists(turn, max_size=8),
    changes=st.lists(st.tuples(st.sampled_from(["reset", "skip", "replace", ""]), st.integers(0, 2)), max_size=20),
)
def test_pool_whose_streams_begin_anew(
    model: KeywordModel,
    noisy: NDArray[np.float32],
    lengths: list[list[int]],
    turns: list[set[int]],
    changes: list[tuple[str, int]],
) -> None:
    """What happens to one stream between two pushes: the others do not notice, and it goes on as it would alone."""
    pool = SpotterPool(model)
    alone = [KeywordSpotter(model) for _ in range(3)]
    for stream in range(3):
        pool.add(stream)
    pushes = interleaved(three(noisy), lengths, turns)
    for together, (change, at) in zip(pushes, chain(changes, repeat(("", 0))), strict=False):
        if change == "reset":
            pool[at].reset()
            alone[at].reset()
        elif change == "skip":
            pool[at].skip(1000)
            alone[at].skip(1000)
        elif change == "replace":
            pool.remove(at)
            pool.add(at)
            alone[at] = KeywordSpotter(model)
        for stream, fell in pool.push(together).items():
            expected = alone[stream].push(together[stream])
            assert [(event.keyword, event.time) for event in fell] == [(e.keyword, e.time) for e in expected]
            np.testing.assert_allclose(pool[stream].posteriors, alone[stream].posteriors, atol=1e-5)


@pytest.mark.slow
def test_spotter_over_every_sentence_of_the_test_speech(data: Any, model: KeywordModel) -> None:
    """Forty minutes, each recording cut in its own way."""
    rng = np.random.default_rng(0)
    for path in sorted((data / "speech/test").iterdir()):
        samples, _ = soundfile.read(path, dtype="int16")
        whole = KeywordSpotter(model).push(samples)
        spotter = KeywordSpotter(model)
        parts = list(chain(*pushed(spotter.push, samples, rng.integers(1, 4000, 8).tolist())))
        assert [(e.keyword, e.time) for e in parts] == [(e.keyword, e.time) for e in whole], path
