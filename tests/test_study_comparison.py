"""Trainings beside what the study published, on trainings whose figures are known."""

from __future__ import annotations

from models.cells import LIGHT, Cell, Epoch, Result
from models.study_comparison import KERAS, UNTRAINED, compare


def trained(accuracy: float, clips: int) -> Result:
    epochs = [Epoch(1, 0.25, 2.0, 0.2, 2.1, 10.0), Epoch(2, 0.75, 0.8, accuracy, 1.0, 20.0)]
    return Result(epochs, clips, 2000, "CPU")


def rows_of(page: str) -> dict[str, list[str]]:
    """Of the first table."""
    lines = page.split("\n\n")[0].splitlines()[2:]
    return {row[0]: row[1:] for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


RESULTS = {
    Cell(LIGHT): trained(0.9, 9000),
    Cell(LIGHT, share=0.1): trained(0.5, 900),
    Cell("squeezenet", "w.npz"): trained(0.8, 9000),
}


def test_the_published_figures_stand_beside_ours() -> None:
    page = compare(RESULTS, pretrained=False)
    (row,) = [rows_of(page)[LIGHT]]
    assert row[:4] == ["723,968", "723,968", "9,000", "2 of 2"]
    assert row[4:8] == ["0.7500", "0.9443", "0.9000 (0.886 to 0.912)", "0.9400"]
    assert row[-2:] == ["20", "550"]
    assert "squeezenet" not in page
    assert page.endswith(KERAS)


def test_what_the_study_pretrained_and_we_did_not_is_there_without_figures_of_ours() -> None:
    page = compare(RESULTS, pretrained=True)
    rows = rows_of(page)
    assert list(rows) == ["squeezenet", "inception-v3", "vgg16", "resnet50"]
    assert rows["squeezenet"][:3] == ["2,315,852", "-", "9,000"]
    assert rows["resnet50"][:8] == ["75,156,428", "75,182,988", "-", "-", "-", "0.9134", "-", "0.9252"]
    assert rows["resnet50"][-2:] == ["-", "3,654"]
    assert page.endswith(UNTRAINED)


def test_nothing_trained_is_no_table() -> None:
    assert compare({}, pretrained=True) == ""
    assert compare({cell: result for cell, result in RESULTS.items() if cell.weights}, pretrained=False) == ""
