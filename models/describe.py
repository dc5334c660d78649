"""`python -m models.describe DIR [-o FOLDER]`: what a corpus holds, before anything is trained on it.

Classes as the study counts them (every word, and reduced to 12), durations, levels, clips that are broken, too short or
silent, and the same sound in two splits. Text on stdout; with -o tables (CSV), pictures (PNG) and a page (HTML), too.
Every split is read, the test split as well: this command chooses nothing, and nothing that trains reads its files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.command import complete
from models.dataset import BACKGROUND
from models.duplicates import Match
from models.survey import (
    QUANTILES,
    Corpus,
    Measured,
    count_problems,
    figures,
    find_across,
    list_corpus,
    measure_corpus,
    place,
)

SHORTEST = 0.5
"""seconds; the words of Speech Commands are recorded as clips of one"""
SHOWN = 10
"""problems and duplicates in the text"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m models.describe", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DIR", help="folder of word folders, or of splits with those")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="tables, pictures and a page go there")
    parser.add_argument("--classes", action="store_true", help="count the classes and stop: no file is opened")
    parser.add_argument("--no-duplicates", action="store_true", help="do not compare the splits by ear")
    parser.add_argument(
        "--shortest", type=float, default=SHORTEST, metavar="S", help="shorter clips are too short (default: 0.5)"
    )
    options = parser.parse_args(arguments)
    if options.classes and options.output:
        parser.error("--classes prints and stops; leave -o away")
    return options


def class_lines(counts: Mapping[str, int]) -> list[str]:
    """A line for each class: files, and their share."""
    total, width = sum(counts.values()), max(map(len, counts))
    return [f"  {name:<{width}}  {count:>7,}  ({100 * count / total:.1f} %)" for name, count in counts.items()]


def describe_classes(corpus: Corpus) -> list[str]:
    """Every class, and the twelve."""
    sizes = ", ".join(f"{split} {len(clips):,}" for split, clips in corpus.splits.items())
    return [
        f"{corpus.files:,} files in {len(corpus.words)} classes ({sizes}, {BACKGROUND} {len(corpus.noise)})",
        *class_lines(corpus.words),
        "",
        f"reduced to {len(corpus.labels)}",
        *class_lines(corpus.labels),
    ]


def describe_sound(measured: Sequence[Measured], root: Path, shortest: float) -> list[str]:
    """Durations, levels and problems."""
    lines = [f"{'':8}  " + "".join(f"{name:>9}" for name in QUANTILES)]
    for name, values in figures(measured).items():
        lines.append(f"{name:8}  " + "".join(f"{value:9.2f}" for value in values))
    hours = sum(one.seconds for one in measured) / 3600
    lines.append(f"{hours:.2f} hours in {len(measured):,} clips")
    counts = count_problems(measured)
    lines += ["", ", ".join(f"{name} {count}" for name, count in counts.items()) + f" (short: under {shortest:g} s)"]
    bad = [one for one in measured if one.problem]
    lines += [f"  {place(one.clip.path, root)}: {one.problem} {one.detail}".rstrip() for one in bad[:SHOWN]]
    return lines + rest_line(len(bad))


def describe_duplicates(matches: Sequence[Match], root: Path) -> list[str]:
    """Pairs of clips of different splits that are one sound."""
    lines = [f"the same sound in two splits: {len(matches)} clips"]
    for match in matches[:SHOWN]:
        lines.append(f"  {place(match.path, root)} is {place(match.other, root)} ({match.similarity:.2f})")
    return lines + rest_line(len(matches))


def rest_line(count: int) -> list[str]:
    """How many are not shown."""
    return [f"  and {count - SHOWN} more (-o writes all of them down)"] if count > SHOWN else []


def describe(options: argparse.Namespace) -> None:
    """Print, and write where that is asked for."""
    if options.output:
        from models import portrait  # before the work: nobody waits to learn that matplotlib is missing

        portrait.load_plots()
    corpus = list_corpus(options.data)
    print("\n".join(describe_classes(corpus)), flush=True)
    if options.classes:
        return
    measured = measure_corpus(corpus, options.shortest)
    print("", *describe_sound(measured, corpus.root, options.shortest), sep="\n", flush=True)
    matches = None if options.no_duplicates else find_across(measured)
    if matches is not None:
        print("", *describe_duplicates(matches, corpus.root), sep="\n")
    if options.output:
        print("", portrait.write(options.output, corpus, measured, matches, options.shortest), sep="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    return complete("models.describe", lambda: describe(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
