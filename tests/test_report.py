"""A report of a real training of two epochs, counted again by hand."""

from __future__ import annotations

import base64
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from models import train
from models.answers import Answers, rank_speakers
from models.complexity import count_multiplies
from models.dataset import hash_split, speaker_of
from models.labels import LABELS, label_of
from models.page import clip_table, recall_table
from models.plots import draw_curves, draw_speakers
from models.report import load_run, main, read_events
from models.task import load_checkpoint
from tests.corpus import write_corpus
from tests.page import Page

# Lightning's own use of torch, and its advice on loaders that hold everything in memory.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

STRANGE = "<b onclick='x()'>&amp;$title\"_nohash_0.wav"
PICTURES = ("curves", "confusion", "recall", "speakers", "reliability")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 clips of two speakers to validate on, one of a third with a strange name, and a test split that nobody must
    open."""
    root = write_corpus(tmp_path_factory.mktemp("corpus"), clips=2)
    samples, rate = soundfile.read(root / "val" / "yes" / "val0000_nohash_0.wav")
    soundfile.write(root / "val" / "yes" / STRANGE, samples[::-1], rate)
    (root / "test" / "yes").mkdir(parents=True)
    name = next(f"test{n}_nohash_0.wav" for n in range(1000) if hash_split(f"test{n}_nohash_0.wav") == "val")
    (root / "test" / "yes" / name).write_bytes(b"no sound")
    return root


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs, and its report."""
    folder = tmp_path_factory.mktemp("runs") / "short & <sweet>"
    arguments = ["lightcnn", "--data", str(corpus), "--run", str(folder), "--epochs", "2", "--batch", "8"]
    assert train.main(arguments) == 0
    assert main([str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return Page((run / "report" / "index.html").read_text(encoding="utf-8"))


def make_answers(pairs: list[tuple[str, str, str | None]]) -> Answers:
    """Answers of (truth, answer, speaker), each with a posterior of 0.89 for the answer."""
    truth = np.array([LABELS.index(label) for label, _, _ in pairs])
    logits = np.zeros((len(pairs), len(LABELS)), np.float32)
    logits[np.arange(len(pairs)), [LABELS.index(answer) for _, answer, _ in pairs]] = 4.5
    names = tuple(f"{label}/{number}.wav" for number, (label, _, _) in enumerate(pairs))
    return Answers(names, tuple(s for _, _, s in pairs), np.zeros((len(pairs), 16_000), np.float32), truth, logits)


def test_pictures_lie_beside_the_page_and_within_it(run: Path, page: Page) -> None:
    assert sorted(path.name for path in (run / "report").iterdir()) == sorted(
        ["index.html", *(f"{name}.png" for name in PICTURES)]
    )
    embedded = [base64.b64decode(source.partition(",")[2]) for tag, source in page.sources if tag == "img"]
    for name in PICTURES:
        assert (run / "report" / f"{name}.png").read_bytes() in embedded
        assert imread(run / "report" / f"{name}.png").std() > 0.01


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    assert all(source.startswith("data:") for _, source in page.sources)
    assert not page.tags & {"link", "script", "iframe", "object"}


def test_the_figures_are_those_of_a_count_by_hand(run: Path, corpus: Path, page: Page) -> None:
    task = load_checkpoint(run / "best.ckpt")
    counts: Counter[tuple[str, str]] = Counter()
    for path in sorted((corpus / "val").glob("*/*.wav")):
        samples, _ = soundfile.read(path, dtype="float32")
        with torch.no_grad():
            answer = task(torch.from_numpy(np.pad(samples, (0, 16_000 - len(samples))))[None]).argmax()
        counts[label_of(path.parent.name), LABELS[answer]] += 1
    shown = {row[0]: dict(zip(LABELS, map(int, row[1:]), strict=True)) for row in page.table("truth \\ answer")}
    for truth in LABELS:
        if truth != "silence":
            assert shown[truth] == {answer: counts[truth, answer] for answer in LABELS}
    assert sum(shown["silence"].values()) == 2  # a tenth of 25 clips
    for label, clips, right, recall, *_ in page.table("label"):
        assert (int(clips), int(right)) == (sum(shown[label].values()), shown[label][label])
        assert recall == f"{100 * int(right) / int(clips):.1f} %"


def test_the_accuracy_is_the_one_that_the_training_noted(run: Path, page: Page) -> None:
    logged = EventAccumulator(str(run)).Reload().Scalars("val/accuracy")
    best = load_run(run).best
    figure = f"{100 * logged[best - 1].value:.1f} %"
    assert page.words[page.words.index("accuracy") + 1] == figure
    assert f"noted an accuracy of {figure}" in " ".join(page.words)
    assert page.words[page.words.index("best epoch") + 1] == f"{best} of 2"


def test_cost_and_origin_are_those_of_the_checkpoint(run: Path, page: Page) -> None:
    task = load_checkpoint(run / "best.ckpt")
    words = " ".join(page.words)
    assert f"{count_multiplies(task.network, task.frames, task.config.bins):,} an inference" in words
    assert task.hparams["provenance"]["data"]["fingerprint"] in words
    assert task.hparams["provenance"]["versions"]["torch"] in words
    assert str(run.parent) not in words  # a page travels; paths stay at home


def test_every_clip_can_be_heard_the_worst_first(corpus: Path, page: Page) -> None:
    losses = [float(row[7]) for row in page.clips]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 25 + 2
    np.testing.assert_allclose([-np.log(float(row[6])) for row in page.clips], losses, atol=0.02)
    sounds = [base64.b64decode(source.partition(",")[2]) for tag, source in page.sources if tag == "audio"]
    for row, sound in zip(page.clips, sounds, strict=True):
        assert sound.startswith(b"fLaC")
        word, _, name = row[-1].partition("/")
        assert row[8] == (speaker_of(name) if name else "")
        assert row[3] == (label_of(word) if name else "silence")
        assert not name or (corpus / "val" / word / name).is_file()


def test_names_are_text_whatever_they_hold(page: Page) -> None:
    assert f"yes/{STRANGE}" in [row[-1] for row in page.clips]
    assert "lightcnn: short & <sweet>" in page.words
    assert "onclick" not in page.attributes
    assert "sweet" not in page.tags


def test_the_test_split_stays_closed(page: Page) -> None:
    assert "yes/test" not in " ".join(page.words)


def test_curves_show_what_was_logged(run: Path) -> None:
    events = EventAccumulator(str(run)).Reload()
    loaded = load_run(run)
    for tag in ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr-AdamW"):
        assert loaded.history[tag] == {epoch: event.value for epoch, event in enumerate(events.Scalars(tag), 1)}
    loss, accuracy, rate = draw_curves(loaded.history, loaded.best).axes
    assert list(loss.lines[1].get_ydata()) == list(loaded.history["val/loss"].values())
    assert list(accuracy.lines[0].get_ydata()) == list(loaded.history["train/accuracy"].values())
    assert list(rate.lines[0].get_xdata()) == [1, 2]


def test_a_resumed_run_replaces_what_it_does_again(tmp_path: Path) -> None:
    for start, stop, value in ((0, 5, 1.0), (3, 4, 2.0)):
        with SummaryWriter(str(tmp_path), filename_suffix=f".{start}") as writer:
            for step in range(start, stop):
                for tag in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
                    writer.add_scalar(tag, value, step, walltime=1000 * value + step)
    events = read_events(tmp_path)["val/loss"]
    assert [(event.step, event.value) for event in events] == [(0, 1), (1, 1), (2, 1), (3, 2)]


def test_mistakes_are_named_by_label() -> None:
    answers = make_answers([("yes", "yes", "a"), ("yes", "no", "a"), ("yes", "no", "b"), ("yes", "go", "b")])
    assert Page(recall_table(answers.evaluation)).table("label") == [
        ["yes", "4", "1", "25.0 %", "4.6 to 69.9 %", "no 2, go 1"]
    ]
    np.testing.assert_allclose(answers.losses[:2], [np.log(1 + 11 * np.exp(-4.5)), 4.5 + answers.losses[0]], rtol=1e-5)


def test_speakers_are_ranked_by_what_is_sure() -> None:
    pairs = [("yes", "no", "once")] + [("go", "go", "often")] * 2 + [("go", "no", "often")] * 18
    speakers = rank_speakers(make_answers([*pairs, ("up", "up", "fine"), ("silence", "silence", None)]))
    assert [(s.name, s.hits, s.clips) for s in speakers] == [("often", 2, 20), ("once", 0, 1), ("fine", 1, 1)]
    assert speakers[1].mistakes == ("yes → no",)
    (axes,) = draw_speakers(speakers).axes
    assert [bar.get_height() for bar in axes.patches] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert [tick.get_text() for tick in axes.get_xticklabels()][-2:] == ["90-99\n(0)", "100\n(1)"]
    assert axes.lines[0].get_ydata().sum() == pytest.approx(3)


def test_a_clip_without_sound_has_no_level() -> None:
    answers = make_answers([("silence", "yes", None)])
    assert "no sound" in Page(clip_table(answers, [0])).clips[0]


def test_another_corpus_and_another_place(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_corpus(tmp_path / "other corpus", clips=1)
    assert main([str(run), "--data", str(other), "-o", str(tmp_path / "deep" / "down")]) == 0
    path = tmp_path / "deep" / "down" / "index.html"
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    page = Page(path.read_text(encoding="utf-8"))
    assert "validation split of other corpus" in " ".join(page.words)
    assert len(page.clips) == 12 + 1


def test_without_noise_there_is_no_silence(run: Path, tmp_path: Path) -> None:
    other = write_corpus(tmp_path / "quiet", clips=1)
    (other / "_background_noise_" / "hiss.wav").unlink()
    (other / "_background_noise_").rmdir()
    assert main([str(run), "--data", str(other), "-o", str(tmp_path / "report")]) == 0
    page = Page((tmp_path / "report" / "index.html").read_text(encoding="utf-8"))
    assert "silence" not in [row[0] for row in page.table("label")]


@pytest.mark.parametrize(
    ("present", "message"),
    [
        ((), r"no .*best\.ckpt; expected the folder of a run of models\.train"),
        (("best.ckpt",), r"no TensorBoard events of train/loss, train/accuracy, val/loss, val/accuracy"),
        (("events.*",), r"no .*best\.ckpt; expected"),
    ],
)
def test_what_is_no_run_is_refused(
    present: tuple[str, ...], message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for pattern in present:
        (source,) = run.glob(pattern)
        (tmp_path / source.name).write_bytes(source.read_bytes())
    assert main([str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not (tmp_path / "report").exists()


def test_bad_input_is_one_line(
    run: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def complaint(*arguments: str) -> str:
        assert main([str(run), *arguments]) == 1
        return capsys.readouterr().err.splitlines()[-1]

    assert "no folder nowhere" in complaint("--data", "nowhere")
    assert "is one split of a corpus; give the whole one:" in complaint("--data", str(corpus / "test"))
    assert "no clips for val" in complaint("--data", str(corpus / "train" / "yes"))
    assert "cannot write the report" in complaint("-o", str(run / "best.ckpt"))
    corpus.rename(tmp_path / "moved")
    try:
        assert re.search(r"the corpus of the run, .*, is not there; give .* \(--data\)", complaint())
    finally:
        (tmp_path / "moved").rename(corpus)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "models.plots")
    monkeypatch.delattr("models.plots")
    assert "a report needs matplotlib" in complaint()
