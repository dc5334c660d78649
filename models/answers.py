"""What a network answers on the validation split: clip by clip, by label, by speaker."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from kws_stream.evaluation import Evaluation, wilson_interval
from models.batches import load_validation, to_tensor
from models.calibration import cross_scaled
from models.corpora import Sources
from models.dataset import list_clips
from models.labels import LABELS
from models.recordings import load_clips
from models.task import KeywordTask

BATCH = 256


@dataclass(frozen=True)
class Answers:
    """Clips, what they are, and what they were taken for."""

    names: tuple[str, ...]
    """WORD/FILE of a clip; which slice of the noise"""

    speakers: tuple[str | None, ...]
    """None for noise"""

    samples: NDArray[np.float32]
    """`(clips, CLIP)`, as the network heard them"""

    truth: NDArray[np.int64]
    """`(clips,)` index into LABELS"""

    logits: NDArray[np.float32]
    """`(clips, labels)`"""

    @property
    def answers(self) -> NDArray[np.int64]:
        """`(clips,)` most probable label of each."""
        return self.logits.argmax(1)

    @property
    def losses(self) -> NDArray[np.float32]:
        """`(clips,)` cross entropy of each in nats, without label smoothing."""
        return -log_softmax(self.logits, 1)[np.arange(len(self.truth)), self.truth]

    @cached_property
    def evaluation(self) -> Evaluation:
        """The figures over all, of the posteriors as trained."""
        return Evaluation(LABELS, self.truth, softmax(self.logits, 1))

    @cached_property
    def scaled(self) -> Evaluation:
        """The same with the temperature of the export, for each clip from the clips of other speakers."""
        speakers = [speaker or name for speaker, name in zip(self.speakers, self.names, strict=True)]
        return Evaluation(LABELS, self.truth, softmax(cross_scaled(self.logits, self.truth, speakers), 1))


@dataclass(frozen=True)
class Speaker:
    """How well one speaker is understood."""

    name: str
    clips: int
    hits: int
    mistakes: tuple[str, ...]
    """truth and answer of each clip that was not recognised"""

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy."""
        return wilson_interval(self.hits, self.clips)


def answer_validation(task: KeywordTask, corpus: Path) -> Answers:
    """What `task` answers on the validation clips of `corpus`, and on silence where there is noise in it or beside it.

    Raises AudioError when the corpus holds no validation clips.
    """
    clips, sources = list_clips(corpus, "val"), Sources(corpus)
    if sources.val_noise_folders():
        samples, truth = load_validation(sources)  # the clips in the same order, and then silence
    else:
        samples = to_tensor(load_clips(clips).samples)
        truth = torch.tensor([LABELS.index(clip.label) for clip in clips])
    with torch.inference_mode():
        logits = torch.cat([task(batch) for batch in samples.split(BATCH)])
    words = [(f"{clip.word}/{clip.path.name}", clip.speaker) for clip in clips]
    noise = [(f"noise, slice {number}", None) for number in range(1, len(samples) - len(clips) + 1)]
    names, speakers = zip(*words, *noise, strict=True)
    return Answers(names, speakers, samples.numpy(), truth.numpy(), logits.numpy())


def rank_speakers(answers: Answers) -> list[Speaker]:
    """Speakers, the least understood first: by the upper end of the interval of their accuracy, since a single missed
    clip of a speaker who has but one says little."""
    rows = defaultdict(list)
    for row, name in enumerate(answers.speakers):
        if name is not None:
            rows[name].append(row)
    given, truth = answers.answers, answers.truth
    speakers = []
    for name, own in rows.items():
        wrong = [row for row in own if given[row] != truth[row]]
        mistakes = tuple(f"{LABELS[truth[row]]} → {LABELS[given[row]]}" for row in wrong)
        speakers.append(Speaker(name, len(own), len(own) - len(wrong), mistakes))
    return sorted(speakers, key=lambda speaker: (speaker.interval[1], speaker.name))
