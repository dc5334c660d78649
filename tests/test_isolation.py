"""Nothing is trained on the test split, tuned to it or chosen by it: neither its speakers, nor its sounds, nor by any
command."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

import export.__main__
import export.quantize
import kws_stream.cli.calibrate
import kws_stream.cli.evaluate
import kws_stream.cli.submit
import models.ablate
import models.compose
import models.decoders
import models.describe
import models.operating_point
import models.pretrain
import models.report
import models.study
import models.train
from models.dataset import hash_split, list_audio, list_clips, speaker_of
from models.duplicates import (
    CLIP,
    THRESHOLD,
    Floats,
    fingerprint_clips,
    fingerprint_recording,
    nearest,
    read_clips,
)
from models.recordings import SAMPLE_RATE, Samples, opus_coded, read_mono
from tests.corpus import write_corpus
from tests.opened import Opened

EXAMPLE = Path(__file__).parents[1] / "examples" / "keywords.flac"
SPLITS = ("train", "val", "test")
LIGHT = "lightcnn-spectrogram"
HEARD = {"ambience_pyroomacoustics_doing_the_dishes.opus", "ambience_howl_dude_miaowing.opus"}
"""Files of `noise/test` that hold two of the six recordings of `noise/background` under other names."""

# Lightning's and torch's own use of torch, and Lightning's advice on loaders that hold everything in memory.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"),
]


class Sounds(NamedTuple):
    """The clips of train, then those of val."""

    paths: list[Path]
    train: int
    """how many are of train"""
    fingerprints: Floats


def clips_of(data: Path, split: str) -> list[Path]:
    return [clip.path for clip in list_clips(data / "speech_commands", split)]  # type: ignore[arg-type]


def speaker(path: Path) -> str:
    """Of `SPEAKER_nohash_N`, or `WORD_SPEAKER_nohash_N` in the folder of unknown test words."""
    return speaker_of(path.name).split("_")[-1]


def reader(path: Path) -> tuple[str, int]:
    """Corpus and speaker of a sentence, or of a word that was cut out of one."""
    found = re.match(r"(?:libri(?:speech_)?|so|speechocean_)(\d+)[_-]|LJ\d", path.name)
    assert found, f"a name of an unknown form: {path.name}"
    return path.name[0], int(found[1] or 0)  # l(ibrispeech), s(peechocean) or L(JSpeech), which has one reader


def second(path: Path) -> Samples:
    """`(CLIP,)`: a second from near the beginning of a sentence or a noise."""
    frames = CLIP + SAMPLE_RATE // 2
    samples, rate = soundfile.read(path, frames=frames, dtype="int16", fill_value=0)  # to seek takes longer
    assert rate == SAMPLE_RATE
    return samples[-CLIP:]


@pytest.fixture(scope="module")
def known(data: Path) -> Sounds:
    train, val = clips_of(data, "train"), clips_of(data, "val")
    return Sounds(train + val, len(train), fingerprint_clips(read_clips(train + val)))


def test_no_speaker_of_a_test_clip_is_in_train_or_val(data: Path) -> None:
    train, val, test = ({speaker(p) for p in clips_of(data, s) if "_nohash_" in p.name} for s in SPLITS)
    assert (len(test) > 100, test & train, test & val, train & val) == (True, set(), set(), set())


@pytest.mark.parametrize("split", SPLITS)
def test_every_clip_lies_where_the_hash_of_its_speaker_says(data: Path, split: str) -> None:
    """`_unknown_` included; clips of silence have no speaker."""
    paths = clips_of(data, split)
    named = [path for path in paths if "_nohash_" in path.name]
    assert {path.parent.name for path in paths if "_nohash_" not in path.name} <= {"_silence_"}
    assert {hash_split(speaker(path)) for path in named} == {split}


def test_no_reader_of_a_test_sentence_is_in_train_or_val(data: Path) -> None:
    test = {reader(path) for path in list_audio(data / "speech" / "test")}
    heard = {
        reader(path)
        for split in ("train", "val")
        for path in [*list_audio(data / "speech" / split), *(data / "cut_words" / split).glob("*/*")]
    }
    cut = {reader(path) for path in (data / "cut_words" / "train").glob("*/*")}
    assert {corpus for corpus, _ in cut & {reader(path) for path in list_audio(data / "speech" / "train")}} == {
        "l",
        "s",
    }
    assert len(test) > 50
    assert len(heard) > 300
    assert test & heard == set()


def test_no_test_clip_sounds_like_a_clip_of_train_or_val(data: Path, known: Sounds) -> None:
    """The nearest of all, for each of them; `models.duplicates` says how near copies are."""
    paths = clips_of(data, "test")
    index, similarity = nearest(read_clips(paths), known.fingerprints)
    close = [
        f"{path} is {known.paths[at]} ({value:.2f})"
        for path, at, value in zip(paths, index, similarity, strict=True)
        if value > THRESHOLD
    ]
    assert close == []


def test_no_clip_of_val_sounds_like_one_of_train(known: Sounds) -> None:
    """Different speakers saying the same words: what THRESHOLD was set by, along with the copies below."""
    train = known.fingerprints[: known.train]
    assert nearest(read_clips(known.paths[known.train :]), train)[1].max() < THRESHOLD


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_copy_would_be_found(data: Path, known: Sounds, split: str) -> None:
    """Each has its low bits cleared, another level and another place, was coded, and hides among the clips of train."""
    clips = read_clips([path for path in clips_of(data, split) if path.parent.name != "_silence_"][::25])
    copies = [opus_coded(np.pad((clip >> 2 << 2) // 2, (160, 0))[:CLIP], 0.9) for clip in clips]
    pool = np.concatenate([known.fingerprints[: known.train], fingerprint_clips(np.stack(copies))])
    index, similarity = nearest(clips, pool)
    np.testing.assert_array_equal(index, known.train + np.arange(len(clips)))
    assert similarity.min() > THRESHOLD


def test_no_test_sentence_sounds_like_one_of_train_or_val(data: Path) -> None:
    heard = [path for split in ("train", "val") for path in list_audio(data / "speech" / split)]
    test = list_audio(data / "speech" / "test")
    pool = fingerprint_clips(np.stack([second(path) for path in heard]))
    assert nearest(np.stack([second(path) for path in test]), pool)[1].max() < THRESHOLD


def test_the_official_silence_is_cut_from_the_official_noise(data: Path) -> None:
    """So a network that learnt from `noise/background` has heard the silence of the test split: as the corpus was
    published, and as everybody measures on it. Its words are another matter, see above."""
    background = [list(fingerprint_recording(read_mono(path))) for path in list_audio(data / "noise" / "background")]
    pool = np.concatenate([block for blocks in background for block in blocks])
    silence = read_clips([path for path in clips_of(data, "test") if path.parent.name == "_silence_"])
    assert len(silence) > 200
    assert nearest(silence, pool, reach=1)[1].min() > THRESHOLD


@pytest.mark.slow
def test_noise_of_the_test_split_is_in_no_other_but_for_two_files(data: Path) -> None:
    paths = list_audio(data / "noise" / "test")
    clips = np.stack([second(path) for path in paths])
    highest = np.zeros(len(clips))
    for folder in ("background", "train", "val"):
        for path in list_audio(data / "noise" / folder):
            for block in fingerprint_recording(read_mono(path)):
                highest = np.maximum(highest, nearest(clips, block, reach=1)[1])
    assert {path.name for path, value in zip(paths, highest, strict=True) if value > THRESHOLD} == HEARD


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """All folders of recordings that the commands know, each with `train/`, `val/` and `test/`."""
    corpus = write_corpus(tmp_path / "speech_commands", clips=2)
    shutil.rmtree(corpus / "_background_noise_")
    for path in corpus.glob("*/*/*.wav"):  # ten keywords by ten speakers: models.operating_point asks for them
        path.rename(path.with_name(path.parent.name + path.name))
    shutil.copytree(corpus / "val", corpus / "test")
    shutil.copytree(corpus, tmp_path / "cut_words")
    noise = np.random.default_rng(0).normal(0, 0.02, 60 * SAMPLE_RATE)
    for split in SPLITS:
        for folder, samples in (("noise", noise), ("rir", np.exp(-np.arange(800) / 100) * noise[:800])):
            (tmp_path / folder / split).mkdir(parents=True)
            soundfile.write(tmp_path / folder / split / "a.wav", samples, SAMPLE_RATE)
        (tmp_path / "speech" / split).mkdir(parents=True)
        shutil.copy(EXAMPLE, tmp_path / "speech" / split / f"{split}.flac")
    rows = "".join(f"speech/{split}/{split}.flac,,Yes no up down.\n" for split in SPLITS)
    (tmp_path / "speech" / "transcripts.csv").write_text(f"path,keywords_spoken,transcript\n{rows}")
    return tmp_path


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng, which transcribes for models.pretrain")
@pytest.mark.skipif(sys.platform != "linux", reason="needs inotify, which tells what a process opens on Linux")
def test_no_command_that_trains_tunes_or_exports_opens_a_test_folder(layout: Path) -> None:
    corpus, run = layout / "speech_commands", layout / "run"
    speech, words, rir, noise = (layout / name for name in ("speech", "cut_words", "rir/train", "noise/val"))
    model, small = layout / "model.onnx", layout / "small.onnx"
    options = ["--data", corpus, "--rir", rir, "--words", words, "--speech", speech, "--epochs", "1", "--passes", "1"]
    tuning = ["--model", model, "--data", corpus]
    stream, streams = layout / "stream.flac", ["--split", "val", "--data", corpus, "--noise", layout / "noise"]
    calibrating = ["--model", model, "-o", layout / "room.toml"]
    hearing = ["--speech", speech, "--noise", layout / "noise/train", "--rir", rir, "--run", layout / "phones"]
    commands = [
        (models.train.main, ["lightcnn", *options, "--run", run]),
        (
            models.ablate.main,
            ["lightcnn", *options, "-o", layout / "ablation", "--seeds", "0", "--without", "everything"],
        ),
        (models.report.main, [run]),
        (models.pretrain.main, ["compact-tiny", *hearing, "--epochs", "1", "--versions", "1", "--rare", "1"]),
        (
            models.study.main,
            ["--data", corpus, "-o", layout / "study", "--max-epochs", "1", "--tables", "scratch", "--networks", LIGHT],
        ),
        (export.__main__.main, [run / "best.ckpt", "-o", model]),
        (export.__main__.main, [run / "best.ckpt", "-o", layout / "stream.onnx", "--streaming"]),
        (export.quantize.main, [model, "-o", small, "--data", corpus, "--clips", "24", "--max-loss", "1"]),
        (
            models.compose.main,
            [
                "-o",
                stream,
                *streams,
                "--speech",
                speech,
                "--rir",
                layout / "rir",
                "--hours",
                "0.02",
                "--keywords",
                "10",
            ],
        ),
        (models.decoders.main, [stream, "--model", model]),
        (
            kws_stream.cli.calibrate.main,
            [*("--ambient", stream, "--positives", corpus / "val", "--target-fa", "1000"), *calibrating],
        ),
        (models.operating_point.main, [*tuning, "--noise", noise, "--speech", speech, "--recordings", "1"]),
    ]
    folders = sorted(path for path in layout.rglob("test") if path.is_dir())
    assert len(folders) == 5
    with Opened(*folders) as opened:
        for main, arguments in commands:
            assert main([*map(str, arguments)]) == 0, f"{main.__module__} failed"
            assert opened.take() == [], f"{main.__module__} opened test recordings"
        # The commands that may, which choose nothing, and the proof that it would have been noticed.
        test = [clip.path for clip in list_clips(corpus, "test")]
        flat = layout / "flat"
        flat.mkdir()
        for number, path in enumerate(test):
            (flat / f"clip_{number}.wav").symlink_to(path)
        opened.take()
        assert kws_stream.cli.evaluate.main(["clips", str(corpus / "test"), "--model", str(model)]) == 0
        assert set(opened.take()) >= set(test)
        assert kws_stream.cli.submit.main([str(flat), "--model", str(model), "-o", str(layout / "flat.csv")]) == 0
        assert set(opened.take()) >= set(test)
        assert models.describe.main([str(corpus), "-o", str(layout / "described")]) == 0
        assert set(opened.take()) >= set(test)


def test_no_source_but_the_rule_of_the_splits_names_the_test_split() -> None:
    """What the commands above did not reach cannot ask for it, either."""
    root = Path(__file__).parents[1]
    naming = {
        path.relative_to(root).as_posix()
        for folder in ("models", "export")
        for path in (root / folder).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "test" in re.split(r"[\\/]", node.value)
    }
    assert naming == {"models/dataset.py"}


def test_what_describes_a_corpus_with_its_test_split_is_used_by_nothing_else() -> None:
    """`models.describe` reads all splits, so no other command may be built on it."""
    root = Path(__file__).parents[1]
    own = {f"models.{name}" for name in ("describe", "portrait", "survey", "corpus_plots")}
    importing = set()
    for path in (path for folder in ("kws_stream", "models", "export") for path in (root / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None)
                names = [f"{module}.{alias.name}" if module else alias.name for alias in node.names]
                if own & {module, *names}:
                    importing.add(path.relative_to(root).as_posix())
    assert importing == {"models/describe.py", "models/portrait.py"}
