"""What several models, or other engines, cost beside each other: `kws-bench --against`, `--peer`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence

from kws_stream.errors import KwsError

Figures = dict[str, float | None]
COLUMNS: Mapping[str, tuple[str, str]] = {
    "cpu_percent": ("CPU %", ".3f"),
    "ratio": ("ratio", ".2f"),
    "p50_ms": ("p50 ms", ".3f"),
    "p99_ms": ("p99 ms", ".3f"),
    "silence_cpu_percent": ("in silence %", ".3f"),
    "replay_realtime_factor": ("replay, times real time", ".0f"),
    "rss_mb": ("RSS MB", ".0f"),
    "startup_s": ("start s", ".2f"),
    "hop_ms": ("hop ms", ".0f"),
    "pool_cpu_percent": ("CPU % in a pool", ".3f"),
    "pool_p99_ms": ("p99 ms of a pool", ".1f"),
}
"""figure -> its heading and format"""
MORE_IS_BETTER = ("realtime_factor", "replay_realtime_factor", "pool_realtime_factor", "pool_streams_per_core")


def count(text: str) -> int:
    """An argument of 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected one or more, got {text}")
    return value


def named_command(text: str) -> tuple[str, list[str]]:
    """An argument NAME=COMMAND."""
    name, equals, words = text.partition("=")
    if not (name and equals and shlex.split(words)):
        raise argparse.ArgumentTypeError(f"expected NAME=COMMAND, got {text!r}")
    return name, shlex.split(words)


def add_comparison(command: argparse.ArgumentParser) -> None:
    """`--against`, `--peer` and `--rounds`."""
    command.add_argument(
        "--against", action="append", default=[], metavar="M", help="measure this model, too, in turns; may be repeated"
    )
    command.add_argument(
        "--peer",
        action="append",
        default=[],
        type=named_command,
        metavar="NAME=COMMAND",
        help='measure another engine, too: a command that prints a JSON object with "cpu_percent", and others of these '
        "figures; FILE is added at its end; may be repeated (benchmarks/)",
    )
    command.add_argument(
        "--rounds", type=count, default=3, metavar="N", help="of a comparison, the best counts (default: %(default)s)"
    )


def compare(commands: Sequence[tuple[str, Sequence[str]]], rounds: int) -> dict[str, Figures]:
    """The best of each figure that each command prints as a JSON object, and the `ratio` of its cost to the first's.

    `commands`: names, and what to run. They take turns, on one core where the system allows it: other load on the
    machine meets all of them alike, and the least of several rounds is what was measured undisturbed. Raises KwsError
    when one of them fails, and when two have one name.
    """
    names = [name for name, _ in commands]
    if twice := {name for name in names if names.count(name) > 1}:
        raise KwsError(f"{', '.join(sorted(twice))}: named twice; a comparison is between different ones")
    allowed = _pin()
    try:
        runs = [{name: _ask(name, command) for name, command in commands} for _ in range(rounds)]
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)
    figures = {name: _best([run[name] for run in runs]) for name in names}
    first = next(iter(figures.values()))["cpu_percent"]
    for each in figures.values():
        cost = each["cpu_percent"]
        each["ratio"] = round(cost / first, 3) if cost is not None and first else None
    return figures


def draw_comparison(figures: Mapping[str, Figures]) -> str:
    """A line for each, below a heading."""
    rows = rows_of(figures)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{row[0]:<{widths[0]}}  " + "  ".join(map(str.rjust, row[1:], widths[1:])) for row in rows]
    return "\n".join(lines)


def rows_of(figures: Mapping[str, Figures]) -> list[list[str]]:
    """The heading, and a row for each: the columns of which somebody knows a figure, a dash where one does not."""
    known = {
        key: column for key, column in COLUMNS.items() if any(each.get(key) is not None for each in figures.values())
    }
    rows = [["", *(heading for heading, _ in known.values())]]
    for name, each in figures.items():
        values = [(each.get(key), form) for key, (_, form) in known.items()]
        rows.append([name, *("-" if value is None else format(value, form) for value, form in values)])
    return rows


def _pin() -> set[int]:
    """This process, and those that it starts, on one core; the cores before, none where the system does not pin."""
    if not hasattr(os, "sched_setaffinity"):
        return set()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    return allowed


def _ask(name: str, command: Sequence[str]) -> Figures:
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise KwsError(f"{name}: {command[0]}: {error.strerror or error}") from error
    if result.returncode:
        last = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
        raise KwsError(f"{name}: {last.removeprefix('kws-bench: ')}")
    try:
        figures: Figures = json.loads(result.stdout)
        if isinstance(figures["cpu_percent"], (int, float)):
            return figures
    except (ValueError, TypeError, KeyError) as error:
        raise _misunderstood(name, result.stdout) from error
    raise _misunderstood(name, result.stdout)


def _misunderstood(name: str, answer: str) -> KwsError:
    return KwsError(f'{name}: expected a JSON object with "cpu_percent" on stdout, got {answer[:60]!r}')


def _best(runs: Sequence[Figures]) -> Figures:
    best: Figures = {}
    for figure in runs[0]:
        values = [value for run in runs if (value := run.get(figure)) is not None]
        best[figure] = (max if figure in MORE_IS_BETTER else min)(values) if values else None
    return best
