"""What does not need a microphone; test_microphone.py has the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from kws_stream import (
    AudioError,
    DecoderConfig,
    FileSource,
    KeywordEvent,
    KeywordModel,
    KeywordThreshold,
    Listener,
    spot,
)
from kws_stream.sources import Block
from tests.conftest import EXAMPLE


def test_spot_gives_the_events_of_the_spotter(model: KeywordModel, example: NDArray[np.int16]) -> None:
    from kws_stream import KeywordSpotter

    assert list(spot(EXAMPLE, model)) == KeywordSpotter(model).push(example)
    assert list(spot(str(EXAMPLE))) == list(spot(EXAMPLE, model))


def test_a_callback_gets_every_event(model: KeywordModel) -> None:
    heard: list[KeywordEvent] = []
    with Listener(model, FileSource(EXAMPLE), heard.append) as listener:
        assert listener.wait()
    assert heard == list(spot(EXAMPLE, model))


def test_a_failing_callback_is_reported_and_listening_goes_on(
    model: KeywordModel, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    def fail_first(event: KeywordEvent) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise RuntimeError("the lamp is gone")

    with Listener(model, FileSource(EXAMPLE), fail_first) as listener:
        listener.wait()
    assert heard == list(spot(EXAMPLE, model))
    assert len(caplog.records) == 1
    assert "RuntimeError: the lamp is gone" in caplog.text


def test_asynchronous_iteration(model: KeywordModel) -> None:
    async def collect() -> list[KeywordEvent]:
        return [event async for event in Listener(model, FileSource(EXAMPLE))]

    assert asyncio.run(collect()) == list(spot(EXAMPLE, model))


def test_asynchronous_iteration_may_be_left_early(model: KeywordModel) -> None:
    async def first() -> KeywordEvent:
        events = aiter(Listener(model, FileSource(EXAMPLE)))
        try:
            return await anext(events)
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    assert asyncio.run(first()) == next(spot(EXAMPLE, model))


class Failing:
    """Delivers a second, then breaks."""

    name, overruns, lost = "broken", 0, 0

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        yield Block(np.zeros(sample_rate, np.float32))
        raise AudioError("broken: the cable is cut")

    def close(self) -> None: ...


def test_a_failing_source_reaches_whoever_waits(model: KeywordModel) -> None:
    with pytest.raises(AudioError, match="the cable is cut"), Listener(model, Failing()) as listener:
        listener.wait()

    async def collect() -> None:
        async for _ in Listener(model, Failing()):
            pytest.fail("there was no keyword")

    with pytest.raises(AudioError, match="the cable is cut"):
        asyncio.run(collect())


class Lossy:
    """The recording, with three seconds lost in front of it."""

    name, overruns, lost = "lossy", 1, 48_000

    def __init__(self, samples: NDArray[np.int16]) -> None:
        self.samples = samples

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        yield Block(self.samples[:20_000] / np.float32(32768))
        yield Block(self.samples / np.float32(32768), lost=48_000)

    def close(self) -> None: ...


def test_losses_move_the_clock(
    model: KeywordModel, example: NDArray[np.int16], caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(model, Lossy(example))
    events = list(listener.events())
    offset = (20_000 + 48_000) / 16_000
    assert [(e.keyword, pytest.approx(e.time - offset)) for e in events] == [
        (e.keyword, e.time) for e in spot(EXAMPLE, model)
    ]
    assert "48000 samples lost" in caplog.text


def test_a_listener_is_used_once(model: KeywordModel) -> None:
    with Listener(model, FileSource(EXAMPLE)) as listener:
        listener.wait()
    with pytest.raises(RuntimeError, match="used once"):
        listener.start()
    with pytest.raises(RuntimeError, match="not started"):
        Listener(model, FileSource(EXAMPLE)).wait()


def test_leaving_the_context_ends_the_listening(model: KeywordModel, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(600 * 16_000), 16_000)
    with Listener(model, FileSource(tmp_path / "long.wav")) as listener:
        pass
    assert listener.wait(0)
    assert listener.spotter.seconds < 600


def test_a_recording_shorter_than_the_context_is_an_error(model: KeywordModel, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(3), 16_000)
    with pytest.raises(AudioError, match=r"short.wav: 0.000 s is too short; the model hears 0.995 s at once"):
        list(spot(tmp_path / "short.wav", model))


def test_thresholds_reach_the_decoder(model: KeywordModel) -> None:
    decoder = DecoderConfig(default=KeywordThreshold(1.0))
    assert list(spot(EXAMPLE, model, decoder=decoder)) == []
