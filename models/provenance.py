"""The table that says how each synthetic clip was made."""

from __future__ import annotations

import csv
from pathlib import Path

from kws_stream.errors import KwsError
from models.takes import Take

COLUMNS = "path word text engine version voice split seed rate pitch melody warp level_db seconds"
FIXED = "text version seed pitch warp"
"""columns that tell whether a clip is the one that would be made again"""

Row = dict[str, str]
"""How a clip was made, by column."""


def describe(take: Take, version: str, seed: int) -> Row:
    """The row of a clip that is still to be made: the rate may have to change, and nobody knows how long it is."""
    voice, manner = take.voice, take.manner
    told = {
        "path": take.path,
        "word": take.word,
        "text": take.text,
        "engine": voice.engine,
        "version": version,
        "voice": voice.name,
        "split": take.path.split("/")[0],
        "seed": seed,
        "pitch": manner.pitch if voice.pitched else "",
        "melody": manner.melody if voice.pitched and voice.kind != "foreign" else "",
        "warp": take.warp,
        "level_db": take.level_db,
    }
    return {column: str(value) for column, value in told.items()}


class Table:
    """`PROVENANCE.csv`: grows with every clip, so that a run that was stopped can go on; `close` sorts it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        if path.exists():
            with path.open(newline="") as file:
                reader = csv.DictReader(file)
                if reader.fieldnames != COLUMNS.split():
                    raise KwsError(f"{path} is no table of synthetic clips: expected the columns {COLUMNS}")
                self.rows = {row["path"]: row for row in reader if row["seconds"]}  # a kill may leave half a line
        self._write()
        self._file = path.open("a", newline="")

    def holds(self, row: Row) -> bool:
        """Whether that clip is there already; KwsError when another one has its name."""
        known = self.rows.get(row["path"])
        if not known or not (self.path.parent / row["path"]).exists():
            return False
        for column in FIXED.split():
            if known[column] != row[column]:
                folder, was = self.path.parent, known[column]
                raise KwsError(
                    f"{folder} holds clips made otherwise: {column} was {was}, and now is {row[column]}; "
                    "choose another folder, or the same seed and synthesisers"
                )
        return True

    def add(self, row: Row) -> None:
        """Write a row down."""
        self.rows[row["path"]] = row
        csv.DictWriter(self._file, COLUMNS.split(), lineterminator="\n").writerow(row)
        self._file.flush()

    def close(self) -> None:
        """Sort the rows by path."""
        self._file.close()
        self._write()

    def _write(self) -> None:
        part = self.path.with_suffix(".part")
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS.split(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows[path] for path in sorted(self.rows))
        part.replace(self.path)
