"""`python benchmarks/performance.py FILE --models M [M ...] -o docs`: writes `performance.md` and `performance.png`.

FILE is continuous speech. Three views of the same models: their whole cost, side by side, as `kws-bench` measures it;
which part of the runtime spends it, and which kind of node within the network; and how far that is from the least that
the multiplies of the network could cost on this core.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kws_stream import GateConfig, KeywordModel, KeywordSpotter, zoo
from kws_stream.cli import run
from kws_stream.cli.bench import read_samples
from kws_stream.cli.bench_comparison import Figures, compare, count, named_command, rows_of
from kws_stream.decoder import PosteriorDecoder
from kws_stream.frontend import LogMel
from kws_stream.gate import SpeechGate
from kws_stream.model import session_options
from models.markdown import table

PARTS = {
    "gate": (SpeechGate, "push"),
    "features": (LogMel, "__call__"),
    "network": (KeywordModel, "answer"),
    "decoder": (PosteriorDecoder, "push"),
}
"""part of the runtime -> the method that does its work"""
REST = "buffers and calls"
COLOURS = ("#009E73", "#E69F00", "#0072B2", "#CC79A7", "#999999")
WARM_UP, RUNS = 20, 200
"""inferences before and while nodes are profiled"""


@dataclass(frozen=True)
class Profile:
    """Where the time of one model goes."""

    name: str
    parts: Mapping[str, float]
    """CPU % of a core, by part of the runtime"""
    inferences: float
    """a second of audio"""
    nodes: Mapping[str, float]
    """microseconds of an inference, by kind of node, the costliest first"""
    multiplies: int
    """of an inference"""


@contextmanager
def timed(owner: type, method: str, spent: Counter[str], part: str) -> Iterator[None]:
    """Add the seconds inside `owner.method` to `spent[part]`."""
    original = getattr(owner, method)

    @wraps(original)
    def measured(*arguments: object) -> object:
        begin = time.perf_counter()
        result = original(*arguments)
        spent[part] += time.perf_counter() - begin
        return result

    setattr(owner, method, measured)
    try:
        yield
    finally:
        setattr(owner, method, original)


def profile(name: str, samples: NDArray[np.int16]) -> Profile:
    """Push `samples` `(n,)` block by block with the gate open, so that every network has the same to do."""
    model = KeywordModel.load(name)
    metadata = model.metadata
    block = metadata.stride_frames * metadata.frontend.hop
    seconds = len(samples) / metadata.frontend.sample_rate
    best: Counter[str] = Counter()
    for _ in range(3):  # the least of three passes is what was measured undisturbed
        spotter, spent = KeywordSpotter(model, gate=GateConfig(mode=0, hangover_ms=60_000)), Counter[str]()
        with ExitStack() as watched:
            for part, (owner, method) in PARTS.items():
                watched.enter_context(timed(owner, method, spent, part))
            begin = time.perf_counter()
            for start in range(0, len(samples), block):
                spotter.push(samples[start : start + block])
            total = time.perf_counter() - begin
        spent[REST] = total - sum(spent.values())
        if not best or total < sum(best.values()):
            best = spent
    parts = {part: 100 * best[part] / seconds for part in (*PARTS, REST)}
    multiplies = metadata.training["multiplies"]
    return Profile(model.name, parts, spotter.inferences / seconds, profile_nodes(name, model), int(str(multiplies)))


def profile_nodes(name: str, model: KeywordModel) -> dict[str, float]:
    """Microseconds of an inference by kind of node, as onnxruntime's own profiler counts them."""
    with TemporaryDirectory() as folder:
        options = session_options()
        options.enable_profiling = True
        options.profile_file_prefix = f"{folder}/nodes"
        session = onnxruntime.InferenceSession(zoo.find(name), options, providers=["CPUExecutionProvider"])
        features, *states = session.get_inputs()
        frames = model.metadata.stride_frames if states else model.metadata.context_frames
        bins = model.metadata.frontend.bins
        feed = {features.name: np.random.default_rng(0).normal(size=(1, 1, frames, bins)).astype(np.float32)}
        feed |= {state.name: value for state, value in zip(states, model.initial, strict=True)}
        for _ in range(WARM_UP + RUNS):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [event for event in events if event["cat"] == "Node" and event["name"].endswith("kernel_time")]
    spent: Counter[str] = Counter()
    for event in nodes[len(nodes) * WARM_UP // (WARM_UP + RUNS) :]:
        spent[event["args"]["op_name"]] += event["dur"]
    return {kind: micros / RUNS for kind, micros in spent.most_common()}


def peak_multiplies(size: int = 512, runs: int = 40) -> float:
    """Multiplies a second of this core at its best: a product of float32 matrices that stay in its cache."""
    torch.set_num_threads(1)
    matrix, out, times = torch.rand(size, size), torch.empty(size, size), []
    for _ in range(runs):
        begin = time.perf_counter()
        torch.mm(matrix, matrix, out=out)
        times.append(time.perf_counter() - begin)
    return size**3 / min(times)


def draw(profiles: Sequence[Profile]) -> Figure:
    """A bar for each model: the parts that its cost is made of."""
    figure = Figure(figsize=(8, 1 + 0.5 * len(profiles)), layout="constrained")
    axes = figure.subplots()
    rows = range(len(profiles))
    left = np.zeros(len(profiles))
    for part, colour in zip((*PARTS, REST), COLOURS, strict=True):
        widths = np.array([each.parts[part] for each in profiles])
        axes.barh(rows, widths, left=left, color=colour, label=part, height=0.6)
        left += widths
    axes.set_yticks(rows, [each.name for each in profiles])
    axes.invert_yaxis()
    axes.set_xlabel("CPU, % of one core, continuous speech")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(COLOURS), frameon=False)
    return figure


