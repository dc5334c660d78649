"""Processes that hear a virtual microphone, and the scripts that some of them run."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from tests.virtual_microphone import VirtualMicrophone

CALLBACK = """
import json, sys, threading
from contextlib import suppress
from kws_stream import Listener

heard = []

def on_keyword(event):
    heard.append(event)
    print(json.dumps({"keyword": event.keyword, "time": event.time}), flush=True)
    if len(heard) == 1:
        raise RuntimeError("a fault of the callback")

with suppress(KeyboardInterrupt), Listener(sys.argv[1], device="pulse", on_keyword=on_keyword) as listener:
    listener.wait()

# A device that is still open when the process ends makes it hang or crash, sometimes.
assert "kws-listener" not in [thread.name for thread in threading.enumerate()]
"""

ASYNC = """
import asyncio, json, sys
from contextlib import suppress
from kws_stream import Listener

async def main():
    async for event in Listener(sys.argv[1], device="pulse"):
        print(json.dumps({"keyword": event.keyword, "time": event.time}), flush=True)

with suppress(KeyboardInterrupt):
    asyncio.run(main())
"""

SPECTRUM = """
import json, sys
import numpy as np
from kws_stream import MicrophoneSource

rate, heard = int(sys.argv[1]), []
try:
    for block in MicrophoneSource("pulse").blocks(rate):
        heard.append(block.samples)
except KeyboardInterrupt:
    signal = np.concatenate(heard)
    hertz = np.argmax(np.abs(np.fft.rfft(signal))) * rate / len(signal)
    print(json.dumps({"hertz": float(hertz), "peak": float(np.percentile(signal, 99.9))}))
"""


class Listening:
    """A process that hears a virtual microphone. Its output goes to files, which can be read while it runs."""

    def __init__(self, microphone: VirtualMicrophone, folder: Path, *command: str) -> None:
        self._output, self._errors = folder / "output", folder / "errors"
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(command, env=microphone.environment, stdout=output, stderr=errors)

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *error: object) -> None:
        """Whatever the test found: no process is left."""
        self.process.kill()
        self.process.wait()

    @property
    def output(self) -> list[str]:
        return self._output.read_text().splitlines()

    @property
    def errors(self) -> list[str]:
        return self._errors.read_text().splitlines()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


class LiveListening(Listening):
    """One whose errors go to a terminal."""

    def __init__(self, microphone: VirtualMicrophone, folder: Path, *command: str) -> None:
        import pty  # absent on Windows, where this file is collected, too

        self._output, self._written = folder / "output", b""
        self._terminal, theirs = pty.openpty()
        environment = {**microphone.environment, "TERM": "xterm", "COLUMNS": "100"}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=theirs)
        os.close(theirs)
        self._reader = threading.Thread(target=self._read)  # a full terminal would stop the process
        self._reader.start()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._reader.join()
        os.close(self._terminal)

    @property
    def screen(self) -> str:
        return self._written.decode()

    def _read(self) -> None:
        with suppress(OSError):  # how a terminal says that nobody writes to it any more
            while data := os.read(self._terminal, 4096):
                self._written += data
