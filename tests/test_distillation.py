from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import lightning as L
import numpy as np
import onnx
import pytest
import torch

from export.onnx import build_metadata, to_onnx
from kws_stream.config import DecoderConfig, FrontendConfig, GateConfig
from kws_stream.errors import ModelError
from models.augment import AugmentConfig
from models.bank import FeatureBank, Rendering
from models.batches import MixtureConfig
from models.calibration import Scaled
from models.distillation import TEMPERATURE, Ensemble
from models.labels import LABELS
from models.recordings import ROW
from models.task import KeywordTask, load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # Lightning's own use of torch

CONFIG = FrontendConfig(mean=-4, std=3)
FRAMES = CONFIG.frames(ROW)


def teacher(path: Path, seed: int, config: FrontendConfig = CONFIG, labels: tuple[str, ...] = LABELS) -> Path:
    """A checkpoint of a network that was never trained, but answers clearly."""
    torch.manual_seed(seed)
    task = KeywordTask("compact-tiny", asdict(config), labels=labels)
    torch.nn.init.normal_(task.network.classifier[-1].weight, std=20)
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


@pytest.fixture
def teachers(tmp_path: Path) -> list[Path]:
    return [teacher(tmp_path / f"{seed}.ckpt", seed) for seed in (0, 1)]


@pytest.fixture
def bank(tmp_path: Path) -> FeatureBank:
    """Two passes of five rows, which are nothing but their middle: no number is at either end."""
    rng = np.random.default_rng(0)
    ends = (FRAMES - 98) // 2
    for number in range(2):
        features = rng.normal(CONFIG.mean, CONFIG.std, (5, FRAMES, 40)).astype(np.float16)
        features[:, :ends] = features[:, -ends:] = np.nan
        np.save(tmp_path / f"features-{number:03}.npy", features)
        np.save(tmp_path / f"labels-{number:03}.npy", np.zeros(5, np.uint8))
    facts = Rendering(FrontendConfig(), AugmentConfig(), MixtureConfig()).facts()
    (tmp_path / "bank.json").write_text(json.dumps(facts))
    return FeatureBank(tmp_path, passes=2)


