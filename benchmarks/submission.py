"""`python benchmarks/submission.py CLIPS [--model M] [--count N]`: a submission as Kaggle's challenge wants it, timed.

The recordings of CLIPS, a folder of word folders such as a split of Speech Commands, are laid out flat under new names,
over and over until there are N of them, beside a solution; `kws-submit` labels them. Printed are its accuracy, which is
that of `kws-eval clips` where each clip is there once, the seconds, and the processor time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from kws_stream.cli import submit
from models.command import complete
from models.dataset import list_clips


def lay_flat(clips: Path, folder: Path, count: int | None = None) -> Path:
    """Links below `folder`, and the path of the solution; `count` None: every clip once."""
    listed = list_clips(clips.parent, clips.name)
    flat = folder / "flat"
    flat.mkdir()
    lines = ["fname,label"]
    for number in range(count or len(listed)):
        clip = listed[number % len(listed)]
        name = f"clip_{number:09}{clip.path.suffix}"
        (flat / name).symlink_to(clip.path.resolve())
        lines.append(f"{name},{clip.label}")
    solution = folder / "solution.csv"
    solution.write_text("\n".join(lines) + "\n")
    return solution


def command(options: argparse.Namespace) -> None:
    """Lay out, label, print."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        solution = lay_flat(options.clips, folder, options.count)
        began, used = time.perf_counter(), time.process_time()
        what = ["-o", str(folder / "submission.csv"), "--solution", str(solution), "--model", options.model]
        if code := submit.main([str(folder / "flat"), *what]):
            sys.exit(code)
        seconds, processor = time.perf_counter() - began, time.process_time() - used
        checked = submit.main([str(folder / "flat"), "--check", str(folder / "submission.csv")])
    print(
        f"\n{seconds:.1f} s, {processor:.1f} s of processor time; the file {'fails' if checked else 'passes'} --check"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python benchmarks/submission.py", description=__doc__)
    parser.add_argument("clips", type=Path, metavar="CLIPS", help="a split: folders of clips, named after their words")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--count", type=int, metavar="N", help="clips in the flat folder (default: each once)")
    return complete("submission", lambda: command(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
