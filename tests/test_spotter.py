from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kws_stream import AudioError, DecoderConfig, GateConfig, KeywordModel, KeywordSpotter, KeywordThreshold

RATE = 16_000


def test_int16_and_float_give_the_same_events(model: KeywordModel, example: NDArray[np.int16]) -> None:
    integers = KeywordSpotter(model).push(example)
    assert integers
    assert KeywordSpotter(model).push(example.astype(np.float32) / 32768) == integers


def test_reset_is_as_good_as_new(model: KeywordModel, example: NDArray[np.int16]) -> None:
    spotter = KeywordSpotter(model)
    first = spotter.push(example)
    spotter.reset()
    assert spotter.seconds == 0
    assert spotter.push(example) == first


def test_no_inference_before_the_context_is_full(model: KeywordModel, example: NDArray[np.int16]) -> None:
    spotter = KeywordSpotter(model, gate=GateConfig(mode=None))
    context = model.metadata.frontend.samples(model.metadata.context_frames)
    spotter.push(example[: context - 1])
    assert spotter.inferences == 0
    spotter.push(example[context - 1 : context])
    assert spotter.inferences == 1
    spotter.push(example[context : context + 10 * 1280])
    assert spotter.inferences == 11


def test_the_gate_saves_inferences_and_no_event(model: KeywordModel, example: NDArray[np.int16]) -> None:
    silence = np.zeros(20 * RATE, np.int16)
    recording = np.concatenate([silence, example, silence])
    always = KeywordSpotter(model, gate=GateConfig(mode=None))
    gated = KeywordSpotter(model)
    events, kept = always.push(recording), gated.push(recording)
    assert [event.keyword for event in kept] == [event.keyword for event in events]
    # An event after an opening may wait for the detector, never longer than the look-back.
    for event, reference in zip(kept, events, strict=True):
        assert abs(event.time - reference.time) <= 0.3
    assert gated.inferences < always.inferences - 2 * 18 * RATE // 1280


def test_silence_costs_no_inference(model: KeywordModel) -> None:
    spotter = KeywordSpotter(model)
    assert spotter.push(np.zeros(60 * RATE, np.int16)) == []
    assert spotter.inferences == 0
    assert spotter.seconds == 60


def test_memory_does_not_grow_with_the_stream(model: KeywordModel, example: NDArray[np.int16]) -> None:
    spotter = KeywordSpotter(model)
    spotter.push(np.zeros(60 * RATE, np.int16))
    spotter.push(np.concatenate([example] * 4))
    # A context, a second of newly pushed frames, and what a look-back may still ask for.
    past = spotter._hearing._past
    assert past.kept <= model.metadata.context_frames + 100 + 40
    assert len(past._features._buffer) <= 1000
    assert len(past._samples._buffer) <= 1000 * 160
    assert len(spotter._spans) <= 100


def test_a_loss_advances_the_clock_and_empties_the_context(model: KeywordModel, example: NDArray[np.int16]) -> None:
    fresh = KeywordSpotter(model).push(example)
    spotter = KeywordSpotter(model)
    spotter.push(example[: 3 * RATE])
    spotter.skip(5 * RATE)
    assert spotter.seconds == 8
    after = spotter.push(example)
    assert [(event.keyword, event.score) for event in after] == [(event.keyword, event.score) for event in fresh]
    assert [event.time - 8 for event in after] == pytest.approx([event.time for event in fresh])


def test_a_word_said_twice_fires_twice(model: KeywordModel, example: NDArray[np.int16]) -> None:
    (first, *_) = KeywordSpotter(model).push(example)
    end = round(first.time * RATE)
    word = example[max(0, end - 20_000) : end + 4000]
    events = KeywordSpotter(model).push(np.concatenate([word, word, np.zeros(RATE, np.int16)]))
    assert [event.keyword for event in events].count(first.keyword) == 2


def test_a_block_that_is_no_audio_loses_nothing(model: KeywordModel, example: NDArray[np.int16]) -> None:
    reference = KeywordSpotter(model).push(example)
    spotter = KeywordSpotter(model)
    events = spotter.push(example[: 5 * RATE])
    with pytest.raises(AudioError, match="NaN"):
        spotter.push(np.array([0.0, np.nan], np.float32))
    assert events + spotter.push(example[5 * RATE :]) == reference


def test_thresholds_replace_the_models(model: KeywordModel, example: NDArray[np.int16]) -> None:
    strict = KeywordSpotter(model, decoder=DecoderConfig(default=KeywordThreshold(1.0)))
    assert strict.push(example) == []
