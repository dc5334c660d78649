"""What is said of a difference, on trainings whose figures are known."""

from __future__ import annotations

import pytest

from models.cells import LIGHT, Cell, Epoch, Result
from models.study_findings import draw_findings, say, shown, subtract


def trained(accuracy: float, first: float = 0.2, clips: int = 900) -> Result:
    """Two epochs, the second one the best."""
    epochs = [Epoch(1, 0.25, 2.0, first, 2.1, 10.0), Epoch(2, 0.75, 0.8, accuracy, 1.0, 20.0)]
    return Result(epochs, clips, 2000, "CPU")


def rows_of(page: str, question: str) -> list[list[str]]:
    block = page.split(question)[1].split("\n\n")[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]


def test_pretraining_by_share_and_paired_by_seed() -> None:
    scratch = {Cell("squeezenet", share=0.1, seed=seed): trained(0.5 + 0.1 * seed) for seed in range(3)}
    taught = {
        Cell("squeezenet", "w.npz", share=0.1, seed=seed): trained(0.6 + 0.1 * seed, first=0.4) for seed in range(3)
    }
    alike = {Cell("squeezenet"): trained(0.8), Cell("squeezenet", "w.npz"): trained(0.81)}
    few, all_of_them = rows_of(draw_findings({**scratch, **taught, **alike}), "Does pretraining help")
    assert few[:3] == ["squeezenet", "10%", "900"]
    assert few[3] == "+10.0 (+10.0 to +10.0)", "the seeds differ far more than what the start is worth"
    assert few[4:] == ["confirmed", "0.750 at epoch 2; 0.200", "0.750 at epoch 2; 0.400"]
    assert all_of_them[3].startswith("+1.0 (-")
    assert all_of_them[4] == "not decided"


def test_more_seeds_than_were_asked_for_stand_beside_the_first() -> None:
    scratch = {Cell("squeezenet", share=0.1, seed=seed): trained(0.5) for seed in range(4)}
    taught = {Cell("squeezenet", "w.npz", share=0.1, seed=seed): trained(0.6 + 0.1 * (seed > 2)) for seed in range(4)}
    (row,) = rows_of(draw_findings({**scratch, **taught}), "Does pretraining help")
    assert row[3] == "+12.5 (+4.5 to +20.5); the first 3: +10.0 (+10.0 to +10.0)"


def test_the_light_cnn_beside_each_network_on_the_same_clips() -> None:
    results = {
        Cell(LIGHT): trained(0.9, clips=9000),
        Cell(LIGHT, share=0.1): trained(0.5),
        Cell("squeezenet", share=0.1): trained(0.6),
        Cell("squeezenet", share=0.2): trained(0.7),
    }
    page = draw_findings(results)
    (row,) = rows_of(page, "Is a small network close")
    assert row[0] == "squeezenet"
    assert row[1] == "900", "the largest share that both have"
    assert float(row[2]) > 1
    assert row[3].startswith("+10.0 (")
    assert row[4:] == ["-", "(refuted)"], "one training each"
    assert "Does pretraining help" not in page


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [((0.5, 0.51, 0.52), "confirmed"), ((0.6, 0.61, 0.62), "refuted"), ((0.5, 0.6, 0.7), "not decided")],
)
def test_close_is_what_the_study_calls_small(accuracies: tuple[float, ...], verdict: str) -> None:
    light = {Cell(LIGHT, seed=seed): trained(accuracy) for seed, accuracy in enumerate((0.5, 0.51, 0.52))}
    others = {Cell("vgg16", seed=seed): trained(accuracy) for seed, accuracy in enumerate(accuracies)}
    (row,) = rows_of(draw_findings({**light, **others}), "Is a small network close")
    assert row[4:] == ["+1.8", verdict]


def test_nothing_to_compare_says_nothing() -> None:
    assert draw_findings({Cell(LIGHT): trained(0.9)}) == ""


def test_one_training_is_judged_by_its_clips_beside_the_mean_of_several() -> None:
    assert subtract({0: trained(0.9)}, {0: trained(0.8), 1: trained(0.9)})[0] == pytest.approx(0.05)
    difference, low, high = subtract({0: trained(0.9)}, {1: trained(0.9)})
    assert difference == 0
    assert 0.015 < high < 0.022
    assert low == pytest.approx(-high)


def test_what_an_interval_says() -> None:
    assert say((0.1, 0.05, 0.15), 0, "better", "worse") == "better"
    assert say((0.1, 0.05, 0.15), 0.2, "better", "worse") == "worse"
    assert say((-0.1, -0.15, -0.05), 0, "better", "worse") == "worse"
    assert say((0.1, -0.05, 0.15), 0, "better", "worse") == "not decided"
    assert shown((0.012, -0.0034, 0.05)) == "+1.2 (-0.3 to +5.0)"
