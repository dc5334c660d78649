from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import lightning as L
import numpy as np
import onnx
import pytest
import soundfile
import torch

from export.__main__ import UNKNOWN_RATIO, main
from export.golden import golden_samples
from export.onnx import update_checksums
from kws_stream import GateConfig, KeywordModel, KeywordSpotter
from kws_stream.evaluation import expected_calibration_error
from models.batches import MixtureConfig, load_validation, to_tensor
from models.calibration import fit_temperature
from models.complexity import count_multiplies
from models.corpora import Sources
from models.recordings import read_mono
from models.registry import find_architecture, parameter_count
from models.task import KeywordTask, load_checkpoint
from tests.conftest import EXAMPLE
from tests.corpus import write_corpus

# torch's exporter warns of its own internals.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=2)


def checkpoint(path: Path, architecture: str, corpus: Path | None, **provenance: object) -> Path:
    """A network that was never trained, in the file that training writes; its batch norms have seen something."""
    L.seed_everything(0, verbose=False)
    frontend = asdict(find_architecture(architecture).frontend) | {"mean": -4.0, "std": 3.0}
    task = KeywordTask(
        architecture, frontend, provenance={"seed": 0, **provenance}, corpus=str(corpus) if corpus else None
    )
    for module in task.network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0  # the statistics of one batch, so that no signal is drowned
    task.train()
    task(torch.randn(16, 16_000) * 0.1)
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path)
    return path


@pytest.mark.parametrize(
    ("architecture", "options", "streaming"),
    [
        ("lightcnn", [], False),
        ("lightcnn", ["--streaming"], True),
        ("lightcnn-spectrogram", [], False),
        ("compact", [], False),
        ("gru-stream", [], True),
        ("gru-stream", ["--no-streaming"], False),
        ("tcresnet-stream", [], True),
    ],
)
def test_torch_and_onnxruntime_agree_on_clips(
    architecture: str, options: list[str], streaming: bool, corpus: Path, tmp_path: Path
) -> None:
    """`main` verifies before it writes; here once more, from outside, on real samples and the written file."""
    source = checkpoint(tmp_path / "task.ckpt", architecture, corpus)
    output = tmp_path / "model.onnx"
    assert main([str(source), "-o", str(output), "--no-calibration", *options]) == 0
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".onnx"] == ["model.onnx"]
    model = KeywordModel.load(output)
    assert (model.metadata.streaming is not None) == streaming
    task = KeywordTask.load_from_checkpoint(source, weights_only=True).eval()
    context = task.config.samples(task.frames)
    paths = sorted((corpus / "val").rglob("*.wav"))
    samples = np.stack([np.pad(clip := read_mono(path)[:context], (0, context - len(clip))) for path in paths])
    with torch.no_grad():
        logits = task(to_tensor(samples))
    heard = np.stack([model.classify(clip) for clip in samples])
    np.testing.assert_allclose(heard, logits.softmax(1), atol=1e-4)
    assert np.ptp(logits.numpy(), axis=0).max() > 1e-3


