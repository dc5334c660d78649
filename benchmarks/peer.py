"""What another engine costs: the pattern of the scripts `peer_*.py`, each of which `kws-bench FILE --peer` can run.

A peer is a command, in whatever environment it needs: it reads the recording named last, pushes it as its users do, one
thread, and prints one JSON object with `cpu_percent` and what else it knows of `p50_ms`, `p99_ms`, `rss_mb`,
`startup_s`, `hop_ms`. These need numpy and soundfile beside the engine:

    python -m venv peers && peers/bin/pip install numpy soundfile pymicro-wakeword
    kws-bench speech.flac --vad off --peer "pymicro-wakeword=peers/bin/python benchmarks/peer_pymicro_wakeword.py"
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000
Push = Callable[[NDArray[np.int16]], object]


def measure(load: Callable[[], Push], hop: int, path: str) -> None:
    """Push the recording at `path`, 16 kHz mono, `hop` samples at a time; `load` imports, loads and returns what to
    call."""
    begin = time.perf_counter()
    push = load()
    startup = time.perf_counter() - begin
    samples, rate = soundfile.read(path, dtype="int16")
    if rate != RATE or samples.ndim != 1:
        sys.exit(f"{path}: expected {RATE} Hz mono, got {rate} Hz with {samples.shape[1:] or 1} channels")
    blocks = [samples[start : start + hop] for start in range(0, len(samples) - hop + 1, hop)]
    for block in blocks[: RATE // hop]:  # what is made once, at first use
        push(block)
    times = np.empty(len(blocks))
    cpu = time.process_time()
    for i, block in enumerate(blocks):
        begin = time.perf_counter()
        push(block)
        times[i] = time.perf_counter() - begin
    cpu = time.process_time() - cpu
    p50, p99 = np.percentile(times, (50, 99)) * 1000
    figures = {
        "cpu_percent": 100 * cpu / (len(blocks) * hop / RATE),
        "p50_ms": p50,
        "p99_ms": p99,
        "startup_s": startup,
        "hop_ms": 1000 * hop / RATE,
    }
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        figures["rss_mb"] = int(peak.split()[1]) / 1024
    print(json.dumps(figures))
