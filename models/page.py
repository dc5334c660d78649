"""The page of a report: one HTML file with everything in it, pictures and sounds too."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from numpy.typing import NDArray

from kws_stream.evaluation import Evaluation, wilson_interval
from models.recordings import CLIP, SAMPLE_RATE

if TYPE_CHECKING:
    from models.answers import Answers, Speaker  # torch takes a while to import, and a page needs none

TEMPLATE = Path(__file__).with_name("report.html")
STYLE = Path(__file__).with_name("page.css")


def fill(title: str, parts: Mapping[str, str], template: Path = TEMPLATE) -> str:
    """The page; `parts` are HTML by the names of the template, `title` is text."""
    style = STYLE.read_text(encoding="utf-8")
    return Template(template.read_text(encoding="utf-8")).substitute(parts, title=escape(title), style=style)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of values, which are taken as text."""
    return f"<table><thead>{_row(head, 'th')}</thead><tbody>{''.join(_row(row) for row in rows)}</tbody></table>"


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


def recall_table(result: Evaluation) -> str:
    """Each label that has clips: how many are recognised, and what the others are mostly taken for."""
    rows = []
    for index, (label, counts) in enumerate(zip(result.labels, result.confusion, strict=True)):
        hits, clips = int(counts[index]), int(counts.sum())
        others = [(int(counts[j]), result.labels[j]) for j in np.argsort(-counts, kind="stable") if j != index]
        mistakes = ", ".join(f"{other} {count}" for count, other in others[:3] if count)
        if clips:
            rows.append((label, clips, hits, percent(hits / clips), interval(hits, clips), mistakes))
    return table(("label", "clips", "right", "recall", "95 % interval", "mostly taken for"), rows)


def confusion_table(result: Evaluation) -> str:
    """The bare counts, to be copied."""
    rows = zip(result.labels, result.confusion.tolist(), strict=True)
    return table(("truth \\ answer", *result.labels), [(label, *counts) for label, counts in rows])


def speaker_table(speakers: Iterable[Speaker]) -> str:
    """A row for each, with all mistakes, the most frequent first."""
    return table(
        ("speaker", "clips", "right", "accuracy", "95 % interval", "mistakes"),
        [
            (s.name, s.clips, s.hits, percent(s.hits / s.clips), interval(s.hits, s.clips), _counted(s.mistakes))
            for s in speakers
        ],
    )


def clip_table(answers: Answers, rows: Iterable[int]) -> str:
    """The clips of these rows, to be listened to."""
    labels, posteriors = answers.evaluation.labels, answers.evaluation.posteriors
    losses, given = answers.losses, answers.answers
    lines = []
    for place, row in enumerate(rows, 1):
        truth, answer = answers.truth[row], given[row]
        look = "right" if truth == answer else "wrong"
        text = (
            labels[truth],
            labels[answer],
            f"{posteriors[row, answer]:.3f}",
            f"{posteriors[row, truth]:.3f}",
            f"{losses[row]:.2f}",
            answers.speakers[row] or "",
            answers.names[row],
        )
        sound = f"<td>{place}</td><td>{player(answers.samples[row])}</td><td>{waveform(answers.samples[row])}</td>"
        lines.append(f'<tr class="{look}">{sound}{_cells(text)}</tr>')
    head = ("", "listen", "shape, peak", "truth", "answer", "P(answer)", "P(truth)", "loss", "speaker", "file")
    return f'<table class="clips"><thead>{_row(head, "th")}</thead><tbody>{"".join(lines)}</tbody></table>'


def player(samples: NDArray[np.float32]) -> str:
    """A clip `(n,)` with a button to hear it."""
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return f'<audio controls src="data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"></audio>'


def waveform(samples: NDArray[np.float32]) -> str:
    """The envelope of a clip `(CLIP,)` at its own scale, and its peak: shows what is cut off, faint or empty."""
    loud = np.abs(samples).reshape(-1, CLIP // 100).max(1)  # (100,) pieces of 10 ms
    peak = loud.max()
    heights = np.rint(14 * loud / peak if peak else loud).astype(int)
    path = "".join(f"M{x} {15 - height}V{15 + height}" for x, height in enumerate(heights))
    level = f"{round(20 * np.log10(peak))} dB" if peak else "no sound"
    return f'<svg viewBox="0 0 100 30" width="100" height="30"><path d="{path}"/></svg><small>{level}</small>'


def facts(values: Mapping[str, object]) -> str:
    """What a checkpoint says of itself: a table of names and values, nested ones in a table of their own."""
    rows = []
    for name, value in values.items():
        inside = facts(value) if isinstance(value, Mapping) else escape(_text(value))
        rows.append(f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{inside}</td></tr>")
    return f'<table class="facts"><tbody>{"".join(rows)}</tbody></table>'


def percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def interval(hits: int, trials: int) -> str:
    """The 95 % interval of a proportion."""
    low, high = wilson_interval(hits, trials)
    return f"{abs(low) * 100:.1f} to {percent(high)}"


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return "none" if value is None else str(value)


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{name} ({count})" if count > 1 else name for name, count in Counter(names).most_common())


def _cells(values: Iterable[object], tag: str = "td") -> str:
    return "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)


def _row(values: Iterable[object], tag: str = "td") -> str:
    return f"<tr>{_cells(values, tag)}</tr>"