def test_the_file_describes_itself(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.onnx"
    source = checkpoint(tmp_path / "task.ckpt", "lightcnn", corpus)
    assert main([str(source), "-o", str(output), "--threshold", "0.8", "--licence", "CC0"]) == 0
    metadata = KeywordModel.load(output).metadata
    assert metadata.labels[:2] == ("yes", "no")
    assert (metadata.context_frames, metadata.stride_frames, metadata.output) == (98, 8, "logits")
    assert (metadata.frontend.mean, metadata.frontend.std) == (-4.0, 3.0)
    assert metadata.decoder.default.threshold == 0.8
    assert metadata.licence == "CC0"
    network = find_architecture("lightcnn").build(98, 40, 12)
    size = {"parameters": parameter_count(network), "multiplies": count_multiplies(network.eval(), 98, 40)}
    assert metadata.training == {"architecture": "lightcnn", **size, "seed": 0}
    assert metadata.accuracy["validation"]["clips"] == 24
    assert str(tmp_path).encode() not in output.read_bytes()
    batch = onnx.load(output).graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param


def test_what_cannot_be_streamed_is_one_line(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = checkpoint(tmp_path / "task.ckpt", "compact", corpus)
    assert main([str(source), "-o", str(tmp_path / "model.onnx"), "--streaming"]) == 1
    assert capsys.readouterr().err.startswith("export: a CompactResNet sees windows and cannot be exported as")
    assert list(tmp_path.glob("*.onnx")) == []


@pytest.fixture(scope="module")
def streaming_file(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated streaming model that was never trained."""
    folder = tmp_path_factory.mktemp("streaming")
    source = checkpoint(folder / "task.ckpt", "gru-stream", corpus)
    assert main([str(source), "-o", str(folder / "model.onnx"), "--threshold", "0.2", "--release", "0.1"]) == 0
    return folder / "model.onnx"


def test_every_command_runs_a_streaming_model(streaming_file: Path, corpus: Path) -> None:
    model = ["--model", str(streaming_file), "--json"]
    for command, arguments in {
        "evaluate": ["clips", str(corpus / "val")],
        "bench": [str(EXAMPLE), "--streams", "2"],
        "listen": [str(EXAMPLE), "--vad", "off"],
    }.items():
        line = [sys.executable, "-m", f"kws_stream.cli.{command}", *arguments, *model]
        result = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
        if command == "evaluate":
            assert json.loads(result.stdout)["clips"] == 24
        elif command == "bench":
            assert json.loads(result.stdout)["pool_inferences_per_call"] > 1
    events = [json.loads(line) for line in result.stdout.splitlines()]
    spotter = KeywordSpotter(KeywordModel.load(streaming_file), gate=GateConfig(None))
    samples, _ = soundfile.read(EXAMPLE, dtype="int16")
    assert [event["time"] for event in events] == pytest.approx([event.time for event in spotter.push(samples)])


def test_the_logits_are_divided_by_the_temperature_of_the_clips(corpus: Path, tmp_path: Path) -> None:
    """On the validation clips and the silence of the corpus, whose own noise is found."""
    source = checkpoint(tmp_path / "task.ckpt", "lightcnn", corpus)
    output = tmp_path / "model.onnx"
    assert main([str(source), "-o", str(output)]) == 0
    samples, labels = load_validation(Sources(corpus))
    with torch.no_grad():
        logits = load_checkpoint(source)(samples)
    temperature = fit_temperature(logits, labels)
    assert temperature > 2
    model = KeywordModel.load(output)
    report = model.metadata.accuracy["calibration"]
    assert report["temperature"] == pytest.approx(temperature, rel=1e-3)
    assert (report["clips"], report["silence"]) == (26, 2)
    heard = np.stack([model.classify(clip) for clip in samples[:, :15_920].numpy()])  # 98 frames, as the task hears
    scaled = (logits / temperature).softmax(1)
    shares = torch.tensor(MixtureConfig().label_shares)
    expected = torch.tensor([1.0] * 11 + [UNKNOWN_RATIO])
    weighed = torch.nn.functional.normalize(scaled / shares * expected, p=1, dim=1)
    np.testing.assert_allclose(heard, weighed, atol=1e-4)
    likelihood = -scaled[range(26), labels].log().mean()
    assert report["after"]["nll"] == pytest.approx(likelihood.item(), abs=1e-3)
    assert report["after"]["nll"] < report["before"]["nll"]
    assert report["after"]["nll"] <= report["held_out"]["nll"]
    assert report["after"]["ece"] == pytest.approx(expected_calibration_error(scaled.numpy(), labels.numpy()), abs=1e-3)
    shipped = model.metadata.accuracy["validation"]["accuracy"]
    assert shipped == pytest.approx((heard.argmax(1) == labels.numpy())[:24].mean(), abs=1e-4)


@pytest.mark.parametrize("unknown", [0.5, 4.0])
def test_the_logits_answer_to_the_shares_that_are_expected(corpus: Path, tmp_path: Path, unknown: float) -> None:
    """A network that learned from other shares than the default ones is told so by its own options."""
    source = checkpoint(tmp_path / "task.ckpt", "lightcnn", corpus, options={"set": ["silence_share=0.3"]})
    assert main([str(source), "-o", str(tmp_path / "model.onnx"), "--unknown-ratio", str(unknown)]) == 0
    report = KeywordModel.load(tmp_path / "model.onnx").metadata.accuracy["calibration"]
    keyword = (1 - 0.3 - 0.22) / 10
    assert report["unknown_ratio"] == unknown
    assert report["shift"]["silence"] == pytest.approx(np.log(keyword / 0.3), abs=1e-4)
    assert report["shift"]["unknown"] == pytest.approx(np.log(unknown * keyword / 0.22), abs=1e-4)
    assert set(report["shift"]) == {"silence", "unknown"}


def test_without_noise_the_words_calibrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write_corpus(tmp_path / "corpus", clips=1)
    shutil.rmtree(corpus / "_background_noise_")
    source = checkpoint(tmp_path / "task.ckpt", "lightcnn", corpus)
    assert main([str(source), "-o", str(tmp_path / "model.onnx")]) == 0
    assert "validated without silence" in capsys.readouterr().err
    accuracy = KeywordModel.load(tmp_path / "model.onnx").metadata.accuracy
    assert (accuracy["calibration"]["clips"], accuracy["calibration"]["silence"]) == (12, 0)
    assert main([str(source), "-o", str(tmp_path / "raw.onnx"), "--no-calibration"]) == 0
    assert "calibration" not in KeywordModel.load(tmp_path / "raw.onnx").metadata.accuracy


def test_what_fails_leaves_the_old_file(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The clips cannot be read, so nothing can be verified, so nothing is written."""
    output = tmp_path / "model.onnx"
    output.write_text("old")
    source = checkpoint(tmp_path / "task.ckpt", "lightcnn", None)
    assert main([str(source), "-o", str(output)]) == 1
    assert "give a folder of real clips to verify on (--data)" in capsys.readouterr().err
    assert main([str(source), "-o", str(output), "--data", str(tmp_path / "nowhere")]) == 1
    assert main([str(source), "-o", str(output), "--data", str(corpus), "--threshold", "7"]) == 1
    assert main([str(source), "-o", str(output), "--data", str(corpus), "--unknown-ratio", "0"]) == 1
    assert output.read_text() == "old"


def test_a_verification_that_fails_leaves_nothing(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("export.verify.TOLERANCE", -1.0)
    source = checkpoint(tmp_path / "task.ckpt", "lightcnn", corpus)
    assert main([str(source), "-o", str(tmp_path / "model.onnx")]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert list(tmp_path.glob("*.onnx")) == []


@pytest.mark.parametrize("content", [b"text", b""])
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "task.ckpt").write_bytes(content)
    assert main([str(tmp_path / "task.ckpt"), "-o", str(tmp_path / "m.onnx")]) == 1
    assert "not a checkpoint of models.train" in capsys.readouterr().err
    assert main([str(tmp_path / "none.ckpt"), "-o", str(tmp_path / "m.onnx")]) == 1
    assert "no checkpoint" in capsys.readouterr().err


def test_the_golden_sound_moves_every_bin() -> None:
    from kws_stream.frontend import log_mel, to_float

    features = log_mel(to_float(golden_samples(15_920, 16_000)))
    assert np.ptp(features, axis=0).min() > 3


def test_the_zoo_checksums_follow(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text("00  a.onnx\n11  z.onnx\n")
    (tmp_path / "m.onnx").write_bytes(b"model")
    update_checksums(tmp_path / "m.onnx")
    rows = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert rows == ["00  a.onnx", f"{hashlib.sha256(b'model').hexdigest()}  m.onnx", "11  z.onnx"]
    update_checksums(tmp_path / "SHA256SUMS")
