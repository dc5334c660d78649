"""The tables of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kws_stream.cli.page import cells, interval, percent, player, row_of, table
from kws_stream.evaluation import Evaluation
from models.recordings import CLIP, SAMPLE_RATE

if TYPE_CHECKING:
    from models.answers import Answers, Speaker  # torch takes a while to import, and a page needs none


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
        sound, shape = player(answers.samples[row], SAMPLE_RATE), waveform(answers.samples[row])
        lines.append(f'<tr class="{look}"><td>{place}</td><td>{sound}</td><td>{shape}</td>{cells(text)}</tr>')
    head = ("", "listen", "shape, peak", "truth", "answer", "P(answer)", "P(truth)", "loss", "speaker", "file")
    return f'<table class="clips"><thead>{row_of(head, "th")}</thead><tbody>{"".join(lines)}</tbody></table>'


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


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return "none" if value is None else str(value)


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{name} ({count})" if count > 1 else name for name, count in Counter(names).most_common())
