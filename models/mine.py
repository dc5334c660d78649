"""`python -m models.mine CHECKPOINT --speech DIR -o FOLDER`: what a network mistakes for keywords, to learn from.

Listens to the training sentences without keywords, and cuts out a second wherever a keyword is likely. FOLDER is one
for `models.train --words`: its clips count as unknown. A round of training later the next network finds others.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from kws_stream.errors import KwsError
from models.alarms import find_alarms
from models.command import complete
from models.labels import KEYWORDS
from models.recordings import CLIP, SAMPLE_RATE, Samples, list_sentences, read_mono, shown
from models.task import KeywordTask, load_checkpoint

FOUND = "FOUND.csv"


def cut(samples: Samples, start: int) -> Samples:
    """The second of `(n,)` that begins at `start`, or ends where the recording does; zeros behind a shorter one."""
    start = max(0, min(start, len(samples) - CLIP))
    clip = samples[start : start + CLIP]
    return np.pad(clip, (0, CLIP - len(clip)))


def mine(task: KeywordTask, sentences: Sequence[Path], folder: Path, certain: float) -> Counter[str]:
    """Write the clips of all alarms below `folder/train`, and a table of them; how many there are by keyword."""
    counts: Counter[str] = Counter()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FOUND).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "taken_for", "posterior", "sentence", "second"))
        for sentence in shown(sentences, f"listening to {len(sentences)} sentences"):
            samples = read_mono(sentence)
            for number, alarm in enumerate(find_alarms(task, samples, certain)):
                clip = Path("train", f"not-{alarm.keyword}", f"{sentence.stem}_nohash_{number}.flac")
                (folder / clip).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / clip, cut(samples, alarm.start), SAMPLE_RATE)
                second = f"{alarm.start / SAMPLE_RATE:.2f}"
                table.writerow((clip, alarm.keyword, f"{alarm.posterior:.3f}", sentence.name, second))
                counts[alarm.keyword] += 1
    return counts


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m models.mine", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--speech", type=Path, required=True, help="a folder with train/ and transcripts.csv")
    parser.add_argument("-o", "--output", type=Path, required=True, help="an empty or a new folder")
    parser.add_argument("--above", type=float, default=0.5, help="posterior, over 400 ms (default: %(default)s)")
    return parser.parse_args(arguments)


def command(options: argparse.Namespace) -> None:
    """Mine, and say what was found; KwsError where there is nothing to listen to, or something in the way."""
    if options.output.exists() and any(options.output.iterdir()):
        raise KwsError(f"{options.output} is not empty; clips of two networks would mix: name another folder")
    transcripts = options.speech / "transcripts.csv"
    sentences = list_sentences(options.speech / "train", transcripts, KEYWORDS)
    counts = mine(load_checkpoint(options.checkpoint), sentences, options.output, options.above)
    told = ", ".join(f"{keyword} {counts[keyword]}" for keyword in KEYWORDS)
    print(f"{options.output}: {counts.total()} clips of {len(sentences)} sentences: {told}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    return complete("models.mine", lambda: command(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
