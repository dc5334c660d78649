"""A submission: a CSV that gives every clip of one folder its label, as Kaggle's Speech Recognition Challenge asks."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kws_stream.errors import AudioError, SubmissionError
from kws_stream.evaluation import SUFFIXES, Evaluation

HEADER = ("fname", "label")
ENCODING, ERRORS = "utf-8", "surrogateescape"
"""of the file: names that are no UTF-8 come back as they were"""


class Row(NamedTuple):
    """A line of the file."""

    line: int
    """counted from 1, as an editor does"""
    name: str
    label: str


def natural_order(name: str) -> tuple[list[str | int], str]:
    """Sorts digits as numbers: clip_2 comes before clip_10. Names of equal numbers (1, 01) are sorted as text."""
    parts = re.split(r"([0-9]+)", name)  # text and digits take turns, so that only like is compared with like
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def list_flat(folder: Path) -> list[str]:
    """Names of the clips that lie in `folder` itself, in natural order; hidden files are none.

    Raises AudioError when there are none.
    """
    if not folder.is_dir():
        raise AudioError(f"{folder}: no such folder; expected one with the clips lying in it")
    names = [
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir()
    ]
    if not names:
        raise AudioError(
            f"{folder}: no clips lie in it; expected wav, flac, ogg, opus or mp3, without folders between "
            "(a folder of word folders is for kws-eval clips)"
        )
    return sorted(names, key=natural_order)


def format_row(name: str, label: str) -> str:
    """A line of the file, quoted where CSV asks for it (RFC 4180)."""
    quoted = '"' + name.replace('"', '""') + '"' if re.search(r'[",\r\n]', name) else name
    return f"{quoted},{label}\n"


def read_submission(path: Path, names: Sequence[str], labels: Collection[str]) -> dict[str, str]:
    """Label by clip of a file that must name each of `names` once, in their order, and give it one of `labels`.

    Raises SubmissionError at the first line that is otherwise.
    """
    known, first = frozenset(names), dict[str, Row]()
    for row in _read_rows(path, exact=True):
        if row.name not in known:
            raise SubmissionError(f"{path}, line {row.line}: {row.name!r} is no clip of the folder")
        _check_row(path, row, labels, first)
    if missing := [name for name in names if name not in first]:
        raise SubmissionError(
            f"{path}: {len(missing)} of {len(names)} clips are missing, the first of them {missing[0]}"
        )
    for name, row in zip(names, first.values(), strict=True):
        if row.name != name:
            raise SubmissionError(
                f"{path}, line {row.line}: expected {name}, got {row.name}; the order is by name, digits as numbers"
            )
    return {name: row.label for name, row in first.items()}


def read_solution(path: Path, answered: Collection[str], labels: Collection[str]) -> dict[str, str]:
    """The true label of clips, from a CSV with the columns `fname` and `label`; more columns and any order are allowed.

    Raises SubmissionError for a clip that is not among `answered`, stands there twice, or has another label than one
    of `labels`, and when there are no clips.
    """
    first: dict[str, Row] = {}
    for row in _read_rows(path, exact=False):
        if row.name not in answered:
            raise SubmissionError(f"{path}, line {row.line}: the submission has no clip {row.name!r}")
        _check_row(path, row, labels, first)
    if not first:
        raise SubmissionError(f"{path}: holds no clips; expected lines of fname,label")
    return {name: row.label for name, row in first.items()}


def score(answers: Mapping[str, str], truth: Mapping[str, str], labels: Sequence[str]) -> Evaluation:
    """Compare labels by clip, of the clips in `truth`.

    A submission says what, not how sure: its posteriors are 0 and 1, and a calibration error of them means nothing.
    """
    index = {label: place for place, label in enumerate(labels)}
    given = np.array([index[answers[name]] for name in truth])  # (clips,)
    return Evaluation(
        tuple(labels),
        np.array([index[label] for label in truth.values()]),
        np.eye(len(labels), dtype=np.float32)[given],
    )


def _check_row(path: Path, row: Row, labels: Collection[str], first: dict[str, Row]) -> None:
    """Take `row` down in `first`; SubmissionError when it stands there already, or has no label."""
    if row.name in first:
        raise SubmissionError(f"{path}, line {row.line}: {row.name} again, after line {first[row.name].line}")
    if row.label not in labels:
        raise SubmissionError(f"{path}, line {row.line}: {row.label!r} is no label; expected one of {' '.join(labels)}")
    first[row.name] = row


def _read_rows(path: Path, exact: bool) -> Iterator[Row]:
    """The lines below the header, which must be HEADER, or at least hold its columns; SubmissionError."""
    try:
        with path.open(newline="", encoding=ENCODING, errors=ERRORS) as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if header != list(HEADER) if exact else not set(HEADER) <= set(header):
                expected = f"{'' if exact else 'columns '}{','.join(HEADER)}"
                raise SubmissionError(f"{path}: expected the header {expected}, got {','.join(header)!r}")
            name, label = (header.index(column) for column in HEADER)
            for values in reader:
                if len(values) != len(header):
                    raise SubmissionError(
                        f"{path}, line {reader.line_num}: expected {len(header)} values, got {len(values)}"
                    )
                yield Row(reader.line_num, values[name], values[label])
    except (OSError, csv.Error) as error:
        raise SubmissionError(f"{path}: cannot be read as a table ({error})") from error
