from __future__ import annotations

import json

import pytest

from models.complexity import count_multiplies, layer_costs
from models.energy import PowerMeter
from models.lightcnn import LightCNN
from models.published import STUDY
from models.registry import list_architectures, parameter_count, trainable_count
from models.summary import main


def test_every_architecture_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Exact for machines; for people the same figures, with the paper."""
    assert main(["--json", "--quick"]) == 0
    rows = {row["architecture"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert sorted(rows) == list_architectures()
    network = LightCNN(98, 40, 12)
    assert rows["lightcnn"] == {
        "architecture": "lightcnn",
        "parameters": parameter_count(network),
        "trainable": trainable_count(network),
        "multiplies": count_multiplies(network, 98, 40),
        "frames": 98,
        "bins": 40,
        "paper": STUDY,
        **dict.fromkeys(("cpu_ms", "energy_mj", "metered")),
    }
    assert rows["bcresnet-1"]["paper"] == "Kim et al. 2021, 2106.04140"


def test_the_table_is_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.summary.list_architectures", lambda: ["lightcnn-spectrogram", "bcresnet-1"])
    assert main(["--quick"]) == 0
    output = capsys.readouterr().out
    (row,) = (" ".join(line.split()) for line in output.splitlines() if "bcresnet-1" in line)
    assert row == "bcresnet-1 11,648 9,232 2,408,440 98 x 40 Kim et al. 2021, 2106.04140"
    assert "723,968" in output


def test_time_and_energy_of_an_inference(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a power meter, the estimate says that it is one."""
    monkeypatch.setattr("models.summary.list_architectures", lambda: ["bcresnet-1", "dnn"])
    monkeypatch.setattr("models.energy.LONG_ENOUGH", 0.01)
    monkeypatch.setattr("models.summary.PowerMeter.find", lambda: PowerMeter(()))
    assert main(["--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(row["cpu_ms"] > 0 and row["metered"] is False for row in rows)
    assert rows[1]["energy_mj"] == pytest.approx(rows[1]["multiplies"] * 4.6e-9)
    assert main([]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "CPU, ms energy, mJ (estimated)" in output
    assert "no power meter to read: 4.6 pJ a multiply, a lower bound" in output


def test_the_layers_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--layers", "lightcnn", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    costs = layer_costs(LightCNN(98, 40, 12), 98, 40)
    assert rows == [{**cost._asdict(), "shape": list(cost.shape)} for cost in costs]
    assert main(["--layers", "lightcnn"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "features.1 Conv2d 8 x 97 x 39 40 121,056" in lines
    assert f"sum {sum(cost.parameters for cost in costs):,} {sum(cost.multiplies for cost in costs):,}" in lines


def test_an_unknown_architecture_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--layers", "resnet"])
    assert "invalid choice: 'resnet'" in capsys.readouterr().err
