"""`kws-bench FILE --peer "webrtcvad=python benchmarks/webrtcvad_alone.py"`: voice activity detection without keywords.

The least that anything costs that listens all day, and the pattern for other engines. A peer is a command, in whatever
environment it needs: it reads the recording named last, pushes it as its users do, one thread, and prints one JSON
object with `cpu_percent` and what else it knows of `p50_ms`, `p99_ms`, `rss_mb`, `startup_s`, `hop_ms`.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import soundfile

RATE = 16_000
HOP = 480  # samples, 30 ms: the longest block that webrtcvad takes


def main(path: str) -> None:
    """Push the recording at `path`, 16 kHz mono."""
    begin = time.perf_counter()
    import webrtcvad  # what `startup_s` measures

    detector = webrtcvad.Vad(2)
    startup = time.perf_counter() - begin
    samples, rate = soundfile.read(path, dtype="int16")
    if rate != RATE or samples.ndim != 1:
        sys.exit(f"{path}: expected {RATE} Hz mono, got {rate} Hz with {samples.shape[1:] or 1} channels")
    blocks = [samples[start : start + HOP].tobytes() for start in range(0, len(samples) - HOP + 1, HOP)]
    times = np.empty(len(blocks))
    cpu = time.process_time()
    for i, block in enumerate(blocks):
        begin = time.perf_counter()
        detector.is_speech(block, RATE)
        times[i] = time.perf_counter() - begin
    cpu = time.process_time() - cpu
    p50, p99 = np.percentile(times, (50, 99)) * 1000
    figures = {
        "cpu_percent": 100 * cpu / (len(blocks) * HOP / RATE),
        "p50_ms": p50,
        "p99_ms": p99,
        "startup_s": startup,
        "hop_ms": 1000 * HOP / RATE,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