def write(
    figures: Mapping[str, Figures], rounds: int, profiles: Sequence[Profile], peak: float, seconds: float, told: str
) -> str:
    """The page."""
    head, *whole = rows_of(figures)
    parts = [
        [each.name, *(f"{share:.3f}" for share in each.parts.values()), f"{sum(each.parts.values()):.3f}"]
        for each in profiles
    ]
    nodes = []
    for each in profiles:
        costliest = [f"{kind} {micros:.0f}" for kind, micros in list(each.nodes.items())[:4]]
        nodes.append([each.name, f"{sum(each.nodes.values()):.0f}", ", ".join(costliest)])
    floor = [
        [
            each.name,
            f"{each.multiplies:,}",
            f"{100 * each.multiplies * each.inferences / peak:.3f}",
            f"{each.parts['network']:.3f}",
            f"{each.parts['network'] * peak / (100 * each.multiplies * each.inferences):.1f}",
        ]
        for each in profiles
    ]
    peers = list(figures)[len(profiles) :]
    others = f" Other\nengines (`--peer`, benchmarks/peer_*.py): {', '.join(peers)}." if peers else ""
    versions = f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}"
    return f"""# Where the time goes

Written by `python benchmarks/performance.py {told}`
on {platform.machine()}, {platform.system()}, {versions}: one thread, {seconds:.0f} s of continuous
speech. Other machines differ; ratios within one run travel better than what they are made of.

## Side by side

`kws-bench FILE --against ...`: in turns on one core, the best of {rounds} rounds; `in silence`: the same length of
zeros, where the gate stays closed; `start`: import and load; `replay`: a second at once, as a file is replayed.{others}

{table(head, whole)}

## By part of the runtime

CPU % of a core while the gate is open all the time; `{REST}`: what lies between the parts.

![The same as bars](performance.png)

{table(["", *PARTS, REST, "all"], parts)}

## By kind of node

Microseconds of one inference in onnxruntime's profiler, whose own cost is in them.

{table(["", "all", "the four costliest"], nodes)}

## The floor

The multiplies of the network at the rate of this core's best product of float32 matrices, {peak / 1e9:.0f} thousand
million a second, beside what the network costs. Networks of 8 bits multiply faster than that.

{table(["", "multiplies an inference", "least CPU %", "CPU %", "times the least"], floor)}
"""


def command(options: argparse.Namespace) -> int:
    """Measure, draw and write."""
    bench = [sys.executable, "-m", "kws_stream.cli.bench", options.file, "--json", "--model"]
    commands = [(model, [*bench, model]) for model in options.models]
    commands += [(name, [*words, options.file]) for name, words in options.peer]
    figures = compare(commands, options.rounds)
    rate = KeywordModel.load(options.models[0]).metadata.frontend.sample_rate
    samples = read_samples(options.file, rate)
    profiles = [profile(model, samples) for model in options.models]
    told = f"{Path(options.file).name} --models {' '.join(Path(model).stem for model in options.models)}"
    page = write(figures, options.rounds, profiles, peak_multiplies(), len(samples) / rate, told)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "performance.md").write_text(page)
    draw(profiles).savefig(options.output / "performance.png", dpi=120)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--models", nargs="+", default=[zoo.DEFAULT], metavar="M")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"))
    parser.add_argument("--rounds", type=count, default=3, metavar="N")
    parser.add_argument("--peer", action="append", default=[], type=named_command, metavar="NAME=COMMAND")
    options = parser.parse_args(arguments)
    return run("performance.py", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
