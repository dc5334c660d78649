"""`python benchmarks/server.py FILE --streams 1000 --cores 2`: live streams, as a server has them.

Each core has a process with a pool of its share of the streams. A block of every stream arrives when it would from a
microphone, by the clock, and must be answered before the next: printed is how long the blocks took, from their arrival,
and how many were late. Every stream is FILE over and over, begun elsewhere and at another time; the gate is open all
the time (`--vad`).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from kws_stream import GateConfig, KeywordModel, SpotterPool
from kws_stream.cli import run
from kws_stream.cli.bench import read_samples
from kws_stream.cli.bench_pool import WARM_UP_SECONDS, endless_blocks
from models.markdown import table


class Served(NamedTuple):
    """What one process did."""

    cpu_percent: float
    """of a core"""
    delays: list[float]
    """ms from the arrival of each block of all its streams until all were answered"""
    inferences: int


def serve(options: argparse.Namespace, core: int) -> Served:
    """Answer this core's share of the streams as they arrive."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})
    model = KeywordModel.load(options.model)
    rate = model.metadata.frontend.sample_rate
    block = model.metadata.stride_frames * model.metadata.frontend.hop
    pool = SpotterPool(model, gate=GateConfig(mode=options.vad))
    streams = len(range(core, options.streams, options.cores))
    for stream in range(streams):
        pool.add(stream)
    blocks = endless_blocks(read_samples(options.file, rate), block, streams)
    warm_up = WARM_UP_SECONDS * rate // block
    for number, warm in enumerate(islice(blocks, warm_up)):  # they do not all begin at once, nor are renewed at once
        pool.push({stream: samples for stream, samples in warm.items() if stream % warm_up <= number})
    inferences, delays = pool.inferences, []
    cpu, begin = time.process_time(), time.perf_counter()
    for number, pushed in enumerate(islice(blocks, round(options.seconds * rate / block))):
        arrival = begin + number * block / rate
        time.sleep(max(0.0, arrival - time.perf_counter()))
        pool.push(pushed)
        delays.append(1000 * (time.perf_counter() - arrival))
    cpu, clock = time.process_time() - cpu, time.perf_counter() - begin
    return Served(100 * cpu / clock, delays, pool.inferences - inferences)


def command(options: argparse.Namespace) -> int:
    """Start the processes, wait, print."""
    metadata = KeywordModel.load(options.model).metadata
    hop = 1000 * metadata.stride_frames * metadata.frontend.hop / metadata.frontend.sample_rate
    with ProcessPoolExecutor(options.cores, mp_context=get_context("spawn")) as processes:
        served = list(processes.map(partial(serve, options), range(options.cores)))
    rows = []
    for core, each in enumerate(served):
        p50, p99 = np.percentile(each.delays, (50, 99))
        late = sum(delay > hop for delay in each.delays)
        rows.append((core, f"{each.cpu_percent:.0f}", f"{each.inferences:,}", f"{p50:.0f}", f"{p99:.0f}", late))
    print(f"{options.model}: {options.streams:,} streams for {options.seconds:g} s, a block of each every {hop:g} ms\n")
    print(table(("process", "CPU % of a core", "inferences", "p50 ms", "p99 ms", "late blocks"), rows))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser("python benchmarks/server.py", description=__doc__)
    parser.add_argument("file", metavar="FILE", help="continuous speech")
    parser.add_argument("--model", default="gru-stream")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--vad", type=int, choices=range(4), help="webrtcvad's mode (default: the gate is open)")
    options = parser.parse_args(arguments)
    return run("server", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
