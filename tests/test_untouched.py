"""Nothing is trained on the test split, tuned to it or chosen by it by any command. That nothing of it is in another
split is in test_isolation.py."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from pathlib import Path

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
from models.dataset import list_clips
from models.recordings import SAMPLE_RATE
from tests.corpus import write_corpus
from tests.opened import Opened

EXAMPLE = Path(__file__).parents[1] / "examples" / "keywords.flac"
SPLITS = ("train", "val", "test")
LIGHT = "lightcnn-spectrogram"

# Lightning's and torch's own use of torch, and Lightning's advice on loaders that hold everything in memory.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"),
]


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


@pytest.mark.skipif(sys.platform != "linux", reason="needs inotify, which tells what a process opens on Linux")
def test_no_command_that_trains_tunes_or_exports_opens_a_test_folder(layout: Path) -> None:
    corpus, run = layout / "speech_commands", layout / "run"
    speech, words, rir, noise = (layout / name for name in ("speech", "cut_words", "rir/train", "noise/val"))
    model, small = layout / "model.onnx", layout / "small.onnx"
    options = ["--data", corpus, "--rir", rir, "--words", words, "--speech", speech, "--epochs", "1", "--passes", "1"]
    tuning = ["--model", model, "--data", corpus]
    stream, learnt = layout / "stream.flac", layout / "learnt.flac"
    composing = ["--data", corpus, "--noise", layout / "noise", "--speech", speech, "--rir", layout / "rir"]
    composing += ["--hours", "0.02", "--keywords", "10"]
    calibrating = ["--model", model, "-o", layout / "room.toml"]
    hearing = ["--speech", speech, "--noise", layout / "noise/train", "--rir", rir, "--run", layout / "phones"]
    commands = [
        (models.train.main, ["lightcnn", *options, "--run", run]),
        (
            models.ablate.main,
            ["lightcnn", *options, "-o", layout / "ablation", "--seeds", "0", "--without", "everything"],
        ),
        (models.report.main, [run]),
        (
            models.study.main,
            ["--data", corpus, "-o", layout / "study", "--max-epochs", "1", "--tables", "scratch", "--networks", LIGHT],
        ),
        (export.__main__.main, [run / "best.ckpt", "-o", model]),
        (export.__main__.main, [run / "best.ckpt", "-o", layout / "stream.onnx", "--streaming"]),
        (export.quantize.main, [model, "-o", small, "--data", corpus, "--clips", "24", "--max-loss", "1"]),
        (models.compose.main, ["-o", stream, "--split", "val", *composing]),
        (models.compose.main, ["-o", learnt, "--split", "train", *composing]),
        (models.train.main, ["gru-stream", *options, "--run", layout / "streaming", "--streams", learnt]),
        (models.decoders.main, [stream, "--model", model]),
        (
            kws_stream.cli.calibrate.main,
            [*("--ambient", stream, "--positives", corpus / "val", "--target-fa", "1000"), *calibrating],
        ),
        (models.operating_point.main, [*tuning, "--noise", noise, "--speech", speech, "--recordings", "1"]),
    ]
    if shutil.which("espeak-ng"):  # which transcribes for it
        hearing += ["--epochs", "1", "--versions", "1", "--rare", "1"]
        commands.append((models.pretrain.main, ["compact-tiny", *hearing]))
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
