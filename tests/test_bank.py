"""Rendering, on noise that stands for words; batches, on a bank in which every row says which it is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kws_stream.config import FrontendConfig
from kws_stream.frontend import log_mel
from models.augment import AugmentConfig
from models.bank import BLOCK, BankBatches, FeatureBank, Renderer, Rendering, open_bank
from models.batches import Mixture, MixtureConfig, TrainingData
from models.labels import KEYWORDS, LABELS, UNKNOWN
from models.recordings import CLIP, ROW, Clips, Recordings
from models.stretches import Stretch, Stretches

RENDERING = Rendering(FrontendConfig(), AugmentConfig(), MixtureConfig())
SURVEY = {"fingerprint": "noise"}


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """As many clips as give two blocks a pass."""
    rng = np.random.default_rng(0)
    count = 2 * BLOCK // (len(KEYWORDS) + 1) + 1

    def noise(*shape: int) -> np.ndarray:
        return rng.normal(0, 1000, shape).astype(np.int16)

    clips = {
        label: Clips(noise(count, CLIP), np.full(count, CLIP), np.full(count, 1 / count))
        for label in (*KEYWORDS, UNKNOWN)
    }
    recordings = Recordings(noise(3 * ROW), np.arange(0, 2 * ROW, 160))
    responses = torch.nn.functional.one_hot(torch.tensor([0]), CLIP).float()
    return TrainingData(clips, recordings, responses, recordings, recordings)


def open_noise(root: Path, data: TrainingData, passes: int, workers: int = 1, **changes: Any) -> FeatureBank:
    return open_bank(root, SURVEY, lambda: data, replace(RENDERING, **changes), passes, workers)


@pytest.fixture(scope="module")
def rendered(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> FeatureBank:
    return open_noise(tmp_path_factory.mktemp("banks"), data, passes=2)


def written(folder: Path) -> dict[str, int]:
    """When each pass was."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}


def test_two_passes_of_different_rows(rendered: FeatureBank) -> None:
    assert rendered.rows == 2 * BLOCK
    (features, labels), (other, other_labels) = rendered.load(0), rendered.load(1)
    assert features.shape == other.shape == (2 * BLOCK, FrontendConfig().frames(ROW), 40)
    assert (features.dtype, labels.dtype) == (np.float16, np.uint8)
    assert np.isfinite(features).all()
    assert not np.array_equal(features[:BLOCK], features[BLOCK:])
    assert not np.array_equal(features, other)
    np.testing.assert_array_equal(rendered.load(2)[0], features)  # after the last comes the first
    np.testing.assert_array_equal(rendered.load(3)[1], other_labels)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")  # on fewer cores
def test_the_number_of_workers_changes_nothing(rendered: FeatureBank, data: TrainingData, tmp_path: Path) -> None:
    again = open_noise(tmp_path, data, passes=1, workers=3)
    for one, many in zip(rendered.load(0), again.load(0), strict=True):
        np.testing.assert_array_equal(one, many)


def test_a_rendering_that_was_stopped_goes_on(rendered: FeatureBank, data: TrainingData, tmp_path: Path) -> None:
    """Its first pass is missing: the labels were there, the features only in part."""
    folder = tmp_path / rendered.folder.name
    shutil.copytree(rendered.folder, folder)
    whole = (folder / "features-000.npy").read_bytes()
    (folder / "features-000.npy").unlink()
    (folder / "features-000.part").write_bytes(whole[:1000])
    before = written(folder)
    resumed = open_noise(tmp_path, data, passes=2)
    assert resumed.folder == folder
    assert (folder / "features-000.npy").read_bytes() == whole
    assert written(folder)["features-001.npy"] == before["features-001.npy"]
    assert list(folder.glob("*.part")) == []


