"""Encoders: what of a network they are, and that only what fits is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from kws_stream.errors import KwsError, ModelError
from models.encoder import encoder_of, encoder_weights
from models.registry import find_architecture
from models.weights import load_weights


def build(name: str = "compact-tiny", seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return find_architecture(name).build(98, 40, 12)


@pytest.mark.parametrize("frames", [98, 333])
def test_time_is_left_in_what_an_encoder_gives(frames: int) -> None:
    encoder = encoder_of(build())
    assert encoder.encode(torch.zeros(2, 1, frames, 40)).shape == (2, encoder.width, -(-frames // 4))


@pytest.mark.parametrize("name", ["gru-stream", "gru-window"])
def test_those_of_recurrent_networks_remember(name: str) -> None:
    network = find_architecture(name).build(96, 40, 12)
    encoder = encoder_of(network)
    assert encoder.encode(torch.zeros(2, 1, 336, 40)).shape == (2, encoder.width, 42)
    assert any("weight_hh" in tensor for tensor in encoder_weights(network))


def test_the_encoder_is_all_but_pool_and_classifier() -> None:
    network = build()
    others = {name.split(".")[0] for name in network.state_dict()} - {
        name.split(".")[0] for name in encoder_weights(network)
    }
    assert others == {"pool", "classifier"}


def test_a_file_fills_the_encoder_and_leaves_the_rest(tmp_path: Path) -> None:
    source, network = build(seed=1), build(seed=2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.save(encoder_weights(source), tmp_path / "encoder.pth")
    load_weights(network, str(tmp_path / "encoder.pth"))
    loaded = encoder_weights(source)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.get(name, before[name]))


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("compact-tiny", {"features.0.weight": None}, r"features\.0\.weight is missing"),
        ("compact-tiny", {"conv1.weight": torch.zeros(1)}, r"no tensor conv1\.weight"),
        ("compact-tiny", {"join.0.weight": torch.full((32, 20, 1, 5), torch.nan)}, r"join\.0\.weight .* no finite"),
        ("compact", {}, r"features\.0\.weight is \(8, 1, 3, 3\), .* expects \(16, 1, 3, 3\)"),
    ],
)
def test_what_does_not_fit_is_named(
    name: str, change: dict[str, torch.Tensor | None], complaint: str, tmp_path: Path
) -> None:
    changed = {**encoder_weights(build()), **change}
    path = tmp_path / "encoder.pth"
    torch.save({key: tensor for key, tensor in changed.items() if tensor is not None}, path)
    with pytest.raises(ModelError, match=complaint):
        load_weights(build(name), str(path))


def test_images_are_nothing_for_an_encoder() -> None:
    with pytest.raises(KwsError, match="no images"):
        load_weights(build(), "imagenet")


def test_other_networks_have_none() -> None:
    with pytest.raises(KwsError, match="LightCNN has no encoder"):
        encoder_of(build("lightcnn"))
