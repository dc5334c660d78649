"""The tables on a corpus of seconds: the page, and that what was stopped goes on as if unbroken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.cells import Cell, Epoch, History, Result
from models.registry import find_architecture
from models.study import list_cells, main, parse_arguments
from models.study_page import learning_of
from tests.corpus import write_corpus

# Lightning's own use of torch, and its advice on loaders that hold everything in memory.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
LIGHT = "lightcnn-spectrogram"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=8)


def run(corpus: Path, folder: Path, *arguments: str) -> str:
    """The page that it writes."""
    common = ["--data", str(corpus), "-o", str(folder), "--max-epochs", "3", "--networks", LIGHT]
    assert main([*common, *arguments]) == 0
    return (folder / "study.md").read_text(encoding="utf-8")


def rows_of(page: str, section: str) -> list[list[str]]:
    """The cells of the lines of the first table behind a heading."""
    lines = page.split(f"## {section}\n")[1].split("\n\n")
    table = next(block for block in lines if block.lstrip().startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]


def test_ours_stands_beside_the_published(corpus: Path, tmp_path: Path) -> None:
    page = run(corpus, tmp_path, "--tables", "scratch")
    kept = json.loads((tmp_path / f"{LIGHT}-scratch-fold0-share1-seed0.json").read_text())["result"]
    row, *others = rows_of(page, "From scratch")
    assert row[:4] == [LIGHT, "723,968", "723,968", f"{kept['clips']:,}"]
    assert [row[6], row[8], row[10], row[12], row[14]] == ["0.9443", "0.9400", "0.1711", "0.1865", "550"]
    best = min(kept["epochs"], key=lambda epoch: epoch[4])
    assert row[5] == f"{best[1]:.4f}"
    assert row[11] == f"{best[4]:.4f}"
    assert {other[3] for other in others} == {"-"}, "published, and not trained here"
    assert kept["clips"] + kept["val_clips"] == 2 * 12 * 8 + 16  # words and as much silence as a keyword has clips
    assert f"{kept['clips']:,} clips at most" in page
    assert f"judged on {kept['val_clips']:,} of other speakers" in page
    assert "the study had 64,727" in page
    assert "After the first epoch" in page
    assert str(corpus) not in page


def test_what_is_complete_is_not_repeated(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = run(corpus, tmp_path, "--tables", "scratch")
    monkeypatch.setattr("models.cells.build_task", lambda *arguments, **named: pytest.fail("trained again"))
    assert run(corpus, tmp_path, "--tables", "scratch") == page


def test_what_trainings_came_to_outlives_them(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = ["--tables", "scratch", "--records", str(tmp_path / "records")]
    page = run(corpus, tmp_path / "there", *records)
    assert not [*(tmp_path / "there").glob("*.json")]
    monkeypatch.setattr("models.cells.build_task", lambda *arguments, **named: pytest.fail("trained again"))
    assert run(corpus, tmp_path / "elsewhere", *records) == page


def test_the_page_has_what_others_trained_in_the_folder(corpus: Path, tmp_path: Path) -> None:
    """Small networks with all clips by one command, large ones with a share by another."""
    run(corpus, tmp_path, "--tables", "scratch")
    page = run(corpus, tmp_path, "--tables", "scratch", "--networks", "squeezenet", "--shares", "0.5")
    rows = [row for row in rows_of(page, "From scratch") if row[3] != "-"]  # the others were published only
    assert [row[0] for row in rows] == [LIGHT, "squeezenet"], "the smaller one first"
    whole, share = (int(row[3]) for row in rows)
    assert 0.4 * whole < share < 0.6 * whole
    other_recipe = run(corpus, tmp_path, "--tables", "scratch", "--shares", "0.25", "--max-epochs", "1")
    (row,) = (row for row in rows_of(other_recipe, "From scratch") if row[3] != "-")
    assert row[0] == LIGHT
    assert int(row[3]) < share


def test_what_was_trained_otherwise_is_not_taken_for_it(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(corpus, tmp_path, "--tables", "scratch", "--max-epochs", "1")
    other = ["--data", str(corpus), "-o", str(tmp_path), "--networks", LIGHT, "--tables", "scratch"]
    assert main([*other, "--max-epochs", "1", "--batch", "8"]) == 1
    assert "trained with another recipe; give another folder, or remove it" in capsys.readouterr().err


def test_what_was_stopped_goes_on_by_its_own_recipe_alone(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where its record would be is no matter: the checkpoint knows."""
    monkeypatch.setattr("models.cells.build_trainer", lambda *arguments: pytest.fail("the power went out"))
    common = ["--data", str(corpus), "-o", str(tmp_path / "runs"), "--networks", LIGHT, "--tables", "scratch"]
    with pytest.raises(pytest.fail.Exception, match="the power went out"):
        main([*common, "--max-epochs", "1"])
    assert main([*common, "--max-epochs", "2", "--records", str(tmp_path / "records")]) == 1
    assert "facts.json: trained with another recipe" in capsys.readouterr().err


