"""What the commands of `models` and `export` have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable

from kws_stream.cli import discard_output
from kws_stream.errors import KwsError

FAILED, INTERRUPTED, TERMINATED = 1, 130, 143


def complete(name: str, command: Callable[[], object]) -> int:
    """Call `command` -> the exit code: 0; 1 when it failed, which becomes one line on stderr; 130 after Ctrl-C
    and 143 after SIGTERM, as shells have it, so that what was to follow does not. A reader of what is printed that is
    gone is no failure."""
    try:
        command()
    except KwsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        discard_output()
    except SystemExit as stop:
        if stop.code is not None:
            raise
        print(f"{name}: stopped", file=sys.stderr)
        return TERMINATED  # Lightning ends so on SIGTERM; without a code, it would count as complete
    return 0
