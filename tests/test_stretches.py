"""What a streaming network learns from streams."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from kws_stream.config import FrontendConfig
from kws_stream.errors import KwsError
from kws_stream.frontend import log_mel, to_float
from kws_stream.truth import Sound, Truth, Utterance, to_line
from models.labels import LABELS
from models.stretches import ANY, FRAMES, NONE, TAUGHT_WEIGHT, UNHEARD, Stretch, Stretches, stretch_loss, targets_of

CONFIG = FrontendConfig()
YES, UNKNOWN, SILENCE = (LABELS.index(label) for label in ("yes", "unknown", "silence"))
WORD = Utterance("yes", 2.0, 2.4)


def write_stream(path: Path, samples: NDArray[np.int16], split: str = "train") -> Path:
    soundfile.write(path, samples, 16_000)
    path.with_suffix(".jsonl").write_text("\n".join(map(to_line, ({"split": split}, WORD))) + "\n")
    return path


def heard(seconds: float) -> int:
    """Frames of a stream that is so long."""
    return CONFIG.frames(round(seconds * 16_000))


def test_a_keyword_is_the_answer_for_half_a_second_behind_its_end() -> None:
    targets = targets_of(Truth((WORD,)), 600, CONFIG, context=96)
    assert targets.shape == (601,)
    for seconds, target in ((1.99, SILENCE), (2.01, ANY), (2.39, ANY), (2.41, YES), (2.89, YES), (2.91, ANY)):
        assert targets[heard(seconds)] == target, seconds
    assert targets[heard(3.31)] == targets[heard(3.35)] == NONE
    assert targets[heard(3.37) :].tolist() == [SILENCE] * (601 - heard(3.37))


def test_silence_is_where_nothing_was_said_in_a_whole_context() -> None:
    sounds = (Sound("noise", "a", 0, 9), Sound("speech", "b", 1.0, 3.0), Sound("word", "c", 5.0, 5.5))
    targets = targets_of(Truth((), sounds), 900, CONFIG, context=96)
    expected = {0.5: SILENCE, 1.01: NONE, 2.9: NONE, 3.95: NONE, 3.97: SILENCE, 4.9: SILENCE, 6.4: NONE, 6.5: SILENCE}
    assert {seconds: targets[heard(seconds)] for seconds in expected} == expected


def test_a_stretch_has_the_frames_of_its_place_and_an_answer_for_each_stride(
    tmp_path: Path, keywords: NDArray[np.int16]
) -> None:
    whole = log_mel(to_float(keywords), CONFIG)
    targets = targets_of(Truth((WORD,)), len(whole), CONFIG, 96)
    stretches = Stretches([write_stream(tmp_path / "a.flac", keywords)], CONFIG, stride=8, context=96)
    stretch = stretches.draw(np.random.default_rng(0), 20)
    assert stretch.features.shape == (20, FRAMES, 40)
    assert stretch.targets.shape == (20, FRAMES // 8)
    for features, wanted in zip(stretch.features.float().numpy(), stretch.targets.tolist(), strict=True):
        (start,) = (at for at in range(len(whole) - FRAMES + 1) if np.abs(whole[at] - features[0]).max() < 0.01)
        np.testing.assert_allclose(features, whole[start : start + FRAMES], atol=0.01)
        assert start % 8 == 0
        assert wanted[:12] == [UNHEARD] * 12, "what was said before may still be the answer"
        assert wanted[12:] == [targets[start + 8 * stride] for stride in range(13, FRAMES // 8 + 1)]
    again = stretches.draw(np.random.default_rng(0), 20)
    assert torch.equal(again.features, stretch.features)


def test_streams_that_are_not_to_learn_from_are_refused(tmp_path: Path, keywords: NDArray[np.int16]) -> None:
    path = write_stream(tmp_path / "a.flac", keywords, split="val")
    with pytest.raises(KwsError, match=r"a\.flac: composed of val; expected a stream of train"):
        Stretches([path], CONFIG, 8, 96)
    path = write_stream(tmp_path / "b.flac", keywords[:16_000])
    with pytest.raises(KwsError, match=r"b\.flac: 98 frames; expected more than 512"):
        Stretches([path], CONFIG, 8, 96)


def answers(likely: int, probability: float) -> torch.Tensor:
    """`(labels,)` logits of which one label has so much, the others equal parts of the rest."""
    rest = (1 - probability) / (len(LABELS) - 1)
    return torch.full((len(LABELS),), rest).index_fill_(0, torch.tensor(likely), probability).log()


def loss(*pairs: tuple[torch.Tensor, int], taught: list[torch.Tensor] | None = None) -> float:
    """Of answers to targets; `taught`: what teachers answer."""
    logits, targets = zip(*pairs, strict=True)
    posteriors = None if taught is None else torch.stack(taught).softmax(1)[None].half()
    stretch = Stretch(torch.empty(0), torch.tensor(targets)[None], posteriors)
    return float(stretch_loss(torch.stack(logits)[None], stretch))


def test_where_no_keyword_is_wanted_silence_and_unknown_are_both_right() -> None:
    assert loss((answers(UNKNOWN, 1 - 1e-6), NONE), (answers(SILENCE, 1 - 1e-6), NONE)) < 1e-5
    # Two of the eleven labels that share the last tenth are none.
    assert loss((answers(YES, 0.9), NONE)) == pytest.approx(-math.log(0.1 * 2 / 11), rel=1e-5)


def test_where_silence_is_wanted_nothing_else_is_right() -> None:
    assert loss((answers(UNKNOWN, 0.9), SILENCE)) == pytest.approx(-math.log(0.1 / 11), rel=1e-5)
    right, wrong = (answers(SILENCE, 0.9), SILENCE), (answers(YES, 0.9), YES)
    assert loss(right, wrong) == pytest.approx(-math.log(0.9), rel=1e-5), "silence counts once"
    assert loss(right, (answers(SILENCE, 0.9), YES)) == pytest.approx(
        (-math.log(0.9) - 2 * math.log(0.1 / 11)) / 3, rel=1e-5
    )


def test_a_keyword_counts_twice_and_where_both_are_right_nothing_counts() -> None:
    right, wrong = (answers(YES, 0.9), NONE), (answers(YES, 0.9), YES)
    expected = (-math.log(0.1 * 2 / 11) - 2 * math.log(0.9)) / 3
    assert loss(right, wrong) == pytest.approx(expected, rel=1e-5)
    assert loss(right, wrong, (answers(UNKNOWN, 0.9), ANY)) == pytest.approx(expected, rel=1e-5)
    assert loss((answers(UNKNOWN, 0.9), ANY)) == 0
    assert loss((answers(UNKNOWN, 0.9), UNHEARD)) == 0


class Counting:
    """A teacher whose posteriors are the number of the stride."""

    def follow(self, frames: NDArray[np.float16], stride: int) -> NDArray[np.float16]:
        return np.arange(len(frames) // stride, dtype=np.float16)[:, None].repeat(len(LABELS), 1)


def test_what_teachers_say_goes_with_the_strides(tmp_path: Path, keywords: NDArray[np.int16]) -> None:
    whole = log_mel(to_float(keywords), CONFIG)
    stretches = Stretches([write_stream(tmp_path / "a.flac", keywords)], CONFIG, stride=8, context=96)
    assert stretches.draw(np.random.default_rng(0)).taught is None
    stretches.ask(Counting())
    stretch = stretches.draw(np.random.default_rng(0), 20)
    assert stretch.taught is not None
    assert stretch.taught.shape == (20, FRAMES // 8, len(LABELS))
    for features, taught in zip(stretch.features.float().numpy(), stretch.taught[:, :, 0].tolist(), strict=True):
        np.testing.assert_allclose(features[:8], whole[8 * int(taught[0]) :][:8], atol=0.01)
        assert taught == [taught[0] + stride for stride in range(FRAMES // 8)]


def test_teachers_have_their_share_where_the_truth_is_known_and_all_of_it_where_it_is_not() -> None:
    sure = answers(YES, 1 - 1e-6)
    told, taught = -math.log(0.9), -math.log(0.1 / 11)
    assert loss((answers(YES, 0.9), YES), taught=[sure]) == pytest.approx(told, rel=1e-3)
    wrong = loss((answers(YES, 0.9), YES), taught=[answers(UNKNOWN, 1 - 1e-6)])
    assert wrong == pytest.approx((1 - TAUGHT_WEIGHT) * told + TAUGHT_WEIGHT * taught, rel=1e-3)
    assert loss((answers(UNKNOWN, 0.9), ANY), taught=[sure]) == pytest.approx(taught, rel=1e-3)
    assert loss((answers(UNKNOWN, 0.9), UNHEARD), taught=[sure]) == 0


def test_teachers_are_not_believed_a_keyword_where_there_is_none() -> None:
    logits = torch.zeros(len(LABELS)).index_fill_(0, torch.tensor(YES), 5)
    logits[UNKNOWN] = 3
    unknown = answers(UNKNOWN, 1 - 1e-6)
    assert loss((unknown, NONE), taught=[logits]) == pytest.approx(
        TAUGHT_WEIGHT * -math.log(1e-6 / 11) / (math.exp(3) + 1), rel=1e-2
    ), "what is left to silence is believed"
    assert loss((unknown, NONE), taught=[answers(YES, 1 - 1e-7)]) < 20, "who is sure of a keyword says nothing"
