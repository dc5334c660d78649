"""`models.synthesize` with the synthesisers that are installed."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models import synthesisers
from models.dataset import Clip, hash_split, list_clips
from models.labels import KEYWORDS
from models.synthesisers import ENGINES, Voice, ask
from models.synthesize import LOOK_ALIKES, OTHER_WORDS, VAL_PERCENT, main, plan_words, read_words
from models.takes import MARGIN

RATE = 16_000
ESPEAK = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")
WORDS = {"up", "hey computer"}
COUNT = 21


def run(folder: Path, *arguments: str) -> int:
    return main(["-o", str(folder), "--jobs", "2", *arguments])


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "PROVENANCE.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def clips_of(folder: Path) -> list[Clip]:
    return [clip for split in ("train", "val") for clip in list_clips(folder, split)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two words, spoken by espeak-ng."""
    if not shutil.which("espeak-ng"):
        pytest.skip("needs espeak-ng")
    folder = tmp_path_factory.mktemp("spoken")
    assert run(folder, "--words", *WORDS, "--voices", str(COUNT), "--engines", "espeak-ng") == 0
    return folder


def test_the_layout_is_the_one_that_training_reads(dataset: Path) -> None:
    for split, count in (("train", 18), ("val", 3)):
        clips = list_clips(dataset, split)  # type: ignore[arg-type]
        assert [clip.word for clip in clips] == ["hey_computer"] * count + ["up"] * count
        assert {clip.label for clip in clips} == {"up", "unknown"}


def test_clips_are_words_and_no_longer_than_a_second(dataset: Path) -> None:
    for clip in clips_of(dataset):
        info = soundfile.info(clip.path)
        assert (info.samplerate, info.channels, info.format, info.subtype) == (RATE, 1, "FLAC", "PCM_16")
        samples, _ = soundfile.read(clip.path)
        assert 0.25 * RATE <= len(samples) <= RATE
        assert 0.01 < np.abs(samples).max() < 0.9
        edge = MARGIN // 2
        assert max(np.abs(samples[:edge]).max(), np.abs(samples[-edge:]).max()) < 0.1 * np.abs(samples).max()


def test_no_speaker_stands_in_both_splits(dataset: Path) -> None:
    speaker = {voice.name.replace(" ", "-"): voice.speaker for voice in ENGINES["espeak-ng"].list_voices()}
    heard = {
        split: {speaker[clip.speaker.removeprefix("espeak-ng-")] for clip in list_clips(dataset, split)}  # type: ignore[arg-type]
        for split in ("train", "val")
    }
    assert heard["train"]
    assert heard["val"]
    assert not heard["train"] & heard["val"]


def test_every_clip_has_its_row(dataset: Path) -> None:
    rows = {row["path"]: row for row in rows_of(dataset)}
    assert set(rows) == {clip.path.relative_to(dataset).as_posix() for clip in clips_of(dataset)}
    for path, row in rows.items():
        info = soundfile.info(dataset / path)
        assert float(row["seconds"]) == pytest.approx(info.duration, abs=1e-3)
        assert path.split("/")[:2] == [row["split"], row["word"].replace(" ", "_")]
        assert path.startswith(f"{row['split']}/{row['word'].replace(' ', '_')}/espeak-ng-{row['voice'].split()[0]}")
        assert (row["engine"], row["seed"]) == ("espeak-ng", "0")
        assert row["version"] in ask("espeak-ng", "--version")
    assert "python -m models.synthesize" in (dataset / "README.md").read_text()


def test_the_same_seed_gives_the_same_clips(dataset: Path, tmp_path: Path) -> None:
    """espeak-ng repeats itself to the sample."""
    assert run(tmp_path, "--words", "up", "--voices", str(COUNT), "--engines", "espeak-ng") == 0
    assert rows_of(tmp_path) == [row for row in rows_of(dataset) if row["word"] == "up"]
    for clip in clips_of(tmp_path):
        assert clip.path.read_bytes() == (dataset / clip.path.relative_to(tmp_path)).read_bytes()