def test_along_a_stream_they_answer_to_what_was_heard_until_the_end_of_each_stride(
    teachers: list[Path], bank: FeatureBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(1).normal(CONFIG.mean, CONFIG.std, (1000, 40)).astype(np.float16)
    answers = Ensemble(teachers[:1], bank).follow(frames, 8)
    assert answers.shape == (125, len(LABELS))
    network = load_checkpoint(teachers[0]).network
    for stride in (0, 3, 12, 60, 124):
        stop = 8 * (stride + 1)
        heard = np.pad(frames[:stop], ((max(0, 98 - stop), 0), (0, 0)), mode="edge")[-98:].astype(np.float32)
        with torch.no_grad():
            logits = network((torch.from_numpy(heard)[None, None] - CONFIG.mean) / CONFIG.std)
        np.testing.assert_allclose(answers[stride], (logits[0] / TEMPERATURE).softmax(0), atol=0.03)  # bfloat16
    monkeypatch.setattr("models.distillation._answer", None)
    np.testing.assert_array_equal(Ensemble(teachers[:1], bank).follow(frames, 8), answers)  # kept


def test_answers_are_the_mean_posteriors_for_the_middle_of_each_row(teachers: list[Path], bank: FeatureBank) -> None:
    ensemble = Ensemble(teachers, bank)
    for number in range(3):
        middle = torch.from_numpy(bank.load(number)[0][:, 8:106]).float().unsqueeze(1)  # (rows, 1, frames, bins)
        with torch.no_grad():
            logits = [load_checkpoint(path).network((middle - CONFIG.mean) / CONFIG.std) for path in teachers]
        each = [(values / TEMPERATURE).softmax(1) for values in logits]
        answers = ensemble.answers(number)
        assert answers.shape == (5, len(LABELS))
        np.testing.assert_allclose(answers, (each[0] + each[1]) / 2, atol=0.02)  # bfloat16
        np.testing.assert_allclose(answers.astype(float).sum(1), 1, atol=2e-3)  # float16
        assert (each[0] - each[1]).abs().max() > 0.1


def test_answers_are_kept_beside_the_rows(teachers: list[Path], bank: FeatureBank) -> None:
    first = Ensemble(teachers, bank).answers(0)
    kept = {path: path.stat().st_mtime_ns for path in bank.folder.glob("answers-*")}
    assert len(kept) == 2
    np.testing.assert_array_equal(Ensemble(teachers, bank).answers(0), first)
    assert {path: path.stat().st_mtime_ns for path in bank.folder.glob("answers-*")} == kept
    alone = Ensemble(teachers[:1], bank).answers(0)
    assert not np.array_equal(alone, first)
    assert len(list(bank.folder.glob("answers-*"))) == 4


def test_asking_goes_on_where_it_was_stopped(teachers: list[Path], bank: FeatureBank) -> None:
    Ensemble(teachers, bank)
    lost, kept = sorted(bank.folder.glob("answers-*"))
    content, written = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    Ensemble(teachers, bank)
    assert lost.read_bytes() == content
    assert kept.stat().st_mtime_ns == written


def test_a_file_that_ships_teaches_what_its_checkpoint_taught(bank: FeatureBank, tmp_path: Path) -> None:
    """The calibration of the export is undone."""
    checkpoint = teacher(tmp_path / "one.ckpt", 0)
    task = load_checkpoint(checkpoint)
    shift = [0.5, *[0.0] * 10, -1.0]
    calibration = {"temperature": 0.8, "shift": {LABELS[0]: 0.5, LABELS[-1]: -1.0}}
    task.network = Scaled(task.network, 0.8, shift).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own internals
        metadata = build_metadata(task, "CC0", {"calibration": calibration}, DecoderConfig(), GateConfig())
        onnx.save(to_onnx(task, metadata), tmp_path / "one.onnx")
    ours, theirs = (Ensemble([path], bank).answers(1) for path in (tmp_path / "one.onnx", checkpoint))
    np.testing.assert_allclose(ours, theirs, atol=0.02)  # bfloat16
    assert np.abs(ours.astype(float) - 1 / 12).max() > 0.2


def test_a_name_of_the_zoo_is_a_teacher(bank: FeatureBank) -> None:
    assert Ensemble([Path("compact-tiny")], bank).answers(0).shape == (5, len(LABELS))
    with pytest.raises(ModelError, match="no model compact-giant: expected a path"):
        Ensemble([Path("compact-giant")], bank)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "stranger",
    [
        {"config": FrontendConfig(mean=-4, std=3, low_hz=60)},
        {"config": FrontendConfig(mel_bins=80)},
        {"labels": (*LABELS[:-1], "quiet")},
    ],
)
def test_who_hears_other_features_or_labels_is_no_teacher(
    stranger: dict, place: int, teachers: list[Path], bank: FeatureBank, tmp_path: Path
) -> None:
    teachers[place] = teacher(tmp_path / "stranger.ckpt", 2, **stranger)
    for chosen in (teachers, [teachers[place]]):
        with pytest.raises(ModelError, match=r"stranger\.ckpt: hears other features or labels"):
            Ensemble(chosen, bank)
    assert list(bank.folder.glob("answers-*")) == []


def test_each_teacher_standardises_as_it_learnt_to(bank: FeatureBank, tmp_path: Path) -> None:
    """Two banks of the same front end are never quite alike."""
    usual = teacher(tmp_path / "usual.ckpt", 0)
    louder = teacher(tmp_path / "louder.ckpt", 0, config=FrontendConfig(mean=-3, std=3))
    alone = [Ensemble([path], bank).answers(0).astype(float) for path in (usual, louder)]
    together = Ensemble([usual, louder], bank).answers(0)
    assert np.abs(alone[0] - alone[1]).max() > 0.02
    np.testing.assert_allclose(together, (alone[0] + alone[1]) / 2, atol=2e-3)