def test_what_bends_features_uses_the_same_bank_and_fewer_passes_are_its_first(rendered: FeatureBank) -> None:
    """Which is there: the data are not even loaded."""

    def load() -> TrainingData:
        raise AssertionError("nothing is missing")

    before = written(rendered.folder)
    tilted = replace(RENDERING, augmentation=AugmentConfig(tilt_db=0, time_mask=0, bin_mask=0))
    bank = open_bank(rendered.folder.parent, SURVEY, load, tilted, passes=1)
    assert (bank.folder, bank.passes) == (rendered.folder, 1)
    assert written(bank.folder) == before
    np.testing.assert_array_equal(bank.load(1)[0], rendered.load(0)[0])


@pytest.mark.parametrize(
    "changed",
    [
        replace(RENDERING, augmentation=AugmentConfig(speed=0.2)),
        replace(RENDERING, mixture=MixtureConfig(speech_share=0.5)),
        replace(RENDERING, frontend=FrontendConfig(low_hz=60)),
        replace(RENDERING, seed=1),
    ],
)
def test_what_changes_a_row_is_in_the_facts(changed: Rendering) -> None:
    assert changed.facts() != RENDERING.facts()
    standardised = replace(RENDERING, frontend=FrontendConfig(mean=-4, std=3))
    assert standardised.facts() == RENDERING.facts()


def test_other_data_have_a_folder_of_their_own(rendered: FeatureBank, data: TrainingData) -> None:
    fewer = {
        label: Clips(clips.samples[:9], clips.lengths[:9], np.full(9, 1 / 9)) for label, clips in data.clips.items()
    }
    other = replace(data, clips=fewer)
    survey = {"fingerprint": "less noise"}
    bank = open_bank(rendered.folder.parent, survey, lambda: other, RENDERING, passes=1, workers=0)
    assert bank.folder != rendered.folder
    assert bank.folder.parent == rendered.folder.parent
    assert bank.rows == BLOCK  # fewer clips than a block holds
    assert json.loads((bank.folder / "bank.json").read_text())["data"] == {"fingerprint": "less noise"}


def test_without_augmentation_a_row_is_the_front_end_of_its_recording(data: TrainingData) -> None:
    """Slices of running speech, drawn once more and analysed by numpy, to half precision."""
    still = AugmentConfig(shift_ms=0, speed=0, reverb_share=0, noise_share=0, gain_db=(0, 0))
    speech = MixtureConfig(unknown_share=1, silence_share=0, speech_share=1)
    renderer = Renderer(data, Rendering(FrontendConfig(mean=-4, std=3), still, speech))
    features, labels = renderer[5]
    drawn = Mixture(data, speech).draw(np.random.default_rng((0, 5)), BLOCK)
    for row in (0, BLOCK - 1):
        expected = log_mel(drawn.samples[row].numpy(), FrontendConfig())
        np.testing.assert_allclose(features[row], expected, atol=0.01, rtol=1e-3)
    assert (labels == LABELS.index(UNKNOWN)).all()


ROWS = 100


@pytest.fixture
def bank(tmp_path: Path) -> FeatureBank:
    """Two passes; the features of a row are its number, from 1000 on in the second."""
    for number in range(2):
        rows = np.arange(ROWS, dtype=np.float16) + 1000 * number
        np.save(tmp_path / f"features-{number:03}.npy", np.broadcast_to(rows[:, None, None], (ROWS, 5, 3)))
        np.save(tmp_path / f"labels-{number:03}.npy", (np.arange(ROWS) % len(LABELS)).astype(np.uint8))
    return FeatureBank(tmp_path, passes=2)


def rows_of(batches: BankBatches) -> list[list[int]]:
    return [batch.features[:, 0, 0].long().tolist() for batch in batches]


