"""What `kws-listen --save-events` and `Listener(on_audio=...)` keep."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from kws_stream import (
    AudioPiece,
    EventRecorder,
    FileSource,
    KeywordEvent,
    KeywordModel,
    KwsError,
    Listener,
    spot,
)
from tests.conftest import EXAMPLE
from tests.test_listen import listen, rows
from tests.test_listener import Lossy

RATE = 16_000


def kept(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_the_command_keeps_the_audio_around_each_event(tmp_path: Path, example: NDArray[np.int16]) -> None:
    result = listen("--json", "--save-events", tmp_path, "--pre-roll", "1.5", "--post-roll", "0.5", EXAMPLE)
    assert result.returncode == 0
    events = rows(result.stdout)
    facts = kept(tmp_path)
    assert [(fact["keyword"], fact["time"]) for fact in facts] == [(e["keyword"], e["time"]) for e in events]
    for fact, path in zip(facts, sorted(tmp_path.glob("*.wav")), strict=True):
        samples, rate = soundfile.read(path, dtype="int16")
        start = round(float(fact["start"]) * RATE)  # type: ignore[arg-type]
        assert (rate, fact["source"], fact["fired"], fact["model"]) == (RATE, str(EXAMPLE), True, "compact")
        assert start == max(0, round(float(fact["time"]) * RATE) - 24_000)  # type: ignore[arg-type]
        np.testing.assert_array_equal(samples, example[start : start + len(samples)])
        assert len(samples) == min(32_000, len(example) - start)
        assert soundfile.info(path).subtype == "PCM_16"


def test_near_misses_are_kept_and_are_no_events(tmp_path: Path, model: KeywordModel) -> None:
    """With a threshold that nothing reaches, what would have been events without."""
    reached = str(model.metadata.decoder.default.threshold)
    options = ["--threshold", "0.9999999", "--json", "--save-events", tmp_path, "--save-near-misses", reached]
    result = listen(*options, EXAMPLE)
    assert result.stdout == ""
    facts = kept(tmp_path)
    assert [fact["keyword"] for fact in facts] == [event.keyword for event in spot(EXAMPLE)]
    assert not any(fact["fired"] for fact in facts)
    assert all("near-miss" in path.name for path in tmp_path.iterdir())


def test_usage(tmp_path: Path) -> None:
    result = listen("--save-near-misses", "0.5", EXAMPLE)
    assert (result.returncode, "needs a folder to save to" in result.stderr) == (2, True)
    (tmp_path / "file").write_text("")
    result = listen("--save-events", tmp_path / "file", EXAMPLE)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "cannot keep events there" in result.stderr


def record(recorder: EventRecorder, time: float, seconds: float = 1.0) -> None:
    samples = np.full(round(seconds * RATE), 0.5, np.float32)
    recorder(AudioPiece(KeywordEvent("yes", 0.9, time), 0, samples, last=True))


def test_the_folder_stays_within_its_limit(tmp_path: Path, model: KeywordModel) -> None:
    """The oldest go, those of an earlier session first, and nothing that is not the recorder's own."""
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "20200101T000000-old-000001.000-no.json").write_text("{}")
    (tmp_path / "20200101T000000-old-000001.000-no.wav").write_bytes(bytes(30_000))
    recorder = EventRecorder(tmp_path, model, "a.wav", limit_mb=0.1)
    for time in range(5):
        record(recorder, time)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100_000 + 10
    assert (tmp_path / "notes.json").exists()
    assert [fact.get("time") for fact in kept(tmp_path)] == [2, 3, 4, None]
    record(recorder, 9.0, seconds=20.0)  # alone it is more than the limit, and the newest stays
    assert [fact.get("time") for fact in kept(tmp_path)] == [9, None]


def test_what_cannot_be_written_is_logged(
    tmp_path: Path, model: KeywordModel, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = EventRecorder(tmp_path / "kept", model)
    (tmp_path / "kept").rmdir()
    record(recorder, 1.0)
    assert "an event could not be kept" in caplog.text


def test_a_folder_that_cannot_be_made(tmp_path: Path, model: KeywordModel) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KwsError, match="cannot keep events there"):
        EventRecorder(tmp_path / "file" / "folder", model)


def test_a_callback_hears_all_from_the_pre_roll_on(model: KeywordModel, example: NDArray[np.int16]) -> None:
    """What a recogniser would be fed: from before the keyword to the end, until it has enough."""
    order: list[str] = []
    pieces: list[AudioPiece] = []

    def on_audio(piece: AudioPiece) -> bool:
        order.append("audio")
        pieces.append(piece)
        return sum(len(p.samples) for p in pieces if p.event is piece.event) < 5 * RATE

    listener = Listener(
        model, FileSource(EXAMPLE), lambda event: order.append("event"), on_audio=on_audio, pre_roll=1.0, post_roll=9e9
    )
    with listener:
        listener.wait()
    event = next(spot(EXAMPLE, model))
    assert order[:2] == ["event", "audio"]
    own = [piece for piece in pieces if piece.event == event]
    heard = np.concatenate([piece.samples for piece in own])
    start = max(0, round(event.time * RATE) - RATE)
    np.testing.assert_allclose(heard, example[start : start + len(heard)] / 32768, atol=1e-6)
    assert own[0].start == start
    assert 5 * RATE <= len(heard) < 6.1 * RATE
    assert {piece.event for piece in pieces} == set(spot(EXAMPLE, model))


def test_a_stream_that_ends_gives_what_there_is(model: KeywordModel) -> None:
    pieces: list[AudioPiece] = []
    events = list(Listener(model, FileSource(EXAMPLE), on_audio=pieces.append, post_roll=1e6).events())
    assert [piece.event for piece in pieces if piece.last] == events


def test_a_loss_keeps_the_audio_in_time(model: KeywordModel, example: NDArray[np.int16]) -> None:
    pieces: list[AudioPiece] = []
    (first, *_) = list(Listener(model, Lossy(example), on_audio=pieces.append, pre_roll=9.0, post_roll=0.5).events())
    own = [piece for piece in pieces if piece.event == first]
    heard = np.concatenate([piece.samples for piece in own])
    lost = np.concatenate([example[:20_000], np.zeros(48_000, np.int16), example])
    np.testing.assert_allclose(heard, lost[own[0].start : own[0].start + len(heard)] / 32768, atol=1e-6)


def test_a_failing_callback_is_reported_and_listening_goes_on(
    model: KeywordModel, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(piece: AudioPiece) -> None:
        raise RuntimeError("the recogniser is gone")

    assert list(Listener(model, FileSource(EXAMPLE), on_audio=fail).events()) == list(spot(EXAMPLE, model))
    assert "RuntimeError: the recogniser is gone" in caplog.text
