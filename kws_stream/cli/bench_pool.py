"""What many streams cost together: `kws-bench --streams`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws_stream.pool import SpotterPool

WARM_UP_SECONDS = 2
"""Longer than any context, so that every stream makes inferences when the clock starts."""
SECONDS = 10


class PoolCost(NamedTuple):
    """Of streams that are pushed together, a block of each at once."""

    pool_streams: int
    pool_cpu_percent: float
    """CPU seconds per second of audio of one stream, all threads, times 100"""
    pool_streams_per_core: int
    """as many as one core keeps up with at this cost"""
    pool_p50_ms: float
    pool_p99_ms: float
    """time of one push for all streams: below hop_ms, all are kept up with"""
    pool_realtime_factor: float
    """seconds of audio of every stream for a second on the clock"""
    pool_inferences_per_s: float
    """of audio of one stream"""
    pool_inferences_per_call: float
    """of the network"""


def endless_blocks(samples: NDArray[np.int16], block: int, streams: int) -> Iterator[dict[int, NDArray[np.int16]]]:
    """`samples` `(n,)` over and over, as blocks of `streams` streams.

    Each stream begins elsewhere, so that they neither all speak nor all pause at once.
    """
    at = np.arange(streams) * len(samples) // streams
    circle = np.concatenate((samples, samples[:block]))
    while True:
        yield {stream: circle[start : start + block] for stream, start in enumerate(at.tolist())}
        at = (at + block) % len(samples)


def measure_pool(pool: SpotterPool, samples: NDArray[np.int16], block: int, streams: int) -> PoolCost:
    """Push `streams` streams of `samples` `(n,)` for SECONDS, block by block, after a warm-up."""
    rate = pool.model.metadata.frontend.sample_rate
    for stream in range(streams):
        pool.add(stream)
    blocks = endless_blocks(samples, block, streams)
    for warm in islice(blocks, WARM_UP_SECONDS * rate // block):
        pool.push(warm)
    inferences, calls = pool.inferences, pool.calls
    times = np.empty(SECONDS * rate // block)
    cpu, clock = time.process_time(), time.perf_counter()
    for i, pushed in enumerate(islice(blocks, len(times))):
        begin = time.perf_counter()
        pool.push(pushed)
        times[i] = time.perf_counter() - begin
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    inferences, calls = pool.inferences - inferences, pool.calls - calls
    seconds = len(times) * block / rate  # of every stream
    p50, p99 = np.percentile(times, (50, 99)) * 1000
    return PoolCost(
        pool_streams=streams,
        pool_cpu_percent=100 * cpu / seconds / streams,
        pool_streams_per_core=int(streams * seconds / cpu),
        pool_p50_ms=float(p50),
        pool_p99_ms=float(p99),
        pool_realtime_factor=seconds / clock,
        pool_inferences_per_s=inferences / seconds / streams,
        pool_inferences_per_call=inferences / max(1, calls),
    )
