"""A source, a spotter and whoever wants to know."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np

from kws_stream import zoo
from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.errors import AudioError
from kws_stream.events import KeywordEvent
from kws_stream.microphone import MicrophoneSource
from kws_stream.model import KeywordModel
from kws_stream.profile import Profile, decoder_for
from kws_stream.sources import FileSource, Source
from kws_stream.spotter import KeywordSpotter
from kws_stream.tap import AudioPiece, AudioTap

log = logging.getLogger("kws_stream")
T = TypeVar("T")
OnKeyword = Callable[[KeywordEvent], object]
OnAudio = Callable[[AudioPiece], object]
LATE_SECONDS = 3.0
"""How long after its highest score it may be known that a keyword nearly fired, and its audio be kept nevertheless."""
WAKE_SECONDS = 0.5
"""How long Ctrl-C may have to wait on Windows, where it is heard between two waits only."""


class Listener:
    """Keyword events of a microphone or of any other source.

    Three ways to use it: `events()` runs on the caller's thread; `with Listener(..., on_keyword=f) as listener` runs
    on a background thread, on which `f` is called; `async for event in Listener(...)` runs on a background thread and
    hands the events to the event loop. A listener is used once.
    """

    def __init__(
        self,
        model: str | Path | KeywordModel = zoo.DEFAULT,
        source: Source | None = None,
        on_keyword: OnKeyword | None = None,
        *,
        device: str | int | None = None,
        gate: GateConfig | None = None,
        decoder: DecoderConfig | None = None,
        profile: str | Path | Profile | None = None,
        on_audio: OnAudio | None = None,
        pre_roll: float = 1.0,
        post_roll: float = 5.0,
        near_miss: float | None = None,
    ) -> None:
        """`source`: the microphone `device` when it is None. `gate` and `decoder` replace what the model's file says;
        `profile`, or the path of one, holds a decoder that kws-calibrate found.

        `on_audio` gets the audio around each event, from `pre_roll` seconds before it, as it comes, without a gap, to
        `post_roll` seconds after it (which may be infinite), or until it returns False: a recogniser that is fed with
        it hears all that was said. With `near_miss`, it gets that of keywords, too, whose score reached so much and
        did not fire.

        Raises ModelError, DeviceError; KwsError for a profile of another model.
        """
        loaded = model if isinstance(model, KeywordModel) else KeywordModel.load(model)
        if profile is not None:
            decoder = decoder_for(loaded, profile)
        self.spotter = KeywordSpotter(loaded, gate=gate, decoder=decoder, near_miss=near_miss)
        self.source = source if source is not None else MicrophoneSource(device)
        self.level = 0.0
        """RMS of the last block, 0 to 1."""
        self._on_keyword = on_keyword
        self._on_audio = on_audio
        self._sample_rate = loaded.metadata.frontend.sample_rate
        late = 0.0 if near_miss is None else LATE_SECONDS
        self._tap = AudioTap(pre_roll, post_roll, self._sample_rate, late) if on_audio else None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._on_end: Callable[[], object] = lambda: None

    def events(self) -> Iterator[KeywordEvent]:
        """The events until the source ends or `stop` is called. Raises AudioError, DeviceError."""
        try:
            for block in self.source.blocks(self._sample_rate):
                if block.lost:
                    log.warning("%s: %d samples lost, the machine is too busy", self.source.name, block.lost)
                    self.spotter.skip(block.lost)
                    if self._tap is not None:
                        self._hand_over(self._tap.skip(block.lost))
                if len(block.samples):
                    self.level = float(np.sqrt(np.mean(np.square(block.samples))))
                fell = self.spotter.push(block.samples)
                yield from fell
                if self._tap is not None:
                    self._hand_over(self._tap.push(block.samples, fell, self.spotter.near_misses))
        finally:
            if self._tap is not None:
                self._hand_over(self._tap.push(np.zeros(0, np.float32), last=True))

    def start(self) -> None:
        """Listen on a background thread."""
        if self._thread is not None:
            raise RuntimeError("a listener is used once; make another one")
        self._thread = threading.Thread(target=self._run, name="kws-listener", daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Until the source ends or `stop` is called, at most `timeout` seconds; whether it ended.

        Raises what ended the listening, if it was an error (AudioError, DeviceError).
        """
        if self._thread is None:
            raise RuntimeError("not started; use `with` or call start()")
        # Not Thread.join: before Python 3.13, Ctrl-C during a join marks a running thread as ended (CPython issue
        # 90882). Nobody would wait for it any more, and the process would end with its device open: hang, or crash.
        while not self._ended.wait(WAKE_SECONDS if timeout is None else timeout) and timeout is None:
            continue
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return self._ended.is_set()

    def stop(self) -> None:
        """End the listening; from any thread, callbacks included."""
        self.source.close()

    def __enter__(self) -> Listener:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self.wait()
        elif self._thread is not None:
            self._thread.join()

    async def __aiter__(self) -> AsyncIterator[KeywordEvent]:
        import asyncio  # whoever iterates has it; for all others it would be megabytes

        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[KeywordEvent | None] = asyncio.Queue()

        def hand_over(event: KeywordEvent | None) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, event)

        callback = self._on_keyword

        def on_keyword(event: KeywordEvent) -> None:
            hand_over(event)
            if callback is not None:
                callback(event)

        self._on_keyword = on_keyword
        self._on_end = lambda: hand_over(None)
        self.start()
        try:
            while (event := await queue.get()) is not None:
                yield event
            self.wait()
        finally:
            self.stop()
            await asyncio.to_thread(self._thread.join if self._thread else lambda: None)

    def _run(self) -> None:
        try:
            for event in self.events():
                self._report(event)
        except BaseException as failure:
            self._failure = failure  # for whoever waits
        finally:
            self._on_end()
            self._ended.set()

    def _hand_over(self, pieces: Sequence[AudioPiece]) -> None:
        for piece in pieces:
            if self._call("on_audio", self._on_audio, piece, piece.event) is False and self._tap is not None:
                self._tap.close(piece.event)

    def _report(self, event: KeywordEvent) -> None:
        self._call("on_keyword", self._on_keyword, event, event)

    @staticmethod
    def _call(name: str, callback: Callable[[T], object] | None, argument: T, event: KeywordEvent) -> object:
        """What a callback returns, None where there is none."""
        try:
            return callback(argument) if callback is not None else None
        except Exception:  # whatever it is, it is the callback's: nobody shall become deaf by it
            log.exception("%s failed for %s; listening goes on", name, event)
            return None


def spot(
    path: str | Path,
    model: str | Path | KeywordModel = zoo.DEFAULT,
    *,
    gate: GateConfig | None = None,
    decoder: DecoderConfig | None = None,
    profile: str | Path | Profile | None = None,
) -> Iterator[KeywordEvent]:
    """The keyword events of a recording, as a microphone would have given them, at the same times.

    Raises ModelError; KwsError for a profile of another model; AudioError when the file is missing, damaged, or shorter
    than the model's context.
    """
    listener = Listener(model, FileSource(path), gate=gate, decoder=decoder, profile=profile)
    yield from listener.events()
    check_length(listener)


def check_length(listener: Listener) -> None:
    """AudioError when a whole recording was too short for a single inference, whatever it held."""
    metadata = listener.spotter.model.metadata
    needed = metadata.frontend.samples(metadata.context_frames) / metadata.frontend.sample_rate
    if listener.spotter.seconds < needed:
        raise AudioError(
            f"{listener.source.name}: {listener.spotter.seconds:.3f} s is too short; "
            f"the model hears {needed:.3f} s at once"
        )
