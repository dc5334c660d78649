"""The live view on a terminal: that something is heard, and what it is taken for."""

from __future__ import annotations

import sys
from math import log10

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from kws_stream.listener import Listener

BAR = 24
QUIETEST_DB = -60.0


def live_view(listener: Listener) -> Live:
    """A line on stderr, redrawn ten times a second while the context is entered."""
    return Live(
        get_renderable=lambda: status_line(listener),
        console=Console(stderr=True),
        refresh_per_second=10,
        transient=True,
        # On a terminal rich must print the events above the line; elsewhere stdout is none of its business.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=False,
    )


def status_line(listener: Listener) -> Text:
    """Seconds heard, level, gate, and the network's present answer."""
    spotter = listener.spotter
    level = max(QUIETEST_DB, 20 * log10(max(listener.level, 1e-6)))
    bar = "#" * round(BAR * (1 - level / QUIETEST_DB))
    best = int(np.argmax(spotter.posteriors))
    answer = (
        f"{spotter.model.metadata.labels[best]} {spotter.posteriors[best]:.2f}"
        if spotter.listening and spotter.inferences
        else "-"
    )
    return Text(
        f"{spotter.seconds:7.1f} s  [{bar:<{BAR}}] {level:4.0f} dB  "
        f"{'speech' if spotter.listening else 'quiet '}  {answer}   (Ctrl-C ends)",
        style="dim",
        no_wrap=True,
        overflow="crop",
    )
