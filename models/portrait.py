"""A corpus on paper: tables, pictures, and a page with all of them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from types import ModuleType

from kws_stream.cli import page
from kws_stream.errors import KwsError
from kws_stream.frontend import to_float
from models.dataset import BACKGROUND
from models.duplicates import THRESHOLD, Match
from models.recordings import CLIP, SAMPLE_RATE, Samples
from models.survey import (
    QUANTILES,
    Corpus,
    Measured,
    choose_examples,
    class_of,
    count_problems,
    decibels,
    figures,
    place,
)

TEMPLATE = Path(__file__).with_name("corpus.html")
DPI = 144
LISTED = 200
"""problems and duplicates on the page; the tables hold all"""

Table = tuple[Sequence[str], list[Sequence[object]]]
"""head and rows"""


def load_plots() -> ModuleType:
    """`models.corpus_plots`; KwsError without matplotlib."""
    try:
        from models import corpus_plots
    except ImportError as error:
        raise KwsError(f"pictures need matplotlib ({error}); pip install matplotlib") from error
    return corpus_plots


def word_table(corpus: Corpus) -> Table:
    """Files of each class by split; those of `_background_noise_` are in none."""
    by_split = [Counter(clip.word for clip in clips) for clips in corpus.splits.values()]
    head: tuple[str, ...] = ("class", "label", *corpus.splits, "files", "percent")
    rows: list[Sequence[object]] = [
        (word, class_of(word), *(counts[word] for counts in by_split), files, f"{100 * files / corpus.files:.2f}")
        for word, files in corpus.words.items()
    ]
    return head, rows


def label_table(corpus: Corpus) -> Table:
    """Files of each of the twelve labels by split."""
    by_split = [Counter(clip.label for clip in clips) for clips in corpus.splits.values()]
    rows: list[Sequence[object]] = [
        (label, *(counts[label] for counts in by_split), files, f"{100 * files / corpus.files:.2f}")
        for label, files in corpus.labels.items()
    ]
    return ("label", *corpus.splits, "files", "percent"), rows


def clip_table(measured: Iterable[Measured], root: Path) -> Table:
    """A row for each clip."""
    head = ("path", "split", "word", "label", "seconds", "rms_db", "peak_db", "clipped", "problem", "detail")
    rows: list[Sequence[object]] = []
    for one in measured:
        levels = [f"{decibels(level):.2f}" if one.seconds else "" for level in (one.rms, one.peak)]
        seconds = f"{one.seconds:.4f}" if one.seconds else ""
        where = (place(one.clip.path, root), one.split, one.clip.word, class_of(one.clip.word))
        rows.append((*where, seconds, *levels, int(one.clipped), one.problem, one.detail))
    return head, rows


def duplicate_table(matches: Iterable[Match], root: Path) -> Table:
    """Pairs of one sound."""
    rows = [(place(m.path, root), place(m.other, root), f"{m.similarity:.3f}") for m in matches]
    return ("path", "same_as", "similarity"), list(rows)


def figure_table(measured: Sequence[Measured]) -> Table:
    """Quantiles of durations and levels."""
    rows = [(name, *(f"{value:.2f}" for value in values)) for name, values in figures(measured).items()]
    return ("", *QUANTILES), list(rows)


def sound_table(examples: dict[str, Samples]) -> str:
    """The clips of the mel pictures, to be listened to."""
    rows = []
    for word, samples in examples.items():
        floats = to_float(samples[:CLIP])
        rows.append(f"<tr><td>{escape(word)}</td><td>{page.player(floats, SAMPLE_RATE)}</td></tr>")
    return f"<table><thead><tr><th>word</th><th>listen</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"


def summarise(
    corpus: Corpus, measured: Sequence[Measured], matches: Sequence[Match] | None
) -> list[tuple[str, str, str]]:
    """The figures at the top: name, value, note."""
    problems = count_problems(measured)
    clipped = problems.pop("clipped")
    speakers = len({one.clip.speaker for one in measured if "_nohash_" in one.clip.path.name})
    return [
        ("files", f"{corpus.files:,}", ", ".join(f"{split} {len(clips):,}" for split, clips in corpus.splits.items())),
        ("classes", str(len(corpus.words)), f"{len(corpus.labels)} labels"),
        ("speakers", f"{speakers:,}", "by the names of files"),
        ("sound", f"{sum(one.seconds for one in measured) / 3600:.2f} h", f"at {SAMPLE_RATE} Hz, without {BACKGROUND}"),
        ("problems", f"{sum(problems.values()):,}", ", ".join(f"{name} {n}" for name, n in problems.items() if n)),
        ("clipped", f"{clipped:,}", "samples at full scale"),
        ("duplicates", "-" if matches is None else f"{len(matches):,}", "across splits"),
    ]


def write(
    output: Path, corpus: Corpus, measured: Sequence[Measured], matches: Sequence[Match] | None, shortest: float
) -> Path:
    """Write everything to the folder `output` and return the path of the page; KwsError when that cannot be done."""
    plots = load_plots()
    examples = choose_examples(measured)
    sound = [one for one in measured if one.peak]
    levels = [[decibels(level) for level in column] for column in zip(*((o.rms, o.peak) for o in sound), strict=True)]
    tables = {
        "words": word_table(corpus),
        "labels": label_table(corpus),
        "figures": figure_table(measured),
        "clips": clip_table(measured, corpus.root),
        "duplicates": duplicate_table(matches or (), corpus.root),
    }
    drawn = {
        "distribution": plots.draw_distribution(corpus.words, corpus.labels),
        "durations": plots.draw_durations([one.seconds for one in measured if one.seconds], shortest),
        "levels": plots.draw_levels(*(levels or ([], []))),
        "pictures": plots.draw_words(examples),
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, (head, rows) in tables.items():
            with (output / f"{name}.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
                csv.writer(file, lineterminator="\n").writerows([head, *rows])
        parts = compose(corpus, measured, matches, shortest, tables) | {"sounds": sound_table(examples)}
        for name, figure in drawn.items():
            figure.savefig(output / f"{name}.png", dpi=DPI)
            parts[name] = page.picture(output / f"{name}.png", name, figure.get_figwidth())
        path = output / "index.html"
        text = page.fill(f"Corpus: {corpus.root.resolve().name}", parts, TEMPLATE)
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise KwsError(f"cannot write to {output}: {error}") from error
    return path


def compose(
    corpus: Corpus,
    measured: Sequence[Measured],
    matches: Sequence[Match] | None,
    shortest: float,
    tables: dict[str, Table],
) -> dict[str, str]:
    """The parts of the page that are no picture, by their names in the template."""
    bad = clip_table([one for one in measured if one.problem][:LISTED], corpus.root)
    compared = "not compared" if matches is None else f"{len(matches):,} clips have a like in an earlier split"
    return {
        "subtitle": escape(f"{corpus.files:,} files. Clips under {shortest:g} s count as too short."),
        "tiles": page.tiles(summarise(corpus, measured, matches)),
        "labels": page.table(*tables["labels"]),
        "words": page.table(*tables["words"]),
        "figures": page.table(*tables["figures"]),
        "problems": page.table(*bad) if bad[1] else "<p>none</p>",
        "duplicates_note": escape(f"{compared}; found by acoustic fingerprint, similarity above {THRESHOLD}."),
        "duplicates": page.table(tables["duplicates"][0], tables["duplicates"][1][:LISTED]),
    }
