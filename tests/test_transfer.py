"""What rests, what learns, how fast, and that a resumed run does the same."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from kws_stream.errors import KwsError
from models.augment import AugmentConfig
from models.bank import Example
from models.registry import find_architecture
from models.task import KeywordTask, load_checkpoint
from models.train import main
from models.transfer import Freezing, TransferConfig, check_transfer, parameter_groups
from tests.corpus import write_corpus

# Lightning's own use of torch, and its advice on loaders that hold everything in memory.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def make_task(name: str, config: TransferConfig) -> KeywordTask:
    torch.manual_seed(0)
    found = find_architecture(name)
    return KeywordTask(
        name,
        asdict(found.frontend),
        asdict(AugmentConfig(tilt_db=0, time_mask=0, bin_mask=0)),
        settings={"dropout": 0.0},
        transfer=asdict(config),
        schedule="constant",
    )


def fit(task: KeywordTask, run: Path, epochs: int) -> KeywordTask:
    """A few steps an epoch on noise, going on from `run` where it was."""
    generator = torch.Generator().manual_seed(1)
    features, targets = torch.randn(8, 99, 161, generator=generator), torch.eye(12)[torch.arange(8)]
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        callbacks=[Freezing(task.transfer), ModelCheckpoint(run, "last", enable_version_counter=False)],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    last = run / "last.ckpt"
    batches = DataLoader([Example(features[at : at + 4], targets[at : at + 4]) for at in (0, 4)], batch_size=None)
    trainer.fit(task, batches, ckpt_path=last if last.exists() else None, weights_only=True)
    return task


def blocks_of(task: KeywordTask) -> list[dict[str, Tensor]]:
    """The values of each block of the trunk."""
    return [
        {
            f"{at}.{name}": value.clone()
            for at, module in enumerate(block)
            for name, value in module.state_dict().items()
        }
        for block in task.network.trunk.blocks
    ]


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    return any(not torch.equal(before[name], after[name]) for name in before if not name.endswith(STATISTICS))


def test_blocks_rest_until_their_epoch() -> None:
    network = find_architecture("squeezenet").build(99, 161, 12)
    freezing = Freezing(TransferConfig(freeze=3, unfreeze_after=2))
    for epoch, resting in ((0, 3), (1, 3), (2, 0), (5, 0)):
        freezing.apply(network, epoch)
        learning = [
            all(p.requires_grad for module in block for p in module.parameters()) for block in network.trunk.blocks
        ]
        assert learning == [False] * resting + [True] * (9 - resting)
    assert all(parameter.requires_grad for parameter in network.head.parameters())


def test_frozen_blocks_are_what_they_were_and_others_learn(tmp_path: Path) -> None:
    task = make_task("squeezenet", TransferConfig(freeze=4))
    before = blocks_of(task)
    after = blocks_of(fit(task, tmp_path, epochs=2))
    assert [changed(*pair) for pair in zip(before, after, strict=True)] == [False] * 4 + [True] * 5


def test_a_resumed_run_thaws_as_an_unbroken_one(tmp_path: Path) -> None:
    config = TransferConfig(freeze=4, unfreeze_after=2, rate_decay=0.5)
    straight = fit(make_task("squeezenet", config), tmp_path / "straight", epochs=3)
    fit(make_task("squeezenet", config), tmp_path / "broken", epochs=1)
    assert not changed(blocks_of(make_task("squeezenet", config))[0], blocks_of(load(tmp_path / "broken"))[0])
    fit(make_task("squeezenet", config), tmp_path / "broken", epochs=3)
    resumed = load(tmp_path / "broken").state_dict()
    for name, value in straight.state_dict().items():
        torch.testing.assert_close(resumed[name], value, msg=name)
    assert changed(blocks_of(make_task("squeezenet", config))[0], blocks_of(straight)[0])


def load(run: Path) -> KeywordTask:
    return load_checkpoint(run / "last.ckpt")


@pytest.mark.parametrize("frozen", [True, False])
def test_statistics_are_frozen_or_not(frozen: bool, tmp_path: Path) -> None:
    """Apart from the weights: those of a resting block may still get used to spectrograms."""
    task = make_task("resnet50", TransferConfig(freeze=5, freeze_statistics=frozen))
    norm = task.network.trunk.whole.bn1
    before = norm.running_mean.clone()
    fit(task, tmp_path, epochs=1)
    assert torch.equal(norm.running_mean, before) == frozen
    assert not torch.equal(task.network.head[0].running_mean, torch.zeros(49_152))


def test_a_block_learns_more_slowly_than_the_one_behind_it() -> None:
    network = find_architecture("squeezenet").build(99, 161, 12)
    groups = parameter_groups(network, 0.1, rate_decay=0.5)
    assert [group["lr"] for group in groups] == [0.1 * 0.5**power for power in range(9, -1, -1)]
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(map(id, network.parameters()))
    assert groups[0]["params"][0] is network.trunk.entry.weight
    assert groups[-1]["params"][0] is network.head[0].weight
    (alone,) = parameter_groups(network, 0.1, rate_decay=1)
    assert [*map(id, alone["params"])] == [*map(id, network.parameters())]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TransferConfig(freeze=10), "--freeze 10: expected 0 to 9"),
        (TransferConfig(freeze=-1), "--freeze -1: expected 0 to 9"),
        (TransferConfig(unfreeze_after=3), "--unfreeze-after 3: expected an epoch from 1 on, and --freeze with it"),
        (TransferConfig(freeze=1, unfreeze_after=0), "--unfreeze-after 0: expected an epoch from 1 on"),
        (TransferConfig(rate_decay=1.5), r"--rate-decay 1\.5: expected more than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(config: TransferConfig, message: str) -> None:
    with pytest.raises(KwsError, match=message):
        check_transfer(find_architecture("squeezenet").build(99, 161, 12), config)


def test_the_command_trains_a_trunk_that_it_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, file = write_corpus(tmp_path / "corpus", clips=2), tmp_path / "weights.pth"
    torch.manual_seed(5)
    torch.save(find_architecture("squeezenet").build(99, 161, 12).trunk.whole.state_dict(), file)
    common = [
        "squeezenet",
        "--data",
        str(corpus),
        "--run",
        str(tmp_path / "runs" / "a"),
        "--batch",
        "8",
        "--passes",
        "1",
    ]
    common += ["--epochs", "1", "--weights", str(file), "--network", "entry=sum"]
    assert main([*common, "--freeze", "10"]) == 1
    assert "--freeze 10: expected 0 to 9, the blocks of this trunk" in capsys.readouterr().err
    assert main([*common, "--freeze", "2", "--rate-decay", "0.4"]) == 0
    task = load_checkpoint(tmp_path / "runs" / "a" / "last.ckpt")
    loaded = torch.load(file, weights_only=True)
    torch.testing.assert_close(task.network.trunk.entry.weight, loaded["features.0.weight"].sum(1, keepdim=True))
    assert task.hparams["settings"] == {"entry": "sum"}
    assert task.hparams["transfer"]["freeze"] == 2
    assert task.hparams["provenance"]["options"]["weights"] == "weights.pth"
    assert main(["lightcnn", "--data", str(corpus), "--run", str(tmp_path / "runs" / "b"), "--freeze", "1"]) == 1
    assert "LightCNN has no trunk" in capsys.readouterr().err