def test_an_epoch_is_one_pass_in_another_order(bank: FeatureBank) -> None:
    batches = BankBatches(bank, 30, seed=0)
    epochs = []
    for batches.epoch in range(3):
        epoch = rows_of(batches)
        assert [len(rows) for rows in epoch] == [30, 30, 30] == [30] * len(batches)  # ten rows are left for next time
        epochs.append([row for rows in epoch for row in rows])
    for number, rows in enumerate(epochs):
        assert len(set(rows)) == 90
        assert {row // 1000 for row in rows} == {number % 2}
    assert epochs[0] != epochs[2]
    assert set(epochs[0]) != set(epochs[2])


def test_the_seed_decides(bank: FeatureBank) -> None:
    first, again, other = (rows_of(BankBatches(bank, 30, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("world", [2, 3])
def test_the_shares_of_all_processes_are_the_batches_of_one(bank: FeatureBank, world: int) -> None:
    alone = list(BankBatches(bank, 30, seed=4))
    ranks = [list(BankBatches(bank, 30, seed=4, rank=rank, world=world)) for rank in range(world)]
    assert {len(batches) for batches in ranks} == {len(alone)}
    for whole, *shares in zip(alone, *ranks, strict=True):
        assert {len(share.features) for share in shares} == {30 // world}
        for part, together in zip(whole[:2], zip(*(share[:2] for share in shares), strict=True), strict=True):
            assert torch.equal(torch.stack(together, 1).flatten(0, 1), part)


class Numbers(Stretches):
    """Stretches that are numbers."""

    def __init__(self, after: int) -> None:
        self.after = after

    def draw(self, rng: np.random.Generator, rows: int = 1) -> Stretch:
        return Stretch(torch.tensor(rng.random(rows)), torch.zeros(rows))


def test_stretches_come_beside_rows_after_some_epochs_to_each_process_its_own(bank: FeatureBank) -> None:
    batches = [BankBatches(bank, 30, seed=4, rank=rank, world=2, stretches=Numbers(after=1)) for rank in (0, 1)]
    assert [batch.stretch for each in batches for batch in each] == [None] * 6
    drawn: list[float] = []
    for epoch in (1, 2):
        for each in batches:
            each.epoch = epoch
            taken = [float(batch.stretch.features) for batch in each if batch.stretch]
            assert taken == [float(batch.stretch.features) for batch in each if batch.stretch]
            drawn += taken
    assert len(set(drawn)) == 12


def test_fewer_rows_than_a_batch_are_one_batch(bank: FeatureBank) -> None:
    (rows,) = rows_of(BankBatches(bank, 500, seed=0))
    assert sorted(rows) == list(range(ROWS))


def test_smoothing_gives_every_label_its_share(bank: FeatureBank) -> None:
    for features, targets, _ in BankBatches(bank, 20, seed=0, smoothing=0.12):
        labels = features[:, 0, 0].long() % len(LABELS)
        expected = torch.full((20, len(LABELS)), 0.01)
        expected[range(20), labels] = 0.88 + 0.01
        torch.testing.assert_close(targets, expected)


class Certain:
    """A teacher that takes each row for a label of its own choice."""

    weight = 0.25

    def answers(self, number: int) -> np.ndarray:
        return np.eye(len(LABELS), dtype=np.float16)[(np.arange(ROWS) + 5 + number) % len(LABELS)]


def test_a_teacher_is_mixed_into_the_targets_by_its_weight(bank: FeatureBank) -> None:
    batches = BankBatches(bank, 20, seed=0, smoothing=0.12, teacher=Certain())
    for batches.epoch in (0, 1):
        for features, targets, _ in batches:
            rows = features[:, 0, 0].long() % 1000
            expected = torch.full((20, len(LABELS)), 0.75 * 0.01)
            expected[range(20), rows % len(LABELS)] += 0.75 * 0.88
            expected[range(20), (rows + 5 + batches.epoch) % len(LABELS)] += 0.25
            torch.testing.assert_close(targets, expected)
            torch.testing.assert_close(targets.sum(1), torch.ones(20))


def test_the_first_pass_is_standardised(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(-5, 3, (2500, 5, 3)).astype(np.float16)
    np.save(tmp_path / "features-000.npy", features)
    np.save(tmp_path / "labels-000.npy", np.zeros(2500, np.uint8))
    config = FeatureBank(tmp_path, passes=1).measure(FrontendConfig(low_hz=60))
    standardised = (features[:2000].astype(np.float64) - config.mean) / config.std
    assert standardised.mean() == pytest.approx(0, abs=1e-4)
    assert standardised.std() == pytest.approx(1, abs=1e-4)
    assert replace(config, mean=0, std=1) == FrontendConfig(low_hz=60)
