"""What must hold for every registered architecture, whoever wrote it."""

from __future__ import annotations

from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.onnx import build_metadata, to_onnx
from kws_stream.config import DecoderConfig, GateConfig
from models.complexity import count_multiplies
from models.labels import LABELS
from models.lightcnn import LightCNN
from models.registry import find_architecture, list_architectures, register, trainable_count
from models.task import KeywordTask

WIDER = (
    *("bcresnet-1.5", "bcresnet-2", "bcresnet-3", "bcresnet-6", "bcresnet-8", "tcresnet8-1.5", "tcresnet14-1.5"),
    *("dscnn-m", "dscnn-l", "res8", "res15", "res26", "res15-narrow", "res26-narrow", "kwt-2", "kwt-3"),
    *("matchboxnet-3x2x64", "matchboxnet-6x2x64", "compact", "compact-large", "tcresnet-stream-wide"),
    *("dnn-s", "dnn-m", "dnn-l", "cnn-tpool2", "cnn-tpool3", "cnn-trad-pool2", "cnn-one-fpool3", "cnn-one-fstride8"),
    *("basic-lstm-m", "basic-lstm-l", "lstm-m", "lstm-l", "gru-m", "gru-l", "crnn-m", "crnn-l"),
    *("mnist", "vgg16", "inception-v3", "resnet50"),
)
"""graphs of a narrower one, which `make test` exports, or files of 100 MB and more: each export takes seconds"""

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
    """A row gets the same logits alone, in a batch, and in another place of it; other rows get others. In float64: the
    statistics of four rows enlarge the rounding of a deep network."""
    features = features_of(name, 4).double()
    network = seen_something(build(name).double(), features)
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
    seen_something(task.network, features_of(name, 32))  # of three rows, statistics would enlarge a deep one's rounding
    model = to_onnx(task, build_metadata(task, "CC0", {}, DecoderConfig(), GateConfig()))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = task.network(features).numpy()
    (logits,) = session.run(None, {"features": features.numpy()})
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-4)
    (alone,) = session.run(None, {"features": features[:1].numpy()})
    np.testing.assert_allclose(alone, expected[:1], atol=1e-4, rtol=1e-4)


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


class Published(NamedTuple):
    """What a paper's table says of a network, at the paper's input."""

    name: str
    shape: tuple[int, int, int]
    """frames, bins, labels"""
    parameters: float | None
    multiplies: float | None
    tolerance: float
    reason: str
    """of the difference that is tolerated"""
    settings: dict[str, object] = {}  # noqa: RUF012


