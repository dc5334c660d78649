from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from models.energy import MULTIPLY_JOULES, PowerMeter, measure_cost


def write_meter(folder: Path, name: str, energy: int, largest: int = 1_000_000) -> Path:
    package = folder / name
    package.mkdir()
    (package / "energy_uj").write_text(f"{energy}\n")
    (package / "max_energy_range_uj").write_text(f"{largest}\n")
    return package


def test_packages_are_read_and_their_parts_are_not_counted_twice(tmp_path: Path) -> None:
    package = write_meter(tmp_path, "intel-rapl:0", 100)
    write_meter(tmp_path, "intel-rapl:0:0", 40)
    write_meter(tmp_path, "intel-rapl:1", 7)
    (tmp_path / "intel-rapl").mkdir()
    meter = PowerMeter.find(tmp_path)
    before = meter.read()
    assert before == (100, 7)
    (package / "energy_uj").write_text("2100")
    assert meter.joules(before, meter.read()) == pytest.approx(0.002)


def test_a_counter_that_began_again(tmp_path: Path) -> None:
    write_meter(tmp_path, "intel-rapl:0", 900_000)
    meter = PowerMeter.find(tmp_path)
    assert meter.joules((900_000,), (100_000,)) == pytest.approx(0.2)


def test_a_meter_that_may_not_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "intel-rapl:0" / "energy_uj").mkdir(parents=True)
    assert PowerMeter.find(tmp_path).packages == ()
    assert PowerMeter.find(tmp_path / "nowhere").packages == ()


def test_without_a_meter_it_is_an_estimate_from_the_multiplies() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    threads = torch.get_num_threads()
    cost = measure_cost(network, 3, 4, multiplies=60, meter=PowerMeter(()))
    assert cost.energy_mj == pytest.approx(60 * MULTIPLY_JOULES * 1e3)
    assert not cost.metered
    assert cost.cpu_ms > 0
    assert torch.get_num_threads() == threads


def test_with_a_meter_it_is_measured(tmp_path: Path) -> None:
    """A network that moves the counter by a millijoule each time."""
    counter = write_meter(tmp_path, "intel-rapl:0", 0, 10**12) / "energy_uj"

    class Hungry(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            counter.write_text(str(int(counter.read_text()) + 1000))
            return features

    cost = measure_cost(Hungry(), 3, 4, multiplies=0, meter=PowerMeter.find(tmp_path))
    assert cost.metered
    assert cost.energy_mj == pytest.approx(1.0)
