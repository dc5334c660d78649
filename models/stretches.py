"""Stretches of composed streams, from which a streaming network learns what to answer at any moment.

A row of the bank has one label, and so it has one answer to learn: its last. What a network should say in the middle of
a word, when it should drop one, and what it makes of minutes of speech, a row does not tell. A composed stream does
(`models.compose`): there it is known where each keyword begins and ends, and that there is none anywhere else. How far
away other words are from keywords, it does not tell either; teachers that see windows do, at the end of every stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kws_stream import FileSource
from kws_stream.config import FrontendConfig
from kws_stream.errors import KwsError
from kws_stream.frontend import StreamingLogMel
from kws_stream.metadata import NO_KEYWORDS
from kws_stream.truth import Truth, read_truth
from models.labels import KEYWORDS, LABELS, SILENCE
from models.recordings import shown

FRAMES = 512
"""of a stretch: five seconds"""
ROWS = 24
"""in each batch: as much audio as in 128 rows of a second"""
HEARD_S = 0.5
"""for which a keyword is the answer once it has ended, so that a decoder can take the mean over 400 ms"""
HELD_S = 0.9
"""until which it may still be, and behind which it may not; from its onset until then, any answer will do"""
KEYWORD_WEIGHT = 2.0
"""of an answer where a keyword is right: they are rare"""
TAUGHT_WEIGHT = 0.5
"""of what teachers say; where the truth is known, it has the rest"""
NONE, ANY, UNHEARD = -1, -2, -3
"""targets beside those of LABELS: no keyword, whatever it is, and what was said too long before to know"""
OTHERS = [index for index, label in enumerate(LABELS) if label in NO_KEYWORDS]


class Stretch(NamedTuple):
    """Pieces of streams, and what a network should answer."""

    features: Tensor
    """`(batch, frames, bins)` float16, the logarithm before `mean` and `std`"""
    targets: Tensor
    """`(batch, answers)`: a label of LABELS, NONE, ANY or UNHEARD, for each stride"""
    taught: Tensor | None = None
    """`(batch, answers, labels)` posteriors of teachers for what was heard until then"""


class Teacher(Protocol):
    """Answers along a stream."""

    def follow(self, frames: NDArray[np.float16], stride: int) -> NDArray[np.float16]:
        """`(frames, bins)` -> `(frames // stride, labels)` posteriors at the end of each stride."""


class Stretches:
    """Composed streams of train, `truth` beside the audio, in memory."""

    def __init__(
        self, paths: Sequence[Path], config: FrontendConfig, stride: int, context: int, after: int = 0
    ) -> None:
        """`config` with the `mean` of 0 and the `std` of 1 of a bank. `stride` and `context` in frames: the answers of
        the first context, which came from less, do not count. `after`: epochs that do without.

        Raises KwsError for streams that were composed of another split, or are shorter than a stretch.
        """
        self.stride, self.unheard, self.after = stride, context // stride, after
        self._streams: list[tuple[NDArray[np.float16], NDArray[np.int64]]] = []
        for path in shown(paths, f"listening to {len(paths)} streams"):
            truth = read_truth(path.with_suffix(".jsonl"), KEYWORDS)
            if truth.facts.get("split") != "train":
                raise KwsError(f"{path}: composed of {truth.facts.get('split')}; expected a stream of train")
            frames = frames_of(path, config)
            if len(frames) <= FRAMES:
                raise KwsError(f"{path}: {len(frames)} frames; expected more than {FRAMES}")
            self._streams.append((frames, targets_of(truth, len(frames), config, context)))
        self._taught: list[NDArray[np.float16]] = []
        self._weights = np.array([len(frames) for frames, _ in self._streams], np.float64)
        self._weights /= self._weights.sum()

    def ask(self, teacher: Teacher) -> None:
        """What `teacher` says along the streams shall be learnt, too."""
        self._taught = [
            teacher.follow(frames, self.stride)
            for frames, _ in shown(self._streams, f"asking along {len(self._streams)} streams")
        ]

    def draw(self, rng: np.random.Generator, rows: int = ROWS) -> Stretch:
        """Pieces from the beginning of any stride."""
        features, targets, taught = [], [], []
        for number in rng.choice(len(self._streams), rows, p=self._weights):
            frames, wanted = self._streams[number]
            first = int(rng.integers((len(frames) - FRAMES) // self.stride + 1))
            start = first * self.stride
            features.append(frames[start : start + FRAMES])
            targets.append(wanted[start + self.stride : start + FRAMES + 1 : self.stride].copy())
            targets[-1][: self.unheard] = UNHEARD
            if self._taught:
                taught.append(self._taught[number][first : first + FRAMES // self.stride])
        pieces = [torch.from_numpy(np.stack(part)) for part in (features, targets, taught) if part]
        return Stretch(*pieces)


def frames_of(path: Path, config: FrontendConfig) -> NDArray[np.float16]:
    """`(frames, bins)` of a whole stream."""
    front_end = StreamingLogMel(config)
    blocks = FileSource(path).blocks(config.sample_rate)
    return np.concatenate([front_end.push(block.samples).astype(np.float16) for block in blocks])


def targets_of(truth: Truth, frames: int, config: FrontendConfig, context: int) -> NDArray[np.int64]:
    """`(frames + 1,)`: what to answer when so many frames were heard. It is silence where nothing was said in the
    `context` frames until then: NONE, which may be silence, stands for a pause within speech, too."""
    heard = (np.arange(frames + 1) - 1) * config.hop + config.window  # samples
    targets = np.full(frames + 1, LABELS.index(SILENCE))
    for sound in truth.sounds:
        if sound.other != "noise":
            onset, end = np.searchsorted(heard, [sound.onset * config.sample_rate, sound.end * config.sample_rate])
            targets[onset : end + context] = NONE
    for word in truth.utterances:
        times = (word.onset, word.end, word.end + HEARD_S, word.end + HELD_S)
        onset, end, told, dropped = np.searchsorted(heard, [time * config.sample_rate for time in times])
        targets[dropped : end + context] = NONE
        targets[onset:dropped] = ANY
        targets[end:told] = LABELS.index(word.keyword)
    return targets


def stretch_loss(answers: Tensor, stretch: Stretch) -> Tensor:
    """Nats by which answers `(batch, answers, labels)` miss what they should be, the weighted mean.

    Which of silence and unknown words it is where a pause may be, the truth of a stream does not say; teachers do.
    """
    targets = stretch.targets  # (batch, answers)
    log = answers.float().log_softmax(2)
    none = log[..., OTHERS].logsumexp(2)  # (batch, answers)
    label = log.gather(2, targets.clamp_min(0).unsqueeze(2)).squeeze(2)
    likely = torch.where(targets >= 0, label, none)
    keywords = (targets >= 0) & (targets != LABELS.index(SILENCE))
    counts = targets != UNHEARD
    if stretch.taught is None:
        counts &= targets != ANY
    else:
        taught = believed(stretch.taught.float(), keywords | (targets == ANY)).mul(log).sum(2)
        likely = torch.where(targets == ANY, taught, likely.lerp(taught, TAUGHT_WEIGHT))
    weights = counts * (1 + (KEYWORD_WEIGHT - 1) * keywords)
    return -(weights * likely).sum() / weights.sum().clamp_min(1)


def believed(taught: Tensor, spoken: Tensor) -> Tensor:
    """Posteriors of teachers `(batch, answers, labels)` without those of keywords where none is `spoken`
    `(batch, answers)`."""
    others = torch.tensor([label in NO_KEYWORDS for label in LABELS], device=taught.device)
    possible = taught * (others | spoken.unsqueeze(2))
    return possible / possible.sum(2, keepdim=True).clamp_min(1e-3)
