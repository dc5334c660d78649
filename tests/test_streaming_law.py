"""concat(push(b) for b in blocks) == f(concat(blocks)), for every way of cutting the blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, cycle
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kws_stream import DecoderConfig, FrontendConfig, GateConfig, KeywordModel, KeywordSpotter, KeywordThreshold
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
)
def test_decoder(lengths: list[int], seed: int, smoothing: float) -> None:
    rng = np.random.default_rng(seed)
    labels = ("yes", "no", "silence", "unknown")
    logits = np.repeat(rng.normal(0, 4, (40, 4)), 5, axis=0)  # words that stay for five strides
    posteriors = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    ends = np.cumsum(rng.choice([1280, 1280, 1280, 6400], len(posteriors)))  # with gaps
    config = DecoderConfig(smoothing, KeywordThreshold(0.5, 0.3, 200))
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
