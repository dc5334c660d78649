"""What an inference takes: time of the processor, and energy where the processor has a meter."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

POWERCAP = Path("/sys/class/powercap")
"""where Linux shows the meters of Intel's and AMD's processors (RAPL)"""
MULTIPLY_JOULES = 4.6e-12
"""a multiply and an addition of float32 at 45 nm: Horowitz 2014, "Computing's energy problem", figure 1.1.9"""
LONG_ENOUGH = 0.2
"""seconds of inferences"""


class Cost(NamedTuple):
    """Of one inference at batch 1, by torch on one thread."""

    cpu_ms: float
    """processor time"""

    energy_mj: float
    """millijoules"""

    metered: bool
    """whether `energy_mj` was measured, on the whole package and its idle power with it; else it is an estimate from
    the multiplies, which leaves out whatever moves the weights and is a lower bound"""


@dataclass(frozen=True)
class PowerMeter:
    """The counters of all processor packages; none where they are not there or not for everybody to read."""

    packages: tuple[Path, ...]

    @classmethod
    def find(cls, folder: Path = POWERCAP) -> PowerMeter:
        """Packages are `intel-rapl:0` and so on; `intel-rapl:0:1` is a part of one, and counted with it."""
        found = sorted(path for path in folder.glob("*rapl:*") if path.name.count(":") == 1)
        return cls(tuple(path for path in found if _readable(path / "energy_uj")))

    def read(self) -> tuple[int, ...]:
        """Microjoules of each package since some time."""
        return tuple(int((path / "energy_uj").read_text()) for path in self.packages)

    def joules(self, before: tuple[int, ...], after: tuple[int, ...]) -> float:
        """Between two readings; a counter that began again is put right."""
        total = 0
        for path, start, end in zip(self.packages, before, after, strict=True):
            total += end - start if end >= start else end - start + int((path / "max_energy_range_uj").read_text())
        return total / 1e6


def _readable(path: Path) -> bool:
    try:
        path.read_text()
    except OSError:
        return False
    return True


@torch.no_grad()
def measure_cost(network: nn.Module, frames: int, bins: int, multiplies: int, meter: PowerMeter) -> Cost:
    """Infer until `LONG_ENOUGH` is over, once at least and once for nothing; leaves the network in evaluation mode."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    features = torch.zeros(1, 1, frames, bins)
    try:
        network.eval()(features)
        before, began, wall, count = meter.read(), time.process_time(), time.perf_counter(), 0
        while count == 0 or time.perf_counter() - wall < LONG_ENOUGH:
            network(features)
            count += 1
        seconds = time.process_time() - began
        joules = meter.joules(before, meter.read()) if meter.packages else multiplies * MULTIPLY_JOULES * count
    finally:
        torch.set_num_threads(threads)
    return Cost(1e3 * seconds / count, 1e3 * joules / count, bool(meter.packages))
