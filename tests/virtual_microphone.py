"""A microphone without hardware: a private PulseAudio, from which PortAudio records what is played into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import soundfile

PROGRAMS = ("pulseaudio", "pactl", "pacat", "paplay")
SINK = "virtual"
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 10.0
"""For anything that PulseAudio is asked to do; a busy machine needs a part of it."""


def missing() -> list[str]:
    """What a virtual microphone needs and this machine lacks."""
    programs = [program for program in PROGRAMS if shutil.which(program) is None]
    return programs + ([] if find_library("portaudio") else ["libportaudio"])


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Poll until `condition` holds; TimeoutError names `what` did not come within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(POLL_SECONDS)


class VirtualMicrophone:
    """A PulseAudio of its own with one null sink, whose monitor is the recording device `pulse` of its children.

    A context manager: everything that it starts ends with it.
    """

    def __init__(self, rate: int = 16_000, channels: int = 1) -> None:
        self.rate = rate
        self.channels = channels
        self._stack = ExitStack()

    def __enter__(self) -> VirtualMicrophone:
        with ExitStack() as stack:  # ends what was started when a later step fails
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="virtual_microphone")))  # mode 0700
            socket = folder / "socket"
            self.environment = {
                **os.environ,
                "HOME": str(folder),  # PulseAudio keeps a cookie in one of these two
                "XDG_CONFIG_HOME": str(folder),
                "XDG_RUNTIME_DIR": str(folder),
                "DBUS_SESSION_BUS_ADDRESS": "disabled:",  # where the user's own PulseAudio may have announced itself
                "PULSE_SERVER": f"unix:{socket}",
                "PULSE_SINK": SINK,
                "PULSE_SOURCE": f"{SINK}.monitor",
            }
            """The variables of a process that shall hear this microphone; PortAudio reads them when it starts."""
            self._log = stack.enter_context((folder / "log").open("w+"))
            self._server = self._start(
                stack,
                *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
                f"--load=module-native-protocol-unix socket={socket}",
            )
            wait_until(self._answers, "PulseAudio to start")
            self._module = self._pactl(
                *("load-module", "module-null-sink", f"sink_name={SINK}", "format=s16le"),
                *(f"rate={self.rate}", f"channels={self.channels}"),
            ).strip()
            # A sink that plays nothing delivers nothing to its monitor, not even silence.
            self._start(
                stack,
                *("pacat", "--playback", "--raw", "--format=s16le", "--latency-msec=20"),
                *(f"--rate={self.rate}", f"--channels={self.channels}", "/dev/zero"),
            )
            self._wait_for_samples(stack, folder / "heard")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def play(self, recording: str | Path | np.ndarray) -> None:
        """Play a file, or samples `(n,)` or `(n, channels)` at this microphone's rate; returns when they are played."""
        if isinstance(recording, np.ndarray):
            path = Path(self.environment["HOME"]) / "played.wav"
            soundfile.write(path, recording, self.rate, "PCM_16")
            recording = path
        seconds = soundfile.info(recording).duration
        subprocess.run(["paplay", str(recording)], env=self.environment, check=True, timeout=seconds + PATIENCE_SECONDS)

    def wait_for_listeners(self, count: int = 1) -> None:
        """Until `count` processes record from this microphone."""
        wait_until(
            lambda: self._pactl("list", "source-outputs").count("Corked: no") >= count, f"{count} listeners to record"
        )

    def remove(self) -> None:
        """Take the device away, as if it were unplugged; PulseAudio itself lives on."""
        self._pactl("unload-module", self._module)

    def kill(self) -> None:
        """End PulseAudio itself, without notice."""
        self._server.kill()
        self._server.wait()

    def _wait_for_samples(self, stack: ExitStack, heard: Path) -> None:
        """Until the monitor delivers: the sink has begun with a long block of its own, and keeps readers waiting."""
        recorder = self._start(stack, "pacat", "--record", "--raw", "--format=s16le", "--latency-msec=20", str(heard))
        wait_until(lambda: heard.exists() and heard.stat().st_size > 0, "the first samples")
        _end(recorder)

    def _pactl(self, *arguments: str) -> str:
        environment = {**self.environment, "LC_ALL": "C"}
        return subprocess.run(
            ["pactl", *arguments],
            env=environment,
            check=True,
            timeout=PATIENCE_SECONDS,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout

    def _answers(self) -> bool:
        if self._server.poll() is not None:
            self._log.seek(0)
            raise RuntimeError(f"PulseAudio ended at once: {self._log.read()}")
        asked = subprocess.run(["pactl", "info"], env=self.environment, timeout=PATIENCE_SECONDS, capture_output=True)
        return asked.returncode == 0

    def _start(self, stack: ExitStack, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._log
        )
        stack.callback(_end, process)
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
