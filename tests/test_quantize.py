from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from export.onnx import build_metadata, to_onnx
from export.quantize import choose_clips, main
from kws_stream import DecoderConfig, GateConfig, KeywordModel, zoo
from kws_stream.model import QUANTIZED_TOLERANCE
from models.calibration import Scaled
from models.dataset import Clip, fingerprint, list_clips
from models.registry import find_architecture
from models.task import KeywordTask
from tests.corpus import write_corpus
from tests.streams import write_model

# torch's exporter warns of its own internals.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Recurrent(nn.Module):
    """A convolution with its batch norm, a recurrent layer, a linear one."""

    def __init__(self, kind: type[nn.GRU] | type[nn.LSTM]) -> None:
        super().__init__()
        self.convolution = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())
        self.recurrent = kind(8 * 19, 32, batch_first=True)
        self.linear = nn.Linear(32, 12)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        maps = self.convolution(features)  # (batch, 8, 48, 19)
        steps, _ = self.recurrent(maps.permute(0, 2, 1, 3).flatten(2))  # (batch, 48, 32)
        return self.linear(steps[:, -1])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=2)


@pytest.fixture(scope="module", params=[nn.GRU, nn.LSTM])
def recurrent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was never trained, exported with a temperature; its batch norm has seen something."""
    torch.manual_seed(0)
    frontend = asdict(find_architecture("lightcnn").frontend) | {"mean": -6.6, "std": 4.8}
    task = KeywordTask("lightcnn", frontend)
    task.network = Recurrent(request.param)
    task.network.convolution[1].momentum = 1.0
    task.train()
    task(torch.randn(16, 16_000) * 0.1)
    task.network = Scaled(task.network, 0.8, [0.0] * 11 + [-1.0])
    metadata = build_metadata(task.eval(), "CC0", {}, DecoderConfig(), GateConfig())
    path = tmp_path_factory.mktemp("recurrent") / f"{request.param.__name__}.onnx"
    path.write_bytes(to_onnx(task, metadata).SerializeToString())
    return path


def quantize(model: str | Path, output: Path, corpus: Path, *options: str) -> KeywordModel:
    assert main([str(model), "-o", str(output), "--data", str(corpus), *options]) == 0
    return KeywordModel.load(output)


@pytest.mark.parametrize("method", ["static", "dynamic"])
def test_the_file_is_smaller_and_describes_itself(method: str, corpus: Path, tmp_path: Path) -> None:
    source = KeywordModel.load("lightcnn")
    result = quantize("lightcnn", tmp_path / "m.onnx", corpus, "--method", method, "--clips", "8")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").stat().st_size < 0.45 * zoo.find("lightcnn").stat().st_size
    facts = result.metadata.training["quantization"]
    assert (facts["method"], facts["integer_share"] > 0.9) == (method, True)
    assert facts["source"]["name"] == "lightcnn"
    assert facts["source"]["sha256"] == hashlib.sha256(zoo.find("lightcnn").read_bytes()).hexdigest()
    assert facts["source"]["accuracy"] == source.metadata.accuracy
    if method == "static":
        chosen = choose_clips(list_clips(corpus, "train"), 8)
        assert facts["calibration"] == {"clips": 8, "speakers": 2, "fingerprint": fingerprint(chosen)}
    else:
        assert "calibration" not in facts
    kept = ("labels", "frontend", "context_frames", "stride_frames", "output", "gate", "decoder", "licence")
    assert all(getattr(result.metadata, name) == getattr(source.metadata, name) for name in kept)
    accuracy = result.metadata.accuracy
    assert accuracy["validation"]["clips"] == accuracy["source_validation"]["clips"] == 24
    assert (accuracy["equal_answers"]["clips"], accuracy["equal_answers"]["silence"]) == (26, 2)
    golden = np.array(result.metadata.golden.outputs)
    difference = np.abs(golden - source.metadata.golden.outputs).max()
    # Ranges calibrated on 8 artificial clips fit badly; what a file may allow itself is a share of its answers' range.
    most = QUANTIZED_TOLERANCE * np.ptp(source.metadata.golden.outputs)
    assert 1e-3 < difference < most, "of the 8-bit graph itself, which is another"


def test_the_same_clips_give_the_same_file(corpus: Path, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a.onnx", "b.onnx"))
    for path in (first, second):
        quantize("lightcnn", path, corpus, "--clips", "4")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("method", ["static", "dynamic"])
def test_no_processor_can_overflow(method: str, corpus: Path, tmp_path: Path) -> None:
    """AVX2 adds two products of uint8 and int8 in 16 bits: exact as long as weights have 7 bits."""
    quantize("lightcnn", tmp_path / "m.onnx", corpus, "--method", method, "--clips", "4")
    tensors = [numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "m.onnx").graph.initializer]
    weights = [tensor for tensor in tensors if tensor.dtype == np.int8 and tensor.ndim >= 2]
    assert sum(weight.size for weight in weights) > 90_000
    assert all(2 * 255 * np.abs(weight.astype(int)).max() < 2**15 for weight in weights)


@pytest.mark.parametrize("method", ["static", "dynamic"])
def test_a_context_gets_the_same_answer_in_any_batch(
    method: str, corpus: Path, tmp_path: Path, example: NDArray[np.int16]
) -> None:
    """How a stream is cut decides what comes in one batch, and must not decide what is heard."""
    result = quantize("lightcnn", tmp_path / "m.onnx", corpus, "--method", method, "--clips", "4")
    contexts = np.stack([result.features(example[start:][:16_000]) for start in range(0, 64_000, 1280)])
    alone = np.concatenate([result.predict(context[None]) for context in contexts])
    np.testing.assert_allclose(result.predict(contexts), alone, atol=1e-5)


@pytest.mark.parametrize("method", ["static", "dynamic"])
def test_recurrent_networks(
    method: str, recurrent: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stays in floats is reported; the batch norm is folded into its convolution."""
    result = quantize(recurrent, tmp_path / "m.onnx", corpus, "--method", method, "--max-loss", "100")
    source = KeywordModel.load(recurrent)
    share = result.metadata.training["quantization"]["integer_share"]
    if method == "dynamic" and recurrent.stem == "LSTM":
        assert share > 0.9
    else:
        assert 0 < share < 0.1
        assert "of the weights have 8 bits now; onnxruntime has no GRU of 8 bits" in capsys.readouterr().err
    graph = onnx.load(tmp_path / "m.onnx")
    assert Counter(node.op_type for node in graph.graph.node)["BatchNormalization"] == 0
    assert {opset.domain for opset in graph.opset_import} == {node.domain for node in graph.graph.node}
    floats = [tensor for tensor in graph.graph.initializer if sorted(tensor.dims) == [12, 32] and tensor.data_type == 1]
    assert len(floats) == (method == "static"), "the last layer, in front of the temperature"
    features = source.features(source.metadata.golden.samples)
    contexts = np.stack([features, features[::-1], features[:, ::-1]])
    expected = source.predict(contexts)
    np.testing.assert_allclose(result.predict(contexts), expected, atol=0.01)
    assert np.ptp(expected, axis=0).max() > 0.02


