"""Weights of others: what is read is what was written, and what does not fit is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from kws_stream.errors import KwsError, ModelError
from models.imagenet import ImageNetwork
from models.registry import find_architecture
from models.weights import load_weights, read_weights

Weights = dict[str, Tensor]
FEATURES = torch.randn(2, 1, 99, 161, generator=torch.Generator().manual_seed(1))


def build(name: str = "squeezenet", entry: str = "repeat") -> ImageNetwork:
    network = find_architecture(name).build(99, 161, 12, entry=entry)
    assert isinstance(network, ImageNetwork)
    return network.eval()


def answers(network: ImageNetwork) -> Tensor:
    """Of the trunk, flattened."""
    with torch.no_grad():
        return network.trunk(FEATURES if network.entry == "sum" else FEATURES.expand(-1, 3, -1, -1))


@pytest.fixture(scope="module")
def squeezenet() -> Weights:
    torch.manual_seed(7)
    return torchvision.models.squeezenet1_1().state_dict()


@pytest.mark.filterwarnings("ignore:NOTE. The nodes obtained by tracing the model in eval mode")  # torchvision's tracer
@pytest.mark.parametrize(
    ("name", "whole", "last"),
    [
        pytest.param("vgg16", torchvision.models.vgg16, "features", marks=pytest.mark.slow),  # a file of 528 MB
        ("resnet50", torchvision.models.resnet50, "layer4"),
        ("inception-v3", lambda: torchvision.models.inception_v3(init_weights=True), "Mixed_7c"),
    ],
)
def test_a_file_of_torchvision_s_own_gives_its_trunk(
    name: str, whole: Callable[[], nn.Module], last: str, tmp_path: Path
) -> None:
    """With the tensors of the classifiers, and what the maps in front of them are."""
    torch.manual_seed(7)
    theirs = whole().eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    ours = build(name)
    load_weights(ours, str(tmp_path / "theirs.pth"))
    images = FEATURES.expand(-1, 3, -1, -1) * (0.45 if name == "inception-v3" else 1)  # what its pixels were
    with torch.no_grad():
        expected = create_feature_extractor(theirs, {last: "maps"})(images)["maps"].flatten(1)
    spread = expected.std()  # of a random network's maps, large
    torch.testing.assert_close(answers(ours) / spread, expected / spread, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("suffix", ["npz", "pth"])
@pytest.mark.parametrize("entry", ["repeat", "sum"])
def test_both_kinds_of_file_and_of_entry_give_the_same(
    suffix: str, entry: str, squeezenet: Weights, tmp_path: Path
) -> None:
    trunk = {name: tensor for name, tensor in squeezenet.items() if name.startswith("features")}
    path = tmp_path / f"weights.{suffix}"
    torch.save(trunk, path) if suffix == "pth" else np.savez(path, **{n: t.numpy() for n, t in trunk.items()})
    network = build(entry=entry)
    load_weights(network, str(path))
    theirs = torchvision.models.squeezenet1_1()
    theirs.load_state_dict(squeezenet)
    with torch.no_grad():
        expected = theirs.eval().features(FEATURES.expand(-1, 3, -1, -1)).mean((2, 3))
    torch.testing.assert_close(answers(network), expected, atol=1e-5, rtol=1e-5)


def test_weights_of_pixels_to_255_see_them(squeezenet: Weights, tmp_path: Path) -> None:
    torch.save(squeezenet, tmp_path / "weights.pth")
    network, theirs = build(), torchvision.models.squeezenet1_1()
    load_weights(network, str(tmp_path / "weights.pth"), pixel_std=57.4)
    theirs.load_state_dict(squeezenet)
    with torch.no_grad():
        expected = theirs.eval().features(57.4 * FEATURES.expand(-1, 3, -1, -1)).mean((2, 3))
    torch.testing.assert_close(answers(network), expected, atol=1e-4, rtol=1e-4)


def test_imagenet_is_torchvision_s_cache(squeezenet: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    kept = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    kept.parent.mkdir(parents=True)
    torch.save(squeezenet, kept)
    network = build()
    load_weights(network, "imagenet")
    assert torch.equal(network.trunk.entry.weight, squeezenet["features.0.weight"])
    kept.write_bytes(b"no longer")
    with pytest.raises(ModelError, match="could not get its weights of squeezenet1_1"):
        load_weights(network, "imagenet")


NAME, SHAPE = "features.4.expand1x1.weight", (64, 16, 1, 1)


def without(weights: Weights) -> Weights:
    return {name: tensor for name, tensor in weights.items() if name != NAME}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, rf"{re.escape(NAME)} is missing, and so are 0 other tensors of squeezenet1_1"),
        (lambda weights: {}, r"features\.0\.weight is missing, and so are 49 other"),
        (lambda weights: {**weights, NAME: torch.zeros(3, 4)}, rf"{re.escape(NAME)} is \(3, 4\), .* \(64, 16, 1, 1\)"),
        (lambda weights: {**weights, NAME: torch.full(SHAPE, torch.nan)}, f"{re.escape(NAME)} holds values"),
        (lambda weights: {**weights, NAME: torch.zeros(SHAPE, dtype=torch.int8)}, "no finite numbers .*int8"),
        (lambda weights: {"conv1.weight": torch.zeros(1)}, r"no tensor conv1\.weight; these are weights of another"),
        (lambda weights: {"epoch": 3, **weights}, "epoch is no tensor but int; expected a plain state dict"),
        (lambda weights: list(weights.values()), "expected a state dict, names and tensors, got list"),
    ],
)
def test_what_does_not_fit_is_named(
    change: Callable[[Weights], object], message: str, squeezenet: Weights, tmp_path: Path
) -> None:
    torch.save(change(squeezenet), tmp_path / "weights.pth")
    network = build()
    before = network.trunk.entry.weight.clone()
    with pytest.raises(ModelError, match=message) as caught:
        load_weights(network, str(tmp_path / "weights.pth"))
    assert "\n" not in str(caught.value)
    assert torch.equal(network.trunk.entry.weight, before)


def test_a_truncated_file_is_told(squeezenet: Weights, tmp_path: Path) -> None:
    torch.save(squeezenet, tmp_path / "weights.pth")
    np.savez(tmp_path / "weights.npz", **{name: tensor.numpy() for name, tensor in squeezenet.items()})
    for suffix in ("pth", "npz"):
        path = tmp_path / f"weights.{suffix}"
        path.write_bytes(path.read_bytes()[:-5000])
        with pytest.raises(ModelError, match="truncated"):
            read_weights(path)


def test_the_damaged_tensor_of_an_archive_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", first=np.arange(9.0), second=np.full(100, 7.0))
    path = tmp_path / "weights.npz"
    content = path.read_bytes()
    path.write_bytes(content.replace(np.full(3, 7.0).tobytes(), np.full(3, 8.0).tobytes(), 1))
    with pytest.raises(ModelError, match=r"weights\.npz: second is not readable .*truncated"):
        read_weights(path)


def test_other_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no weights nowhere\.pth"):
        read_weights(Path("nowhere.pth"))
    with pytest.raises(KwsError, match="--pixel-std 0: expected"):
        load_weights(build(), "imagenet", pixel_std=0)
    light = find_architecture("lightcnn").build(98, 40, 12)
    with pytest.raises(KwsError, match=r"LightCNN has no trunk .*; there are: vgg16"):
        load_weights(light, "imagenet")


def test_the_real_weights_fit(weights: Path) -> None:
    """Of SqueezeNet 1.1, as ImageNet taught it; the range of what they answer to noise is that of what they know."""
    network = build()
    load_weights(network, str(weights / "squeezenet1_1_imagenet.npz"), pixel_std=57.4)
    spread = answers(network).std()
    assert 0.1 < spread < 100
