"""What every page of figures is made of: one HTML file with everything in it, pictures and sounds too."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np
import soundfile
from numpy.typing import NDArray

from kws_stream.evaluation import wilson_interval

FRAME = Path(__file__).with_name("page.html")
STYLE = Path(__file__).with_name("page.css")


def fill(title: str, parts: Mapping[str, str], template: Path) -> str:
    """The page; `parts` are HTML by the names of the template, and `subtitle` and `tiles`; `title` is text."""
    body, frame = (Template(path.read_text(encoding="utf-8")) for path in (template, FRAME))
    style = STYLE.read_text(encoding="utf-8")
    return frame.substitute(parts, title=escape(title), style=style, body=body.substitute(parts))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of values, which are taken as text."""
    return f"<table><thead>{row_of(head, 'th')}</thead><tbody>{''.join(row_of(row) for row in rows)}</tbody></table>"


def tiles(figures: Iterable[tuple[str, str, str]]) -> str:
    """(name, value, note) of what one wants to know first."""
    return "".join(
        f'<div class="tile"><span>{escape(name)}</span><b>{escape(value)}</b><small>{escape(note)}</small></div>'
        for name, value, note in figures
    )


def picture(path: Path, text: str, inches: float) -> str:
    """A PNG file within the page, so wide; `text` is what it shows, for those who do not see it."""
    source = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    return f'<img alt="{escape(text)}" width="{inches * 96:.0f}" src="{source}">'  # 96 as CSS counts


def player(samples: NDArray[np.float32], sample_rate: int) -> str:
    """A clip `(n,)` with a button to hear it; FLAC takes half the space of a wav, and every browser plays it."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return f'<audio controls src="data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode()}"></audio>'


def percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def interval(hits: int, trials: int) -> str:
    """The 95 % interval of a proportion."""
    low, high = wilson_interval(hits, trials)
    return f"{abs(low) * 100:.1f} to {percent(high)}"


def cells(values: Iterable[object], tag: str = "td") -> str:
    return "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)


def row_of(values: Iterable[object], tag: str = "td") -> str:
    return f"<tr>{cells(values, tag)}</tr>"