def test_a_stopped_run_goes_on(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "spoken"
    shutil.copytree(dataset, folder)
    lost, half = rows_of(folder)[:2]
    (folder / lost["path"]).unlink()
    table = folder / "PROVENANCE.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], lines[1], *lines[3:], lines[2][:30]]))  # the last line is cut
    again = ("--words", *WORDS, "--voices", str(COUNT), "--engines", "espeak-ng")
    assert run(folder, *again) == 0
    assert f"2 clips made, {2 * COUNT - 2} were there" in capsys.readouterr().out
    assert rows_of(folder) == rows_of(dataset)
    assert (folder / half["path"]).read_bytes() == (dataset / half["path"]).read_bytes()


def test_other_settings_do_not_mix(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows_of(dataset)
    arguments = ("--words", "up", "--voices", str(COUNT), "--engines", "espeak-ng")
    # Another seed may give other names: only where two clips would have the same one is there something to refuse.
    voices = ENGINES["espeak-ng"].list_voices()
    seeds = (seed for seed in range(1, 99) if _names(voices, seed) & {row["path"] for row in before})
    assert run(dataset, *arguments, "--seed", str(next(seeds))) == 1
    assert "clips made otherwise" in capsys.readouterr().err
    assert rows_of(dataset) == before


def _names(voices: list[Voice], seed: int) -> set[str]:
    return {take.path for take in plan_words({"up": COUNT}, voices, seed)}


@ESPEAK
def test_more_clips_keep_those_that_there_were(dataset: Path) -> None:
    voices = ENGINES["espeak-ng"].list_voices()
    few, many = (plan_words({"up": count}, voices, seed=0) for count in (COUNT, 2 * COUNT))
    assert set(few) < set(many)
    assert {take.path for take in few} == {row["path"] for row in rows_of(dataset) if row["word"] == "up"}


@ESPEAK
def test_what_says_nothing_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = "\N{ARABIC-INDIC DIGIT ONE}"  # a digit, but none that an English voice reads
    assert run(tmp_path, "--words", "up", silent, "--voices", "2", "--engines", "espeak-ng") == 1
    printed = capsys.readouterr()
    assert f"nothing is spoken for {silent!r}" in printed.err
    assert {row["word"] for row in rows_of(tmp_path)} == {"up"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--words", "..."), "no word that can be spoken: '...'"),
        (("--words", "../up"), "no word that can be spoken: '../up'"),
        (("--words", "up", "_"), "no word that can be spoken: '_'"),
        (("--words-file", "nothing.txt"), "nothing.txt"),
        (("--engines", "mbrola"), "invalid choice: 'mbrola'"),
        (("--voices", "0"), "--voices and --jobs take a number from 1 on"),
        (("--voices", "two"), "invalid int value: 'two'"),
    ],
)
def test_wrong_usage_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit) as raised:
        run(tmp_path / "spoken", *arguments)
    assert raised.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "spoken").exists()


def test_an_empty_list_of_words_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.txt").write_text("# none yet\n\n")
    with pytest.raises(SystemExit) as raised:
        run(tmp_path / "spoken", "--words-file", str(tmp_path / "words.txt"))
    assert raised.value.code == 2
    assert "no words" in capsys.readouterr().err


def test_without_a_synthesiser_there_is_one_line(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "models.synthesize", "-o", tmp_path / "spoken", "--words", "up"],
        env={"PATH": str(tmp_path)},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    *missing, last = result.stderr.splitlines()
    assert missing == [f"{name} is not installed: left out" for name in ENGINES]
    assert last == "error: no speech synthesiser: expected one of espeak-ng flite festival on PATH; " + (
        "on Debian: apt install espeak-ng"
    )


@ESPEAK
def test_one_that_is_missing_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "espeak-ng").symlink_to(str(shutil.which("espeak-ng")))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert run(tmp_path / "spoken", "--words", "up", "--voices", "7", "--engines", "flite", "espeak-ng") == 0
    assert "flite is not installed: left out" in capsys.readouterr().err
    assert {row["engine"] for row in rows_of(tmp_path / "spoken")} == {"espeak-ng"}


def test_a_foreign_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not any(engine.installed for engine in ENGINES.values()):
        pytest.skip("needs espeak-ng, flite or festival")
    (tmp_path / "PROVENANCE.csv").write_text("path,licence\nup/a.wav,CC0\n")
    assert run(tmp_path, "--words", "up", "--voices", "1") == 1
    assert "no table of synthetic clips" in capsys.readouterr().err
    assert (tmp_path / "PROVENANCE.csv").read_text() == "path,licence\nup/a.wav,CC0\n"


@ESPEAK
def test_look_alikes_sound_like_no_keyword() -> None:
    alike = read_words(LOOK_ALIKES.read_text().splitlines())
    assert len(set(alike)) == len(alike) > 70
    assert not {*alike} & {*KEYWORDS, *OTHER_WORDS.split()}
    for accent in synthesisers.ACCENTS.split():
        words = (*alike, *KEYWORDS)
        lines = ask("espeak-ng", "-q", "-x", "-v", accent, "--", "\n\n".join(words)).splitlines()
        sound = dict(zip(words, map(str.strip, lines), strict=True))
        assert not {sound[word] for word in KEYWORDS} & {sound[word] for word in alike}, accent


def test_the_people_of_the_split_stay_where_they_are() -> None:
    """Adding an accent or a synthesiser must not move a speaker from one split to the other."""
    speakers = ["kal", "awb", "rms", "slt", "plain", "m3", "m7", "f4", "f5"]
    assert [hash_split(name, VAL_PERCENT, 0) for name in speakers] == ["train"] * 5 + ["val"] * 4
