"""`python -m models.synthesize -o DIR [--words WORD ...]`: clips of any words, spoken by speech synthesisers.

Writes `DIR/{train,val}/WORD/VOICE_nohash_N.flac`, which `models.dataset.list_clips` reads, with a table of how each
clip was made. Voices are split by a hash of who is heard, so that nobody speaks in both splits. The same words, seed
and synthesisers give the same clips; a run that was stopped goes on where it was, and a folder takes more words later.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile
from rich.console import Console
from rich.progress import track

from kws_stream.errors import KwsError
from models.dataset import hash_split
from models.labels import KEYWORDS
from models.provenance import Row, Table, describe
from models.recordings import SAMPLE_RATE
from models.synthesisers import ENGINES, Voice
from models.takes import Take, UnspokenError, plan, render

OTHER_WORDS = (
    "zero one two three four five six seven eight nine bed bird cat dog happy house marvin sheila tree wow "
    "backward forward follow learn visual"
)
"""of Speech Commands, beside the keywords"""
LOOK_ALIKES = Path(__file__).with_name("lookalikes.txt")

VAL_PERCENT = 15.0
"""of the speakers"""
VAL_SHARE = 1 / 7
"""of the clips"""

README = """# Synthetic words
Spoken by speech synthesisers, 16 kHz mono 16-bit FLAC. `PROVENANCE.csv` says how each clip was made: `rate` (pace),
`melody` (rise and fall of the pitch) and `warp` (all frequencies) are factors, `pitch` is in semitones above the
voice's own; a synthesiser that cannot be told one of them has nothing there. `train/` and `val/` share no speaker.

Made with {versions}:

{commands}

