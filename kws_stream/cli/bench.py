"""`kws-bench`: what a stream costs, and what many cost together."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws_stream.cli import add_model, add_vad, gate_of, parser, run
from kws_stream.cli.bench_comparison import add_comparison, compare, count, draw_comparison
from kws_stream.cli.bench_pool import SECONDS, measure_pool
from kws_stream.cli.memory import peak_rss_mb
from kws_stream.config import GateConfig
from kws_stream.errors import AudioError
from kws_stream.model import KeywordModel
from kws_stream.pool import SpotterPool
from kws_stream.sources import FileSource
from kws_stream.spotter import KeywordSpotter

WARM_UP_SECONDS = 5
NOISE_SECONDS = 60


class Cost(NamedTuple):
    """Of one run over a recording."""

    cpu_percent: float
    """CPU seconds per second of audio, all threads, times 100"""
    p50_ms: float
    p99_ms: float
    """time of one block"""
    realtime_factor: float
    """seconds of audio for a second on the clock"""
    inferences_per_s: float
    """of audio"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    command = parser("kws-bench", "Measure the cost of a stream: of FILE, and of silence of the same length.")
    command.add_argument("file", nargs="?", metavar="FILE", help="a recording (default: a minute of noise, gate off)")
    add_model(command)
    add_vad(command)
    command.add_argument(
        "--streams",
        type=count,
        metavar="N",
        help=f"also push N streams of it through one SpotterPool, {SECONDS} s each, faster than real time: "
        "pool_cpu_percent is of one stream, pool_streams_per_core what a core keeps up with, pool_p50_ms and "
        "pool_p99_ms the time of a block of all streams, pool_realtime_factor the seconds of every stream for one on "
        "the clock, pool_inferences_per_s those of one stream, pool_inferences_per_call the batches of the network, "
        "pool_rss_mb the largest memory of the whole run",
    )
    command.add_argument(
        "--hop", type=float, metavar="MS", help="between two answers of a network that sees windows, instead of its own"
    )
    add_comparison(command)
    command.add_argument("--json", action="store_true", help="one JSON object; of a comparison, one for each in it")
    options = command.parse_args(arguments)
    if options.peer and not options.file:
        command.error("--peer needs a FILE, which the other engine hears, too")
    return options


def read_samples(path: str, rate: int) -> NDArray[np.int16]:
    """A recording as a microphone gives it, `(n,)` at `rate`. Raises AudioError."""
    signal = np.concatenate([block.samples for block in FileSource(path).blocks(rate)])
    samples: NDArray[np.int16] = (signal * 32767).clip(-32768, 32767).astype(np.int16)
    return samples


def measure(spotter: KeywordSpotter, samples: NDArray[np.int16], block: int) -> Cost:
    """Push `samples` `(n,)` block by block, after a warm-up."""
    rate = spotter.model.metadata.frontend.sample_rate
    blocks = [samples[start : start + block] for start in range(0, len(samples) - block + 1, block)]
    for warm in blocks[: WARM_UP_SECONDS * rate // block]:
        spotter.push(warm)
    spotter.reset()
    times = np.empty(len(blocks))
    cpu, clock = time.process_time(), time.perf_counter()
    for i, piece in enumerate(blocks):
        begin = time.perf_counter()
        spotter.push(piece)
        times[i] = time.perf_counter() - begin
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    seconds = len(blocks) * block / rate
    p50, p99 = np.percentile(times, (50, 99)) * 1000
    return Cost(100 * cpu / seconds, float(p50), float(p99), seconds / clock, spotter.inferences / seconds)


class Start(NamedTuple):
    """What it takes to begin to listen, in an interpreter that does nothing else."""

    seconds: float
    """for import and load, without the interpreter's own start"""
    rss_mb: float | None
    """the largest memory until it has heard two seconds"""


START = """
import sys, time
begin = time.perf_counter()
import kws_stream
model = kws_stream.KeywordModel.load(sys.argv[1])
seconds = time.perf_counter() - begin
import json, numpy
from kws_stream.cli.memory import peak_rss_mb
spotter = kws_stream.KeywordSpotter(model, gate=kws_stream.GateConfig(mode=None))
for _ in range(100):
    spotter.push(numpy.zeros(model.metadata.frontend.sample_rate // 50, numpy.int16))
print(json.dumps([seconds, peak_rss_mb()]))
"""


def measure_start(model: str) -> Start:
    """The least of five."""
    run_once = [sys.executable, "-c", START, model]
    runs = [Start(*json.loads(subprocess.run(run_once, capture_output=True, check=True).stdout)) for _ in range(5)]
    known = [run.rss_mb for run in runs if run.rss_mb is not None]
    return Start(min(run.seconds for run in runs), min(known, default=None))


def command(options: argparse.Namespace) -> int:
    """Measure and print."""
    if options.against or options.peer:
        return command_comparison(options)
    model = KeywordModel.load(options.model)
    if options.hop is not None:
        model = model.stepping(options.hop)
    frontend = model.metadata.frontend
    if options.file:
        samples = read_samples(options.file, frontend.sample_rate)
        gate = gate_of(options.vad, model.metadata.gate)
    else:
        samples = np.random.default_rng(0).normal(0, 3000, NOISE_SECONDS * frontend.sample_rate).astype(np.int16)
        gate = GateConfig(mode=None)
    if len(samples) < 2 * frontend.sample_rate:
        raise AudioError(f"{options.file}: too short to measure; expected 2 s or more")
    block = model.metadata.stride_frames * frontend.hop
    cost = measure(KeywordSpotter(model, gate=gate), samples, block)
    silence = measure(KeywordSpotter(model, gate=gate), np.zeros_like(samples), block)
    replay = measure(KeywordSpotter(model, gate=gate), samples, frontend.sample_rate)  # a second at once, as of a file
    start = measure_start(options.model)
    figures: dict[str, float | None] = {name: round(value, 4) for name, value in cost._asdict().items()} | {
        "silence_cpu_percent": round(silence.cpu_percent, 4),
        "replay_realtime_factor": round(replay.realtime_factor, 1),
        "startup_s": round(start.seconds, 3),
        "rss_mb": None if start.rss_mb is None else round(start.rss_mb, 1),
        "hop_ms": 1000 * block / frontend.sample_rate,
        "seconds": len(samples) / frontend.sample_rate,
    }
    if options.streams:
        together = measure_pool(SpotterPool(model, gate=gate), samples, block, options.streams)
        rss = peak_rss_mb()
        figures |= {name: round(value, 4) for name, value in together._asdict().items()}
        figures["pool_rss_mb"] = None if rss is None else round(rss, 1)
    if options.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:<24} {value}" for name, value in figures.items()))
    return 0


def command_comparison(options: argparse.Namespace) -> int:
    """Measure this model and all others, each in a process of its own, and print a table."""
    file = [options.file] if options.file else []
    asked = {"--vad": options.vad, "--hop": options.hop, "--streams": options.streams}
    same = [word for name, value in asked.items() if value is not None for word in (name, str(value))]
    ourselves = [sys.executable, "-m", "kws_stream.cli.bench", *file, "--json", *same]
    commands = [(model, [*ourselves, "--model", model]) for model in (options.model, *options.against)]
    commands += [(name, [*words, *file]) for name, words in options.peer]
    figures = compare(commands, options.rounds)
    print(json.dumps(figures) if options.json else draw_comparison(figures))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return run("kws-bench", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
