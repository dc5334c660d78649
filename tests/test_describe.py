"""The description of a corpus: the published counts, and faults that were put there."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from models import corpus_plots
from models.dataset import list_clips
from models.describe import main
from models.labels import KEYWORDS
from models.recordings import opus_coded
from models.survey import (
    EMPTY,
    QUIETEST_DB,
    SHORT,
    SILENT,
    UNREADABLE,
    choose_examples,
    decibels,
    find_across,
    list_corpus,
    measure_corpus,
)
from tests.corpus import RATE, WORDS, write_corpus
from tests.test_report import Page

PUBLISHED = {
    **{"stop": 2380, "yes": 2377, "seven": 2377, "zero": 2376, "up": 2375, "no": 2375, "two": 2373, "four": 2372},
    **{"go": 2372, "one": 2370, "six": 2369, "on": 2367, "right": 2367, "nine": 2364, "down": 2359, "five": 2357},
    **{"off": 2357, "three": 2356, "left": 2353, "eight": 2352, "house": 1750, "dog": 1746, "marvin": 1746},
    **{"wow": 1745, "happy": 1742, "sheila": 1734, "tree": 1733, "cat": 1733, "bird": 1731, "bed": 1713},
    "_background_noise_": 6,
}
"""Files by class in Speech Commands v0.01, as the study prints them."""
PICTURES = ("distribution", "durations", "levels", "pictures")
TABLES = ("words", "labels", "figures", "clips", "duplicates")


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def section(lines: list[str], head: str) -> dict[str, str]:
    """Class -> "files (percent)" of the lines below the one that begins so."""
    found = {}
    start = next(at for at, line in enumerate(lines) if line.startswith(head))
    for line in lines[start + 1 :]:
        if not line.startswith("  "):
            break
        name, _, rest = line.strip().partition(" ")
        found[name] = " ".join(rest.split())
    return found


def test_the_published_distribution(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tree of 64,727 names, all of them links to one small file a class."""
    for word, count in PUBLISHED.items():
        (tmp_path / word).mkdir()
        first = tmp_path / word / "00000000_nohash_0.wav"
        soundfile.write(first, np.zeros(16), RATE)
        for number in range(1, count):
            os.link(first, tmp_path / word / f"{number:08x}_nohash_0.wav")
    (tmp_path / "_background_noise_" / "README.md").touch()
    assert main([str(tmp_path), "--classes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("64,727 files in 31 classes (train ")
    every, reduced = section(lines, "64,727"), section(lines, "reduced to 12")
    assert {word: int(text.split()[0].replace(",", "")) for word, text in every.items()} == PUBLISHED
    assert list(PUBLISHED.values()) == [int(text.split()[0].replace(",", "")) for text in every.values()]
    assert every["stop"] == "2,380 (3.7 %)"
    assert list(reduced) == [
        "unknown",
        "stop",
        "yes",
        "no",
        "up",
        "go",
        "on",
        "right",
        "down",
        "off",
        "left",
        "silence",
    ]
    assert reduced["unknown"] == "41,039 (63.4 %)"
    assert reduced["silence"] == "6 (0.0 %)"
    assert {word: reduced[word] for word in KEYWORDS} == {word: every[word] for word in KEYWORDS}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve words, four clips each, in two splits; five faults in val, and two clips of train in test."""
    root = write_corpus(tmp_path_factory.mktemp("data") / "corpus & <co>", clips=4)
    folder = root / "val" / "house"
    (folder / "broken_nohash_0.wav").write_bytes(b"no sound")
    soundfile.write(folder / "empty_nohash_0.wav", np.zeros(0), RATE)
    soundfile.write(folder / "short_nohash_0.wav", np.full(1600, 0.1), RATE)
    soundfile.write(folder / "silent_nohash_0.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "fast_nohash_0.wav", np.full(8000, 0.1), 8000)
    (root / "test" / "yes").mkdir(parents=True)
    shutil.copy(root / "train" / "yes" / "train0001_nohash_0.wav", root / "test" / "yes" / "copy_nohash_0.wav")
    samples, _ = soundfile.read(root / "train" / "no" / "train0002_nohash_0.wav", dtype="int16")
    soundfile.write(root / "test" / "yes" / "coded_nohash_0.wav", opus_coded(samples // 2, 0.85), RATE)
    loud = np.random.default_rng(0).normal(0, 0.5, RATE)
    soundfile.write(root / "test" / "yes" / "loud_nohash_0.wav", loud.clip(-1, 1), RATE)
    return root


@pytest.fixture(scope="module")
def folder(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("described") / "deep" / "down"
    assert main([str(corpus), "-o", str(output)]) == 0
    return output


def test_every_clip_is_measured(corpus: Path, folder: Path) -> None:
    rows = read_table(folder / "clips.csv")
    assert len(rows) == 2 * 4 * len(WORDS) + 5 + 3
    for row in rows[:: len(rows) // 10]:
        path = corpus / row["path"]
        assert row["path"].split("/")[:2] == [row["split"], row["word"]]
        if row["problem"] in ("", SHORT):
            samples, rate = soundfile.read(path)
            assert float(row["seconds"]) == pytest.approx(len(samples) / rate, abs=1e-4)
            assert float(row["rms_db"]) == pytest.approx(10 * np.log10(np.mean(samples**2)), abs=0.01)
            assert float(row["peak_db"]) == pytest.approx(20 * np.log10(np.abs(samples).max()), abs=0.01)
    assert [row["path"] for row in rows if row["clipped"] == "1"] == ["test/yes/loud_nohash_0.wav"]


def test_faults_are_found(folder: Path) -> None:
    found = {Path(row["path"]).name[:5]: row for row in read_table(folder / "clips.csv") if row["problem"]}
    assert {name: row["problem"] for name, row in found.items()} == {
        "broke": UNREADABLE,
        "empty": EMPTY,
        "fast_": UNREADABLE,
        "short": SHORT,
        "silen": SILENT,
    }
    assert "expected 16000 Hz, got 8000 Hz" in found["fast_"]["detail"]
    assert "not readable as audio" in found["broke"]["detail"]
    assert found["broke"]["seconds"] == ""
    assert float(found["silen"]["rms_db"]) == QUIETEST_DB


def test_the_same_sound_in_two_splits_is_found(folder: Path) -> None:
    rows = {row["path"]: row for row in read_table(folder / "duplicates.csv")}
    assert rows["test/yes/copy_nohash_0.wav"]["same_as"] == "train/yes/train0001_nohash_0.wav"
    assert float(rows["test/yes/copy_nohash_0.wav"]["similarity"]) == pytest.approx(1, abs=1e-3)
    # A chord is much like another, here; the copy is the nearest of them.
    assert rows["test/yes/coded_nohash_0.wav"]["same_as"] == "train/no/train0002_nohash_0.wav"
    assert "test/yes/loud_nohash_0.wav" not in rows
    assert all(row["path"].split("/")[0] != row["same_as"].split("/")[0] for row in rows.values())


def test_tables_agree_with_each_other(corpus: Path, folder: Path) -> None:
    clips = read_table(folder / "clips.csv")
    words = {row["class"]: row for row in read_table(folder / "words.csv")}
    labels = {row["label"]: row for row in read_table(folder / "labels.csv")}
    for split in ("train", "val", "test"):
        counts = Counter(row["word"] for row in clips if row["split"] == split)
        assert {word: int(row[split]) for word, row in words.items()} == {word: counts[word] for word in words}
        assert sum(int(row[split]) for row in labels.values()) == sum(counts.values())
    assert (words["_background_noise_"]["files"], words["_background_noise_"]["label"]) == ("1", "silence")
    assert int(labels["unknown"]["files"]) == int(words["house"]["files"]) + int(words["bird"]["files"])
    assert sum(int(row["files"]) for row in labels.values()) == len(clips) + 1
    quantiles = {row[""]: row for row in read_table(folder / "figures.csv")}
    seconds = sorted(float(row["seconds"]) for row in clips if row["seconds"])
    assert float(quantiles["seconds"]["least"]) == seconds[0] == 0.1
    assert float(quantiles["seconds"]["median"]) == pytest.approx(np.median(seconds), abs=0.006)


def test_the_page_holds_everything(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["index.html", *(f"{name}.png" for name in PICTURES), *(f"{name}.csv" for name in TABLES)]
    )
    page = Page((folder / "index.html").read_text(encoding="utf-8"))
    assert all(source.startswith("data:") for _, source in page.sources)
    assert not page.tags & {"link", "script", "co"}
    assert [tag for tag, _ in page.sources].count("img") == len(PICTURES)
    assert [tag for tag, _ in page.sources].count("audio") == len(WORDS)
    assert all(imread(folder / f"{name}.png").std() > 0.01 for name in PICTURES)
    assert "Corpus: corpus & <co>" in page.words
    assert {row[0] for row in page.table("word")} == set(WORDS)
    assert len(page.table("class")) == len(WORDS) + 1
    assert sorted(row[8] for row in page.table("path")) == sorted([UNREADABLE, UNREADABLE, EMPTY, SHORT, SILENT])
    assert page.words[page.words.index("clipped") + 1] == "1"
    assert str(folder.parent) not in " ".join(page.words)


def test_the_text_names_what_is_wrong(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(corpus), "--no-duplicates", "--shortest", "0.05"]) == 0
    output = capsys.readouterr().out
    assert "unreadable 2, no samples 1, too short 0, digital silence 1, clipped 1 (short: under 0.05 s)" in output
    assert "  val/house/broken_nohash_0.wav: unreadable not readable as audio" in output
    assert "  val/house/silent_nohash_0.wav: digital silence\n" in output
    assert "two splits" not in output
    assert main([str(corpus)]) == 0
    assert "  test/yes/copy_nohash_0.wav is train/yes/train0001_nohash_0.wav (1.00)" in capsys.readouterr().out


def test_pictures_show_what_was_counted(corpus: Path) -> None:
    listed = list_corpus(corpus)
    every, reduced = corpus_plots.draw_distribution(listed.words, listed.labels).axes
    assert [bar.get_width() for bar in every.patches] == list(listed.words.values())
    assert [label.get_text() for label in reduced.get_yticklabels()] == list(listed.labels)
    (durations,) = corpus_plots.draw_durations([0.3, 1.0, 1.0, 1.01, 2.0], 0.5).axes
    heights = {round(bar.get_x(), 2): bar.get_height() for bar in durations.patches if bar.get_height()}
    assert sum(heights.values()) == 5
    measured = measure_corpus(listed, 0.5)
    examples = choose_examples(measured)
    assert list(examples) == sorted(WORDS)
    pictures = corpus_plots.draw_words(examples)
    shown = [axes for axes in pictures.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == sorted(WORDS)
    # Each word is a chord of its own: its loudest mel bin is higher, the later the word.
    loudest = {axes.get_title(loc="left"): axes.images[0].get_array().mean(1).argmax() for axes in shown}  # type: ignore[union-attr]
    assert loudest["yes"] < loudest["right"] < loudest["bird"]


def test_a_whole_corpus_without_splits_is_split_by_its_rule(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "yes").mkdir()
    source = next((corpus / "train" / "yes").iterdir())
    for number in range(60):
        os.link(source, tmp_path / "yes" / f"{number:08x}_nohash_0.wav")
    listed = list_corpus(tmp_path)
    assert {split: len(clips) for split, clips in listed.splits.items()} == {
        split: len(list_clips(tmp_path, split)) for split in listed.splits
    }
    assert listed.files == 60
    matches = find_across(measure_corpus(listed, 0.5))
    assert len(matches) == sum(len(clips) for split, clips in listed.splits.items() if split != "train")


def test_the_scale_ends_at_silence() -> None:
    assert decibels(1) == 0
    assert decibels(0.5) == pytest.approx(-6.02, abs=0.01)
    assert decibels(0) == decibels(1e-9) == QUIETEST_DB


def test_bad_input_is_one_line(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def complaint(*arguments: str | Path) -> str:
        assert main([*map(str, arguments)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "no folder" in complaint(tmp_path / "nothing")
    assert "no clips for" in complaint(tmp_path)
    assert "is one split of a corpus" in complaint(corpus / "test")
    assert "cannot write to" in complaint(corpus, "--no-duplicates", "-o", corpus / "_background_noise_" / "hiss.wav")
    with pytest.raises(SystemExit, match="2"):
        main([str(corpus), "--classes", "-o", str(tmp_path)])
