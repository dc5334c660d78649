"""The microphone through the real PortAudio, recording from a virtual device.

PortAudio reads the environment when it starts, so everything that listens is a child process.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from ctypes.util import find_library
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws_stream import KeywordEvent, KeywordModel, KeywordThreshold, spot
from kws_stream.microphone import PATIENCE_SECONDS
from kws_stream.zoo import DEFAULT
from tests.listening import ASYNC, CALLBACK, SPECTRUM, Listening, LiveListening
from tests.virtual_microphone import VirtualMicrophone, missing, wait_until

MODEL = DEFAULT
RATE = 16_000
STRIDE = 1280
STRIDE_SECONDS = STRIDE / RATE
WORDS = ("yes", "stop", "left", "go")
CLEAR = KeywordThreshold(threshold=0.95)
"""fires for words that the model has no doubt about"""

KWS_LISTEN = (sys.executable, "-m", "kws_stream.cli.listen")
LISTEN_JSON = (*KWS_LISTEN, "--model", MODEL, "--device", "pulse", "--json")


@pytest.fixture(scope="module")
def microphone() -> Iterator[VirtualMicrophone]:
    yield from start_microphone(RATE, 1)


@pytest.fixture(scope="module")
def wide_microphone() -> Iterator[VirtualMicrophone]:
    yield from start_microphone(44_100, 2)


def start_microphone(rate: int, channels: int) -> Iterator[VirtualMicrophone]:
    if absent := missing():
        pytest.skip(f"a virtual microphone needs {', '.join(absent)}")
    with VirtualMicrophone(rate, channels) as started:
        yield started


@pytest.fixture(scope="module")
def recording(data: Path, model: KeywordModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four words, a second of faint noise around each.

    They are such that the model has no doubt about them: the way from the microphone to the model is tested here.
    """
    path = tmp_path_factory.mktemp("recording") / "recording.wav"
    pause = (np.random.default_rng(0).standard_normal(RATE) * 0.001).astype(np.float32)

    clear = replace(model.metadata.decoder, default=CLEAR)

    def write(*clips: np.ndarray) -> None:
        soundfile.write(path, np.concatenate((pause, *(piece for clip in clips for piece in (clip, pause)))), RATE)

    def hears(clips: Sequence[np.ndarray], shift: int) -> tuple[str, ...]:
        write(np.zeros(shift, np.float32), *clips)
        return tuple(event.keyword for event in spot(path, model, decoder=clear))

    clips: list[np.ndarray] = []
    for number, word in enumerate(WORDS, 1):
        for file in sorted((data / "speech_commands" / "test" / word).glob("*.flac")):
            clip, _ = soundfile.read(file, dtype="float32")
            # However the strides fall: a microphone begins anywhere.
            if all(hears([*clips, clip], shift) == WORDS[:number] for shift in range(0, STRIDE, STRIDE // 8)):
                clips.append(clip)
                break
        else:
            raise ValueError(f"{MODEL} has doubts about every {word!r}")
    write(*clips)
    return path


@pytest.fixture(scope="module")
def expected(recording: Path, model: KeywordModel) -> list[KeywordEvent]:
    return list(spot(recording, model))


@pytest.fixture(scope="module")
def heard(
    microphone: VirtualMicrophone,
    recording: Path,
    expected: list[KeywordEvent],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Listening]:
    """Four processes that heard the same playing of the recording, and were ended with Ctrl-C."""
    commands: dict[str, tuple[type[Listening], Sequence[str]]] = {
        "command": (Listening, LISTEN_JSON),
        "live": (LiveListening, LISTEN_JSON),
        "callback": (Listening, (sys.executable, "-c", CALLBACK, MODEL)),
        "async": (Listening, (sys.executable, "-c", ASYNC, MODEL)),
    }
    with ExitStack() as stack:
        listening = {
            name: stack.enter_context(kind(microphone, tmp_path_factory.mktemp(name), *command))
            for name, (kind, command) in commands.items()
        }
        play(recording, microphone, list(listening.values()), len(expected))
    return listening


def play(recording: Path, microphone: VirtualMicrophone, listening: list[Listening], events: int) -> None:
    """Play it to all who listen, wait until they had their `events`, and end them."""
    microphone.wait_for_listeners(len(listening))
    microphone.play(recording)
    with suppress(TimeoutError):  # the tests say better what is missing
        wait_until(lambda: all(len(one.output) >= events for one in listening), "events")
    for one in listening:
        one.interrupt()


def check(output: list[str], expected: list[KeywordEvent]) -> None:
    """The same keywords; the same times within two strides, once the moment is taken off at which the listening
    began: the strides fall elsewhere, and the averaged score climbs to its threshold slowly."""
    events = [json.loads(line) for line in output]
    assert [event["keyword"] for event in events] == [event.keyword for event in expected]
    offsets = [event["time"] - reference.time for event, reference in zip(events, expected, strict=True)]
    assert max(offsets) - min(offsets) <= 4 * STRIDE_SECONDS + 0.001  # from two strides early to two late


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*KWS_LISTEN, *arguments), env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )


def check_failure(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failure is told in."""
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_the_recording_has_every_word(expected: list[KeywordEvent]) -> None:
    assert [event.keyword for event in expected] == list(WORDS)


def test_devices_are_listed(microphone: VirtualMicrophone) -> None:
    result = run("--list-devices", environment=microphone.environment)
    assert result.returncode == 0
    assert re.search(r"^[* ] +\d+ pulse  \(\d+ channels, \d+ Hz\)$", result.stdout, re.MULTILINE), (
        "no device `pulse`: is ALSA's plugin for PulseAudio installed (Debian: libasound2-plugins)?"
    )
    assert result.stderr == ""


@pytest.mark.parametrize("device", ["nonexistent", "99"])
def test_a_device_that_does_not_exist(microphone: VirtualMicrophone, device: str) -> None:
    line = check_failure(run("--model", MODEL, "--device", device, environment=microphone.environment))
    assert line.startswith("kws-listen: no device ")
    assert device in line
    assert "'pulse'" in line, "it names those that exist"


@pytest.mark.skipif(sys.platform != "linux", reason="devices are hidden by ALSA's configuration")
@pytest.mark.skipif(find_library("portaudio") is None, reason="libportaudio is not installed")
def test_no_microphone(tmp_path: Path) -> None:
    configuration = tmp_path / "asound.conf"
    # PortAudio asserts that ALSA knows at least one name that it cannot open.
    configuration.write_text("pcm.absent { type hw card 31 }\n")
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(configuration), "PULSE_SERVER": f"unix:{tmp_path / 'absent'}"}
    assert check_failure(run("--model", MODEL, environment=environment)).startswith("kws-listen: no microphone: ")


@pytest.mark.skipif(sys.platform != "linux", reason="libraries are hidden by the loader of Linux")
def test_no_portaudio(tmp_path: Path) -> None:
    # Found before the one that is installed, and cannot be loaded.
    (tmp_path / "libportaudio.so.2").touch()
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    line = check_failure(run("--model", MODEL, environment=environment))
    assert line.startswith("kws-listen: PortAudio ")
    assert "libportaudio2" in line


def test_the_microphone_gives_the_events_of_the_file(heard: dict[str, Listening], expected: list[KeywordEvent]) -> None:
    check(heard["command"].output, expected)


def test_ctrl_c_ends_with_a_summary(heard: dict[str, Listening], expected: list[KeywordEvent]) -> None:
    assert heard["command"].process.returncode == 0
    first, summary = heard["command"].errors
    assert first == "kws-listen: listening to pulse; Ctrl-C ends"
    pattern = r"kws-listen: [\d.]+ s heard, (\d+) events, \d+ overruns \(\d+ samples lost\)"
    match = re.fullmatch(pattern, summary)
    assert match, summary
    assert int(match[1]) == len(expected)


def test_a_callback_that_raises_does_not_end_the_listening(
    heard: dict[str, Listening], expected: list[KeywordEvent]
) -> None:
    check(heard["callback"].output, expected)
    assert heard["callback"].process.returncode == 0
    first, second, *_, last = heard["callback"].errors
    assert first.startswith("on_keyword failed for KeywordEvent(")
    assert second == "Traceback (most recent call last):"
    assert last == "RuntimeError: a fault of the callback"


def test_async_for(heard: dict[str, Listening], expected: list[KeywordEvent]) -> None:
    check(heard["async"].output, expected)
    assert heard["async"].process.returncode == 0
    assert heard["async"].errors == []


def test_the_live_view(heard: dict[str, Listening], expected: list[KeywordEvent]) -> None:
    live = heard["live"]
    assert isinstance(live, LiveListening)
    check(live.output, expected)
    assert live.process.returncode == 0
    lines = re.findall(r"\d\.\d s  \[#* *\] +(-?\d+) dB  (quiet|speech) ", live.screen)
    levels = [int(level) for level, _ in lines]
    assert min(levels) < -50, "the noise between the words"
    assert max(levels) > -30, "the words"
    # Ten lines a second; the gate stays open for most of a second after each word.
    assert [state for _, state in lines].count("speech") > 5 * len(expected)
    assert not any(word in live.screen for word in ("keyword", "Traceback")), "events are for standard output alone"


def test_a_stereo_device_of_another_rate(
    wide_microphone: VirtualMicrophone, recording: Path, expected: list[KeywordEvent], tmp_path: Path
) -> None:
    with Listening(wide_microphone, tmp_path, *LISTEN_JSON) as listening:
        play(recording, wide_microphone, [listening], len(expected))
    check(listening.output, expected)


def test_a_rate_that_the_device_refuses(wide_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """The device is read at its own rate with two channels, and resampled and downmixed here.

    PulseAudio converts by itself, so it takes a rate beyond its 384 kHz to be refused.
    """
    hertz, amplitude = 1000, 0.5
    tone = amplitude * np.sin(2 * np.pi * hertz * np.arange(wide_microphone.rate) / wide_microphone.rate)
    with Listening(wide_microphone, tmp_path, sys.executable, "-c", SPECTRUM, "500000") as listening:
        wide_microphone.wait_for_listeners()
        wide_microphone.play(np.stack((tone, np.zeros_like(tone)), axis=1))
        assert listening.interrupt() == 0
    (line,) = listening.output
    assert json.loads(line) == pytest.approx({"hertz": hertz, "peak": amplitude / 2}, rel=0.02)


@pytest.mark.parametrize("lose", [VirtualMicrophone.remove, VirtualMicrophone.kill], ids=["unplugged", "server killed"])
def test_a_device_that_goes_away(lose: Callable[[VirtualMicrophone], None], tmp_path: Path) -> None:
    for microphone in start_microphone(RATE, 1):
        with Listening(microphone, tmp_path, *LISTEN_JSON) as listening:
            microphone.wait_for_listeners()
            lose(microphone)
            assert listening.process.wait(PATIENCE_SECONDS + 5) == 1
    # PortAudio and ALSA add lines of their own.
    own = [line for line in listening.errors if line.startswith("kws-listen: ")]
    assert len(own) == 3, listening.errors
    _, summary, reason = own
    assert "s heard, 0 events" in summary
    assert reason == "kws-listen: pulse delivers no samples any more; was it unplugged?"