def test_a_streaming_network_goes_on_in_8_bits(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its convolutions have 8 bits, its recurrence has floats; blocks of any length give the same answers."""
    source = KeywordModel.load(write_model("gru-stream", tmp_path / "source.onnx"))
    result = quantize(tmp_path / "source.onnx", tmp_path / "m.onnx", corpus, "--clips", "8", "--max-loss", "100")
    assert "no GRU of 8 bits" in capsys.readouterr().err
    assert result.metadata.streaming == source.metadata.streaming
    features = np.random.default_rng(0).normal(size=(1, 96, 40)).astype(np.float32)
    whole, _ = result.answer(features, [result.initial])
    states, parts = [result.initial], []
    for start in range(0, 96, 8):
        posteriors, states = result.answer(features[:, start : start + 8], states)
        parts.append(posteriors)
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-5)
    floats, _ = source.answer(features, [source.initial])
    assert 1e-4 < np.abs(floats - whole).max() < 0.2


def test_calibration_hears_every_label_and_as_many_speakers_as_it_can() -> None:
    clips = [Clip(Path(f"{word}/s{speaker}_nohash_{take}.wav"), word) for word in ("yes", "no", "house")
             for speaker in range(8) for take in range(3)]  # fmt: skip
    chosen = choose_clips(clips, 24)
    assert chosen == choose_clips(reversed(clips), 24)
    assert Counter(clip.label for clip in chosen) == {"yes": 8, "no": 8, "unknown": 8}
    assert len({clip.speaker for clip in chosen[:8]}) == 8
    assert set(Counter(clip.speaker for clip in chosen).values()) == {3}
    assert sorted(map(str, choose_clips(clips, 1000))) == sorted(map(str, clips))


def test_what_loses_too_much_is_refused_and_leaves_the_old_file(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "m.onnx"
    output.write_text("old")
    arguments = ["lightcnn", "-o", str(output), "--data", str(corpus), "--clips", "4"]
    assert main([*arguments, "--max-loss", "-101"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "percentage points of accuracy on 24 validation clips" in error
    assert "at most -101 may be lost (--max-loss); nothing was written" in error
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_bad_input_is_one_line(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "m.onnx"
    quantize("lightcnn", small, corpus, "--method", "dynamic")
    cases = {
        (str(small), str(corpus)): "has 8 bits already; quantise the model that it was made from",
        ("nonsense", str(corpus)): "no model nonsense",
        ("lightcnn", str(tmp_path / "nowhere")): "no folder",
    }
    for (model, data), message in cases.items():
        capsys.readouterr()
        assert main([model, "-o", str(tmp_path / "o.onnx"), "--data", data]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("export.quantize: ")
        assert message in line
    with pytest.raises(SystemExit) as caught:
        main(["lightcnn", "-o", str(tmp_path / "o.onnx"), "--data", str(corpus), "--clips", "0"])
    assert caught.value.code == 2
    assert not (tmp_path / "o.onnx").exists()


def test_real_clips_get_the_same_answers(data: Path, tmp_path: Path) -> None:
    result = quantize("lightcnn", tmp_path / "m.onnx", data / "speech_commands", "--clips", "128")
    accuracy = result.metadata.accuracy
    assert result.metadata.training["quantization"]["calibration"]["speakers"] == 128
    assert accuracy["equal_answers"]["share"] > 0.98
    assert accuracy["validation"]["accuracy"] > accuracy["source_validation"]["accuracy"] - 0.01