MEMORY = "the paper gives bytes, a value each: the maps in memory count, too; and operations, two a multiply"
HELLO_EDGE = (
    ("dnn-s", 25, 80.0e3, 158.8e3 / 2, 0.01),
    ("dnn-m", 25, 199.4e3, 397.1e3 / 2, 0.01),
    ("dnn-l", 25, 496.6e3, 990.2e3 / 2, 0.01),
    ("basic-lstm-s", 49, 63.3e3, 5.9e6 / 2, 0.01),
    ("basic-lstm-m", 49, 196.5e3, 18.9e6 / 2, 0.01),
    ("basic-lstm-l", 49, 494.5e3, 47.9e6 / 2, 0.01),
    ("lstm-s", 25, 79.5e3, 3.9e6 / 2, 0.025),  # peepholes
    ("lstm-m", 49, 198.6e3, 19.2e6 / 2, 0.015),
    ("lstm-l", 49, 498.8e3, 48.4e6 / 2, 0.01),
    ("gru-s", 25, 78.8e3, 3.8e6 / 2, 0.01),
    ("gru-m", 49, 200.0e3, 19.2e6 / 2, 0.01),
    ("gru-l", 49, 499.7e3, 48.4e6 / 2, 0.01),
    ("crnn-s", 49, 79.7e3, 3.0e6 / 2, 0.055),  # maps of 20 x 4
    ("crnn-m", 49, 199.8e3, 7.6e6 / 2, 0.055),
    ("crnn-l", 49, 499.5e3, 19.3e6 / 2, 0.03),
)
"""name, frames, memory, multiplies, tolerance: Zhang et al. 2017, table 3, of 10 coefficients and 12 labels"""
POOLS: dict[str, dict[str, object]] = {
    **{f"dnn-{size}": {"pool": (1, 1)} for size in "sml"},
    **{"crnn-s": {"stride": (2, 2)}, "crnn-m": {"stride": (2, 2)}, "crnn-l": {"stride": (2, 1)}},
}
"""what fits our longer input to the networks, as the paper has it"""
PUBLISHED = (
    Published("dnn", (41, 40, 4), 244e3, None, 0.005, "the paper's count of labels is not known", {"pool": (1, 1)}),
    Published("cnn-trad-fpool3", (32, 40, 4), 244.2e3, 9.7e6, 0.002, "the paper counts no biases"),
    Published("cnn-trad-fpool3", (101, 40, 12), 1.37e6, 125e6, 0.005, "three digits, no biases"),
    Published("cnn-tpool2", (101, 40, 12), 1.09e6, 103e6, 0.006, "three digits"),
    Published("cnn-one-fpool3", (32, 40, 4), None, 456.2e3 + 19e3 + 21e3, 0.001, "layer by layer, in three digits"),
    Published("cnn-tpool3", (101, 40, 12), 823e3, 73.7e6, 0.001, "three digits"),
    Published("cnn-one-fstride4", (101, 40, 12), None, 1.43e6, 0.003, "three digits; its parameters are counted below"),
    Published("cnn-one-fstride8", (101, 40, 12), None, 1.43e6, 0.003, "three digits; its parameters are counted below"),
    Published(
        "low-latency-conv", (101, 40, 12), 954e3, 5.76e6, 0.001, "three digits; the authors' notebook says 964,000"
    ),
    Published("cnn-trad-pool2", (101, 40, 12), None, 98.8e6, 0.03, "counted by hand, on maps that are not given"),
    Published("crnn", (151, 40, 2), 229e3, None, 0.005, "torch has two biases a gate"),
    Published(
        "dilated", (1, 20, 2), 222e3, 22e6 / 100, 0.01, "per second of 100 frames; the last residual is left out"
    ),
    *(
        Published(name, (frames, 10, 12), memory, multiplies, tolerance, MEMORY, POOLS.get(name, {}))
        for name, frames, memory, multiplies, tolerance in HELLO_EDGE
    ),
)
OWN_TESTS = (
    *("bcresnet", "tcresnet", "matchboxnet", "dscnn", "res8", "res15", "res26", "mhatt", "kwt", "compact", "lightcnn"),
)
"""families whose papers' figures stand in the test of their module"""
OURS = ("gru-stream", "gru-stream-large", "gru-window")
NO_TABLE = {
    "crnn-causal": "the paper's table is of both directions",
    "vgg-small": "the paper gives no layers",
    "kws-vad": "the paper gives no counts, and learns from transcripts",
    **dict.fromkeys(OURS, "ours, counted in the test of its module"),
    "adaptive": "the paper adapts the networks of others",
    **dict.fromkeys(
        ("mnist", "vgg16", "inception-v3", "resnet50", "squeezenet"), "exact, in the tests of their modules"
    ),
}


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.name}-{row.shape[0]}")
def test_the_figures_of_the_papers(row: Published) -> None:
    frames, bins, labels = row.shape
    network = find_architecture(row.name).build(frames, bins, labels, **row.settings)
    assert row.reason
    if row.parameters:
        assert trainable_count(network) == pytest.approx(row.parameters, rel=row.tolerance)
    if row.multiplies:
        assert count_multiplies(network, frames, bins) == pytest.approx(row.multiplies, rel=row.tolerance)


def test_no_network_goes_unmeasured_against_its_paper() -> None:
    held = {row.name for row in PUBLISHED} | set(NO_TABLE)
    others = {name for name in list_architectures() if not name.startswith(OWN_TESTS)}
    assert others == held
    assert all(find_architecture(name).paper for name in held - set(OURS))


@pytest.mark.parametrize(
    ("name", "parameters", "multiplies"),
    [
        ("cnn-one-fstride4", 186 * 257 + 9 * 186 * 32, 9 * 186 * 256 + 9 * 186 * 32),
        ("cnn-one-fstride8", 336 * 257 + 5 * 336 * 32, 5 * 336 * 256 + 5 * 336 * 32),
        ("cnn-tpool3", 94 * (121 + 94 * 24 + 1) + 8 * 94 * 32, 18 * 33 * 94 * 120 + 8 * 94 * (94 * 24 + 32)),
    ],
)
def test_the_others_of_sainath_and_parada_by_hand(name: str, parameters: int, multiplies: int) -> None:
    """32 x 40 and 4 labels: the convolutions and the bottleneck, then two hidden layers of 128."""
    network = find_architecture(name).build(32, 40, 4)
    assert trainable_count(network) == parameters + 32 + 33 * 128 + 129 * 128 + 129 * 4
    assert count_multiplies(network, 32, 40) == multiplies + 32 * 128 + 128 * 128 + 128 * 4
