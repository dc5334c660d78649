from __future__ import annotations

from pathlib import Path

import pytest

from models.ablate import ALL, WITHOUT, Result, configure, differs, draw_table, main, parse_arguments
from tests.corpus import write_corpus

# Lightning's own use of torch, and its advice on loaders that hold everything in memory.
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning:lightning", "ignore::DeprecationWarning"
)


def test_changes_are_paired_by_seed() -> None:
    table = draw_table(
        {
            ALL: [Result(0.90, 0.2, 0.6, 0.8, 50), Result(0.94, 0.1, 0.7, 0.9, 70)],
            "noise": [Result(0.89, 0.3, 0.3, 0.7, 150), Result(0.91, 0.4, 0.5, 0.8, 250)],
        }
    ).splitlines()
    assert [cell.strip() for cell in table[2].split("|")[1:-1]] == [
        *("nothing: all of it", "0.920 (0.900 to 0.940)", "", "0.150 (0.100 to 0.200)", ""),
        *("0.650 (0.600 to 0.700)", "0.850 (0.800 to 0.900)", "60 (50 to 70)"),
    ]
    assert [cell.strip() for cell in table[3].split("|")[1:6]] == [
        *("noise", "0.900 (0.890 to 0.910)", "-2.0 (-3.0 to -1.0)"),
        *("0.350 (0.300 to 0.400)", "+0.200 (+0.100 to +0.300)"),
    ]


def rows_that_differ(architecture: str, folder: Path, *settings: str) -> set[str]:
    (folder / "voices").mkdir(exist_ok=True)
    (folder / "voices" / "PROVENANCE.csv").touch()
    words = [str(folder / name) for name in ("voices", "cut_words", "other_words")]
    taught = ["--teachers", "teacher.ckpt", "--weights", "encoder.pth"]
    common = ["--data", str(folder), "--words", *words, *taught, "--set", "rows=256", *settings]
    options, common = parse_arguments([architecture, "-o", str(folder / "runs"), *common])
    runs = {ingredient: configure(ingredient, 0, options, common) for ingredient in WITHOUT}
    assert len({run.run for run in runs.values()}) == len(WITHOUT)
    assert all(run.set[0] == "rows=256" for run in runs.values()), "all rows keep what was set for all"
    return {ingredient for ingredient, run in runs.items() if differs(run, runs[ALL])}


def test_rows_are_trainings_that_differ(tmp_path: Path) -> None:
    every = set(WITHOUT) - {ALL}
    throats = "vocal_tract=0.1"
    assert rows_that_differ("compact-tiny", tmp_path, "time_mask=6", throats) == every
    assert rows_that_differ("compact-tiny", tmp_path, throats) == every - {"unmasked examples"}
    assert rows_that_differ("compact-tiny", tmp_path, "time_mask=0", "bin_mask=0", throats) == every - {"SpecAugment"}
    assert rows_that_differ("compact-tiny", tmp_path, "time_mask=6") == every - {"vocal tracts"}
    assert rows_that_differ("lightcnn", tmp_path, "time_mask=6", throats) == every - {"attention"}


def test_a_table_of_two_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write_corpus(tmp_path / "corpus", clips=2)
    command = ["compact-tiny", "-o", str(tmp_path / "runs"), "--seeds", "0", "--without", "spectral tilt"]
    training = ["--data", str(corpus), "--epochs", "1", "--passes", "1", "--batch", "16", "--threads", "1"]
    assert main([*command, *training]) == 0
    table = capsys.readouterr().out
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == ["nothing: all of it", "spectral tilt"]
    written = (tmp_path / "runs" / "spectral-tilt-0" / "result.json").stat().st_mtime_ns
    assert main([*command, *training]) == 0  # nothing is trained again
    assert capsys.readouterr().out == table
    assert (tmp_path / "runs" / "spectral-tilt-0" / "result.json").stat().st_mtime_ns == written
