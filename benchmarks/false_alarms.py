"""`python benchmarks/false_alarms.py EVAL.json TRUTH.jsonl --transcripts CSV`: false alarms sorted by what was said.

EVAL.json is what `kws-eval stream AUDIO TRUTH.jsonl --json` printed. What was said in the two seconds before an alarm
is taken from the transcript, as if all of a sentence were spoken evenly, and compared with the keyword phone by phone:
how many have to be changed, left out or put in to find the keyword there, where a vowel for another is half a change.
Phones are those of espeak-ng: what a speaker made of them, or a transcript that is wrong, shows as something unlike.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from kws_stream.errors import KwsError
from kws_stream.truth import Sound, Truth, read_truth
from models.command import complete
from models.markdown import table
from models.phones import transcribe
from models.recordings import read_transcripts
from models.synthesisers import VOWEL

BEFORE_S, BEHIND_S = 2.0, 0.5
"""around an alarm, within which it is looked for: the decoder waits, and nobody speaks evenly"""
UNKNOWN_FOLDER = "_unknown_"
SAME, LIKE = "the sounds of the keyword", "sounds like it"
UNLIKE = {"word": "another single word", "speech": "other speech", "noise": "nothing was said"}
"""where what sounded was nothing like the keyword"""
ALIKE = 1 / 3
"""of the phones of a keyword may be changed where something sounds like it"""


class Finding(NamedTuple):
    """Where a keyword is nearest."""

    apart: float
    """phones to be changed, against those of the keyword"""
    words: str


class Alarm(NamedTuple):
    """A false alarm, and what it came from."""

    keyword: str
    score: float
    time: float
    cause: str
    words: str
    source: str


@cache
def phones_of(word: str) -> tuple[str, ...]:
    """Phones of one word."""
    return tuple(transcribe(word))


def find(keyword: str, words: Sequence[str]) -> Finding:
    """The stretch of `words` that is nearest to `keyword`, which may begin and end within a word.

    Levenshtein's distance with a free beginning and end (Sellers 1980, The Theory and Computation of Evolutionary
    Distances: Pattern Recognition).
    """
    wanted = phones_of(keyword)
    spoken = [(phone, place) for place, word in enumerate(words) for phone in phones_of(word)]
    # In each row: how far what was spoken until there is from the first phones of the keyword, and where that begins.
    row = [(float(distance), 0) for distance in range(len(wanted) + 1)]
    best = (float(len(wanted)), 0, 0)
    for at, (phone, _) in enumerate(spoken):
        below = [(0.0, at + 1)]
        for number, other in enumerate(wanted):
            changed, left_out, put_in = row[number], row[number + 1], below[number]
            below.append(
                min(
                    (changed[0] + exchange(phone, other), changed[1]),
                    (left_out[0] + 1, left_out[1]),
                    (put_in[0] + 1, put_in[1]),
                )
            )
        row = below
        best = min(best, (row[-1][0], row[-1][1], at + 1))
    apart, start, stop = best
    places = sorted({place for _, place in spoken[start:stop]})
    return Finding(apart / len(wanted), " ".join(words[place] for place in places))


def exchange(phone: str, other: str) -> float:
    """What it costs to take one for the other."""
    both_vowels = re.match(VOWEL, phone) and re.match(VOWEL, other)
    return 0.0 if phone == other else 0.5 if both_vowels else 1.0


def said_before(sound: Sound, time: float, transcripts: dict[str, str]) -> list[str]:
    """Words that were spoken around `time`; of a clip the name of its folder, or of its file where words are mixed."""
    if sound.other == "word":
        path = Path(sound.source)
        return [path.name.partition("_")[0] if path.parent.name == UNKNOWN_FOLDER else path.parent.name]
    words = transcripts.get(sound.source, "").lower().split()
    pace = len(words) / max(sound.end - sound.onset, 1e-3)  # words a second
    first = int(max(0.0, time - BEFORE_S - sound.onset) * pace)
    last = int((time + BEHIND_S - sound.onset) * pace) + 1
    return words[first:last]


def explain(alarms: Iterable[dict[str, Any]], truth: Truth, transcripts: dict[str, str]) -> list[Alarm]:
    """The surest first."""
    found = []
    for alarm in sorted(alarms, key=lambda alarm: -float(alarm["score"])):
        sound = truth.cause(alarm["time"])
        words = said_before(sound, alarm["time"], transcripts)
        nearest = find(alarm["keyword"], words)
        if nearest.apart <= ALIKE:
            cause, told = LIKE if nearest.apart else SAME, nearest.words
        else:
            cause, told = UNLIKE.get(sound.other, sound.other), " ".join(words)
        found.append(Alarm(alarm["keyword"], alarm["score"], alarm["time"], cause, told, sound.source))
    return found


def command(options: argparse.Namespace) -> None:
    """Print both tables."""
    try:
        alarms = json.loads(options.evaluation.read_text(encoding="utf-8"))["false_alarms"]
    except (OSError, ValueError, KeyError) as error:
        raise KwsError(f"{options.evaluation}: expected what kws-eval stream --json printed ({error})") from error
    found = explain(alarms, read_truth(options.truth), read_transcripts(options.transcripts, "transcript"))
    counts = Counter(alarm.cause for alarm in found)
    causes = dict.fromkeys((SAME, LIKE, *UNLIKE.values(), *counts))
    print(table(("cause", "false alarms"), [(cause, counts[cause]) for cause in causes]))
    print()
    rows = [(a.keyword, f"{a.score:.2f}", f"{a.time:.1f}", a.cause, a.words, a.source) for a in found]
    print(table(("keyword", "score", "at s", "cause", "said", "recording"), rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("benchmarks/false_alarms.py", description=__doc__)
    parser.add_argument("evaluation", type=Path, metavar="EVAL.json", help="what kws-eval stream --json printed")
    parser.add_argument("truth", type=Path, metavar="TRUTH.jsonl", help="of the stream that it was printed for")
    parser.add_argument("--transcripts", type=Path, required=True, metavar="CSV", help="columns path and transcript")
    options = parser.parse_args(arguments)
    return complete("benchmarks/false_alarms.py", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