def test_the_page_is_drawn_once_where_nothing_is_new(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = ["--tables", "scratch", "--max-epochs", "1", "--shares", "0.5", "1"]
    page = run(corpus, tmp_path, *tables)
    drawn: list[int] = []
    monkeypatch.setattr("models.study.draw_page", lambda *arguments: drawn.append(1) or page)
    assert run(corpus, tmp_path, *tables) == page
    assert drawn == [1]


def test_what_was_stopped_goes_on_as_if_unbroken(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(corpus, tmp_path / "straight", "--tables", "scratch")
    after = History.on_train_epoch_start

    def stop(self: History, trainer: object, module: object) -> None:
        if getattr(trainer, "current_epoch", 0) == 2:
            raise RuntimeError("the power went out")
        after(self, trainer, module)  # type: ignore[arg-type]

    monkeypatch.setattr(History, "on_train_epoch_start", stop)
    with pytest.raises(RuntimeError, match="the power went out"):
        run(corpus, tmp_path / "broken", "--tables", "scratch")
    monkeypatch.undo()
    run(corpus, tmp_path / "broken", "--tables", "scratch")
    straight, broken = (
        json.loads((tmp_path / name / f"{LIGHT}-scratch-fold0-share1-seed0.json").read_text())["result"]["epochs"]
        for name in ("straight", "broken")
    )
    assert [epoch[0] for epoch in broken] == [1, 2, 3]
    for ours, theirs in zip(broken, straight, strict=True):
        assert ours[:5] == pytest.approx(theirs[:5], rel=1e-4)


def test_pretrained_beside_scratch_by_share_of_the_data(corpus: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk = find_architecture("squeezenet").build(99, 161, 12).trunk.whole
    torch.save(trunk.state_dict(), tmp_path / "weights.pth")
    given = [
        "--networks",
        "squeezenet",
        "--weights",
        f"squeezenet={tmp_path / 'weights.pth'}@57.4",
        "--max-epochs",
        "1",
    ]
    given += ["--tables", "scratch", "pretrained", "--shares", "0.5", "1", "--freeze", "2"]
    page = run(corpus, tmp_path / "runs", *given)
    starts = [(row[1], row[2], row[3]) for row in rows_of(page, "How much data")]
    assert [start[:2] for start in starts] == [
        ("pretrained", "50%"),
        ("pretrained", "100%"),
        ("scratch", "50%"),
        ("scratch", "100%"),
    ]
    assert int(starts[0][2]) < int(starts[1][2])
    assert "The first 2 blocks rest" in page
    for shows, name in (
        ("accuracy by clips", "study-accuracy-by-clips.png"),
        ("squeezenet by epoch", "study-squeezenet-by-epoch.png"),
    ):
        assert f"![{shows}]({name})" in page
        assert (tmp_path / "runs" / name).read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path) not in page


def test_the_cells_of_the_tables() -> None:
    common = ["--data", "corpus", "-o", "runs", "--seeds", "0", "1"]
    cells = [*list_cells(parse_arguments([*common, "--tables", "folds", "variants"]))]
    assert len(cells) == len(set(cells)) == 2 * (5 + 3)  # the Light CNN as published stands in both tables
    assert {cell.network for cell in cells} == {LIGHT}
    scratch = [*list_cells(parse_arguments([*common, "--tables", "scratch"]))]
    assert len(scratch) == 2 * 6
    assert Cell(LIGHT, seed=1) in scratch
    assert len({cell.name for cell in [*cells, *scratch]}) == len({*cells, *scratch})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "lightcnn=x.pth"], "expected NETWORK=FILE with one of squeezenet"),
        (["--weights", "vgg16=nowhere.pth"], "no file nowhere.pth"),
        (["--weights", "vgg16=nowhere.pth@bright"], "expected a number behind the @, got 'bright'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", "corpus", "-o", "runs", *arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--tables", "grades"], "invalid choice: 'grades'"), (["--shares", "2"], "--shares 2.0: expected more than 0")],
)
def test_usage_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--data", "corpus", "-o", "runs", *arguments])
    assert message in capsys.readouterr().err


def test_the_picture_has_those_that_learnt_from_several_counts_of_clips() -> None:
    result = Result([Epoch(1, 0.5, 1.0, 0.4, 1.2, 3.0)], 90, 200, "CPU")
    more = Result(result.epochs, 900, 200, "CPU")
    once = {Cell("mnist", share=0.1): result}
    assert learning_of(once) == {}
    assert learning_of({**once, Cell(LIGHT, share=0.1): result, Cell(LIGHT): more}) == {
        (LIGHT, "scratch"): {90: [0.4], 900: [0.4]}
    }
