"""Commands that are ended from outside while they train."""

from __future__ import annotations

import signal
import subprocess
import sys


def end(command: list[str], line: str, how: signal.Signals) -> tuple[int, str]:
    """Run `python -m command`, send a signal when a line on stderr begins so -> exit code and what it printed."""
    arguments = [sys.executable, "-m", *command]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for told in process.stderr:
            if told.startswith(line):
                process.send_signal(how)
        return process.wait(60), process.stdout.read()
