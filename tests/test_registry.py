"""What must hold for every registered architecture, whoever wrote it."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.onnx import build_metadata, to_onnx
from kws_stream.config import DecoderConfig, GateConfig
from models.labels import LABELS
from models.lightcnn import LightCNN
from models.registry import find_architecture, list_architectures, register
from models.task import KeywordTask

WIDER = (
    *("bcresnet-1.5", "bcresnet-2", "bcresnet-3", "bcresnet-6", "bcresnet-8", "tcresnet8-1.5", "tcresnet14-1.5"),
    *("dscnn-m", "dscnn-l", "res8", "res15", "res26", "res15-narrow", "res26-narrow", "kwt-2", "kwt-3"),
    *("matchboxnet-3x2x64", "matchboxnet-6x2x64", "compact", "compact-large", "tcresnet-stream-wide"),
)
"""graphs of a narrower one, which `make test` exports: each export takes seconds"""

every_architecture = pytest.mark.parametrize("name", list_architectures())
every_graph = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in WIDER else []) for name in list_architectures()],
)


def features_of(name: str, rows: int) -> Tensor:
    """`(rows, 1, frames, bins)` of standardised noise."""
    found = find_architecture(name)
    return torch.randn(rows, 1, found.frames, found.frontend.bins, generator=torch.Generator().manual_seed(0))


def seen_something(network: nn.Module, features: Tensor) -> nn.Module:
    """The network in evaluation mode, its batch norms with the statistics of one batch, so that no signal drowns."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    network.train()(features)
    return network.eval()


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    found = find_architecture(name)
    return found.build(found.frames, found.frontend.bins, len(LABELS))


@every_architecture
def test_each_row_has_logits_of_its_own(name: str) -> None:
    """A row gets the same logits alone, in a batch, and in another place of it; other rows get others."""
    features = features_of(name, 4)
    network = seen_something(build(name), features)
    with torch.no_grad():
        logits = network(features)
        assert logits.shape == (4, len(LABELS))
        torch.testing.assert_close(network(features.flip(0)).flip(0), logits, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(network(features[2:3]), logits[2:3], atol=1e-5, rtol=1e-4)
    assert (logits[0] - logits[1]).abs().max() > 1e-3


@every_architecture
def test_every_parameter_learns(name: str) -> None:
    network = build(name).train()
    functional.cross_entropy(network(features_of(name, 4)), torch.arange(4)).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.any(), path


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of torch's exporter, about itself
@every_graph
def test_onnxruntime_computes_the_same(name: str) -> None:
    """With any batch; the metadata's own test is in the file."""
    torch.manual_seed(0)
    task = KeywordTask(name, asdict(find_architecture(name).frontend)).eval()
    features = features_of(name, 3)
    seen_something(task.network, features)
    model = to_onnx(task, build_metadata(task, "CC0", {}, DecoderConfig(), GateConfig()))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = task.network(features).numpy()
    (logits,) = session.run(None, {"features": features.numpy()})
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    (alone,) = session.run(None, {"features": features[:1].numpy()})
    np.testing.assert_allclose(alone, expected[:1], atol=1e-4)


def test_the_standard_front_end_sees_a_second() -> None:
    for name in ("lightcnn", "bcresnet-1", "tcresnet8", "matchboxnet-3x1x64"):
        found = find_architecture(name)
        assert found.frames == found.frontend.frames(16_000) == 98
        assert found.frontend.bins == 40


def test_unknown_and_double_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown architecture 'resnet'; there are: .*lightcnn"):
        find_architecture("resnet")
    with pytest.raises(ValueError, match="registered twice"):
        register("lightcnn", find_architecture("lightcnn").frontend, 98)(LightCNN)
