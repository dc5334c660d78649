"""What a network is given of a stream, by way of the spotters that ask for it."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.streaming import LEAD_IN_STRIDES, RENEWAL_STRIDES
from kws_stream import GateConfig, KeywordModel, KeywordSpotter, ModelError, SpotterPool
from kws_stream.frontend import log_mel, to_float
from tests.streams import STREAMING, Chronicle, assert_same, exported
from tests.test_streaming_law import cuts, interleaved, pushed, three, three_cuts, turn

RATE = 16_000
HOP = 160
OPEN = GateConfig(mode=None)
law = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
every_network = pytest.mark.parametrize("name", STREAMING)
every_gate = pytest.mark.parametrize("mode", [2, None])


@pytest.fixture(scope="module")
def noisy(keywords: NDArray[np.int16]) -> NDArray[np.float32]:
    """Words with digital silence in between: shorter and longer than the time between two renewals."""
    words = to_float(keywords)
    pieces = [(words[: 2 * RATE], 2), (words[2 * RATE : 5 * RATE], 1.5), (words[5 * RATE : 10 * RATE], 9.2)]
    gaps = (np.concatenate([piece, np.zeros(int(gap * RATE), np.float32)]) for piece, gap in pieces)
    return np.concatenate([*gaps, words[: 3 * RATE]])


def heard(model: KeywordModel, samples: NDArray[np.float32], gate: GateConfig) -> Chronicle:
    spotter = Chronicle(model, gate=gate)
    spotter.push(samples)
    return spotter


@every_gate
def test_a_network_on_windows_answers_the_same_at_any_hop(mode: int | None, noisy: NDArray[np.float32]) -> None:
    model, gate = exported("lightcnn", streaming=False), GateConfig(mode)
    often, seldom = heard(model.stepping(40), noisy, gate).answers, heard(model.stepping(160), noisy, gate).answers
    assert len(seldom) < len(often) / 3
    assert_same({end: often[end] for end in seldom}, seldom)


def test_a_streaming_network_keeps_its_hop() -> None:
    model = exported("lightcnn")
    assert model.stepping(80).metadata == model.metadata
    with pytest.raises(ModelError, match="a streaming network that answers every 80 ms; it has no other hop"):
        model.stepping(40)


@every_network
@every_gate
@law
@given(lengths=cuts)
def test_answers_do_not_depend_on_the_cuts(
    name: str, mode: int | None, noisy: NDArray[np.float32], lengths: list[int]
) -> None:
    model, gate = exported(name), GateConfig(mode)
    whole = heard(model, noisy, gate)
    spotter = Chronicle(model, gate=gate)
    spotter.push(noisy[:70_000])
    spotter.reset()
    events = list(chain(*pushed(spotter.push, noisy, lengths)))
    assert_same(spotter.answers, whole.answers)
    assert len(whole.answers) == whole.inferences > 80
    assert [e.time for e in events] == [e.time for e in Chronicle(model, gate=gate).push(noisy)]


@every_network
def test_after_the_gate_reopens_answers_are_those_of_a_network_that_was_never_gated(
    name: str, noisy: NDArray[np.float32]
) -> None:
    model = exported(name)
    always, gated = heard(model, noisy, OPEN), heard(model, noisy, GateConfig(2))
    assert 50 < len(gated.answers) < len(always.answers) - 80
    assert gated.beginnings >= 3
    assert_same(gated.answers, {end: always.answers[end] for end in gated.answers})


@every_network
def test_each_frame_is_given_once(name: str, noisy: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch) -> None:
    """While the gate is open: but for the context with which a recurrent network is renewed."""
    model, frames = exported(name), 0
    answer = model.answer

    def counting(features: NDArray[np.float32], states: object) -> object:
        nonlocal frames
        frames += features.shape[0] * features.shape[1]
        return answer(features, states)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "answer", counting)
    spotter = heard(model, noisy, OPEN)
    lead = model.metadata.lead_frames
    expected = lead + model.metadata.context_frames + 8 * (spotter.inferences - 1)
    renewals = spotter.beginnings - 1
    # In place of a stride, a whole context and its lead-in.
    assert frames == expected + renewals * (model.metadata.context_frames + 8 * LEAD_IN_STRIDES - 8)
    assert renewals == (spotter.inferences - 1) // RENEWAL_STRIDES * (name == "gru-stream")


def test_a_renewed_network_knows_a_lead_in_and_the_last_context_alone(noisy: NDArray[np.float32]) -> None:
    """And the first answer of a stream is that of its first context. A trained network: an untrained one remembers
    little."""
    model = KeywordModel.load("gru-stream")
    features = log_mel(noisy, model.metadata.frontend)
    context = model.metadata.context_frames
    answers = heard(model, noisy, OPEN).answers

    def alone(stop: int) -> NDArray[np.float32]:
        start = max(0, stop - context - 8 * LEAD_IN_STRIDES)
        posteriors, _ = model.answer(features[None, start:stop], [model.initial])
        return posteriors[0, -1]

    for stop in (context, context + 8 * RENEWAL_STRIDES, context + 16 * RENEWAL_STRIDES):
        np.testing.assert_allclose(answers[(stop - 1) * HOP + 400], alone(stop), atol=1e-5)
    # In front of the next one, it remembers more.
    last = context + 8 * (2 * RENEWAL_STRIDES - 1)
    assert np.abs(np.log(answers[(last - 1) * HOP + 400]) - np.log(alone(last))).max() > 1e-2


@every_gate
def test_a_light_cnn_that_streams_gives_what_its_windows_give(mode: int | None, noisy: NDArray[np.float32]) -> None:
    """Exact reuse: the same posteriors at every position, at a fraction of the work."""
    gate = GateConfig(mode)
    windows = heard(exported("lightcnn", streaming=False), noisy, gate)
    stream = heard(exported("lightcnn"), noisy, gate)
    assert_same(stream.answers, windows.answers)
    assert np.std(list(windows.answers.values()), axis=0).max() > 1e-2


@every_network
@every_gate
@law
@given(lengths=three_cuts, turns=st.lists(turn, max_size=8))
def test_streams_in_a_pool_give_what_they_give_alone(
    name: str, mode: int | None, noisy: NDArray[np.float32], lengths: list[list[int]], turns: list[set[int]]
) -> None:
    model, gate, signals = exported(name), GateConfig(mode), three(noisy)
    pool = SpotterPool(model, gate=gate)
    alone = [Chronicle(model, gate=gate) for _ in signals]
    for stream in range(3):
        pool.add(stream)
    for together in interleaved(signals, lengths, turns):
        for stream in pool.push(together):
            alone[stream].push(together[stream])
            np.testing.assert_allclose(pool[stream].posteriors, alone[stream].posteriors, atol=1e-5)
            assert pool[stream].inferences == alone[stream].inferences
    assert pool.calls < pool.inferences == sum(spotter.inferences for spotter in alone)


@every_network
def test_while_the_gate_is_closed_no_feature_is_computed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spotter = KeywordSpotter(exported(name))
    past, computed = spotter._hearing._past, []
    compute = past._log_mel
    monkeypatch.setattr(past, "_log_mel", lambda samples: computed.append(len(samples)) or compute(samples))
    for _ in range(10):
        spotter.push(np.zeros(RATE, np.int16))
    assert not computed
    assert spotter.inferences == 0


@every_network
def test_a_loss_begins_anew(name: str, noisy: NDArray[np.float32]) -> None:
    model = exported(name)
    spotter = Chronicle(model, gate=OPEN)
    spotter.push(noisy[: 3 * RATE])
    spotter.skip(5 * RATE)
    spotter.push(noisy)
    fresh = heard(model, noisy, OPEN)
    assert_same({end - 8 * RATE: row for end, row in spotter.answers.items()}, fresh.answers)


@every_network
def test_memory_does_not_grow(name: str, noisy: NDArray[np.float32]) -> None:
    model = exported(name)
    spotter = Chronicle(model)
    renewal = 8 * RENEWAL_STRIDES if name == "gru-stream" else 0
    for _ in range(5):
        spotter.push(noisy)
        past, most = spotter._hearing._past, model.metadata.context_frames + renewal + 140  # frames
        assert past.kept <= most
        assert len(past._features._buffer) <= 3 * most
        assert len(past._samples._buffer) <= 3 * most * HOP