The licences of the programs do not reach what they speak. espeak-ng is GPL-3.0-or-later and makes its voices by rule
from its own data. flite (a BSD-like licence) and festival (an MIT-like one) speak with the voices of Carnegie Mellon
University (kal, awb, rms, slt), free for any use, commercial use included.
"""


def make(folder: Path, take: Take, row: Row) -> Row:
    """Speak one clip into `folder`, and complete its row; UnspokenError when nothing comes of it."""
    samples, rate = render(take)
    path = folder / take.path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    soundfile.write(part, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    part.replace(path)
    return {**row, "rate": str(rate), "seconds": str(round(len(samples) / SAMPLE_RATE, 3))}


def find_voices(engines: Sequence[str]) -> tuple[list[Voice], dict[str, str]]:
    """The voices of those engines that are installed, and the version of each; KwsError when none is."""
    versions = {}
    for name in engines:
        if ENGINES[name].installed:
            versions[name] = ENGINES[name].version()
        else:
            print(f"{name} is not installed: left out", file=sys.stderr)
    if not versions:
        raise KwsError(
            f"no speech synthesiser: expected one of {' '.join(engines)} on PATH; on Debian: apt install espeak-ng"
        )
    return [voice for name in versions for voice in ENGINES[name].list_voices()], versions


def plan_words(counts: dict[str, int], voices: Sequence[Voice], seed: int) -> list[Take]:
    """The takes of all words, in both splits."""
    takes: list[Take] = []
    for split in ("val", "train"):
        own = [voice for voice in voices if hash_split(voice.speaker, VAL_PERCENT, 0) == split]
        if not own:
            print(f"none of these voices falls into {split}: it stays empty", file=sys.stderr)
            continue
        for word in track(counts, f"planning {split}", console=Console(stderr=True), transient=True):
            val = round(counts[word] * VAL_SHARE)
            takes += plan(word, own, val if split == "val" else counts[word] - val, split, seed)
    return takes


def make_all(folder: Path, tasks: Sequence[tuple[Take, Row]], table: Table, jobs: int) -> Counter[str]:
    """Speak them in parallel; how many came of it as `made`, and how many for what reason did not."""

    def outcome(task: tuple[Take, Row]) -> Row | str:
        try:
            return make(folder, *task)
        except UnspokenError as error:
            return str(error)

    outcomes = Counter[str]()
    pool = ThreadPoolExecutor(jobs)  # each of its threads waits for a process, the synthesiser
    try:
        done = pool.map(outcome, tasks)
        for result in track(done, "speaking", len(tasks), console=Console(stderr=True)):
            if isinstance(result, str):
                outcomes[result] += 1
            else:
                outcomes["made"] += 1
                table.add(result)
    finally:
        pool.shutdown(cancel_futures=True)
    return outcomes


def synthesize(folder: Path, counts: dict[str, int], engines: Sequence[str], seed: int, jobs: int, told: str) -> str:
    """Write the dataset of `counts` clips a word; what came of it, in a line.

    Raises KwsError when no engine is installed, when `folder` holds clips made otherwise, and when nothing is spoken
    for a word.
    """
    voices, versions = find_voices(engines)
    takes = plan_words(counts, voices, seed)
    folder.mkdir(parents=True, exist_ok=True)
    table = Table(folder / "PROVENANCE.csv")
    write_readme(folder / "README.md", versions, told)
    try:
        tasks = [(take, describe(take, versions[take.voice.engine], seed)) for take in takes]
        tasks = [(take, row) for take, row in tasks if not table.holds(row)]
        start = time.monotonic()
        outcomes = make_all(folder, tasks, table, jobs)
        elapsed = time.monotonic() - start
    finally:
        table.close()
    if mute := sorted(set(counts) - {row["word"] for row in table.rows.values()}):
        raise KwsError(f"nothing is spoken for {', '.join(map(repr, mute))}; expected words that can be read aloud")
    dropped = "".join(f", {count} {reason}" for reason, count in sorted(outcomes.items()) if reason != "made")
    there = f", {len(takes) - len(tasks)} were there" if len(takes) > len(tasks) else ""
    rate = outcomes["made"] / max(elapsed, 1e-3)
    return f"{folder}: {outcomes['made']} clips made{there}{dropped} ({rate:.1f} clips/s)"


def write_readme(path: Path, versions: dict[str, str], told: str) -> None:
    """Say how the dataset was made; the commands of earlier runs stay."""
    earlier = path.read_text().splitlines() if path.exists() else []
    commands = [line for line in earlier if line.startswith("    python ")]
    commands += [] if f"    {told}" in commands else [f"    {told}"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    path.write_text(README.format(versions=named, commands="\n".join(commands)))


WORD = re.compile(r"\w[\w' -]*")


def read_words(lines: Iterable[str]) -> list[str]:
    """The words of a list, one a line; ValueError for one that is no word. `#` begins a comment."""
    words = []
    for line in filter(None, (line.partition("#")[0].strip() for line in lines)):
        word = line.replace("_", " ").strip().lower()
        if not WORD.fullmatch(word):
            raise ValueError(f"no word that can be spoken: {line!r}; expected letters, digits, ' - and spaces")
        words.append(word)
    return words


def parse_arguments(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, dict[str, int]]:
    """The command line, and how many clips of which word; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m models.synthesize", description=__doc__)
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder of the dataset")
    words = parser.add_mutually_exclusive_group()
    words.add_argument("--words", metavar="WORD", nargs="+", help="default: those of Speech Commands")
    words.add_argument("--words-file", metavar="FILE", type=Path, help="one word a line")
    parser.add_argument("--voices", metavar="N", type=int, default=175, help="clips a word, a seventh of them val")
    parser.add_argument(
        "--look-alikes",
        metavar="N",
        type=int,
        nargs="?",
        const=35,
        default=0,
        help="so many clips of each word that resembles a keyword",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), help="default: all")
    parser.add_argument("--jobs", metavar="N", type=int, default=os.cpu_count() or 1, help="synthesisers at a time")
    options = parser.parse_args(arguments)
    if min(options.voices, options.jobs) < 1 or options.look_alikes < 0:
        parser.error("--voices and --jobs take a number from 1 on")
    try:
        lines = options.words_file.read_text().splitlines() if options.words_file else options.words
        own = read_words([*KEYWORDS, *OTHER_WORDS.split()] if lines is None else lines)
        if not own:
            raise ValueError("no words: expected one a line")
        alike = read_words(LOOK_ALIKES.read_text().splitlines()) if options.look_alikes else []
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return options, {**dict.fromkeys(alike, options.look_alikes), **dict.fromkeys(own, options.voices)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 failed, 130 interrupted (usage errors exit with 2)."""
    options, counts = parse_arguments(arguments)
    told = shlex.join(["python", "-m", "models.synthesize", *(sys.argv[1:] if arguments is None else arguments)])
    try:
        print(synthesize(options.output, counts, options.engines, options.seed, options.jobs, told))
    except (KwsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: run the same command again, it goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
