"""Networks that go on from states: models.streaming, export.streaming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from export.streaming import RENEWAL_STRIDES, step_of
from kws_stream import KeywordModel, ModelError
from kws_stream.frontend import log_mel, to_float
from models.calibration import Scaled
from models.complexity import count_multiplies
from models.registry import find_architecture
from models.streaming import Memory, Overlapping, advance
from tests.foreign import metadata, write_network
from tests.streams import STREAMING, exported, in_strides, task_of

STRIDE = 8
every_network = pytest.mark.parametrize("name", STREAMING)
law = settings(max_examples=25, deadline=None)
strides = st.lists(st.integers(1, 20), min_size=1, max_size=8)
"""Lengths of blocks, used over and over until the stream ends."""


def noise(rows: int, frames: int) -> torch.Tensor:
    """`(rows, 1, frames, bins)` of standardised noise."""
    return torch.randn(rows, 1, frames, 40, generator=torch.Generator().manual_seed(1))


@every_network
@law
@given(lengths=strides)
def test_blocks_give_what_the_whole_stream_gives(name: str, lengths: list[int]) -> None:
    """The law of streaming, for the network in torch: offline from a zero state == streamed."""
    step, stream = step_of(task_of(name).network), noise(2, 40 * STRIDE)
    with torch.no_grad():
        whole, *last = step(stream)  # (2, 40, labels)
        parts, states = [], []
        for block in in_strides(stream, lengths, STRIDE):
            logits, *states = step(block, *states)
            parts.append(logits)
    assert whole.shape[:2] == (2, 40)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)
    for state, expected in zip(states, last, strict=True):
        torch.testing.assert_close(state, expected, atol=1e-5, rtol=1e-5)


@every_network
@law
@given(lengths=strides)
def test_the_exported_graph_streams_what_torch_computes_offline(name: str, lengths: list[int]) -> None:
    """Two streams side by side, that begin at different times: each row has states of its own."""
    model, step = exported(name), step_of(task_of(name).network)
    stream = noise(2, 40 * STRIDE)
    with torch.no_grad():
        expected = step(stream)[0].softmax(2).numpy()  # (2, 40, labels)
    states, parts = [model.initial] * 2, []
    for block in in_strides(stream, lengths, STRIDE):
        posteriors, states = model.answer(block[:, 0].numpy(), states)
        parts.append(posteriors)
    np.testing.assert_allclose(np.concatenate(parts, 1), expected, atol=1e-5)
    early = model.answer(stream[:1, 0, : 5 * STRIDE].numpy(), [model.initial])[1]
    pair = np.stack([stream[0, 0, 5 * STRIDE :], stream[1, 0, : 35 * STRIDE]])
    mixed, _ = model.answer(pair, [*early, model.initial])
    np.testing.assert_allclose(mixed, np.stack([expected[0, 5:], expected[1, :35]]), atol=1e-5)


@pytest.mark.parametrize("name", ["tcresnet-stream", "lightcnn"])
def test_each_answer_is_that_of_the_window_that_ends_there(name: str) -> None:
    """Of the network as it was trained, which recomputes the window."""
    task = task_of(name)
    lead = -task.frames % STRIDE
    stream = noise(1, 40 * STRIDE)
    step = step_of(task.network)
    with torch.no_grad():
        answers = step(stream)[0][0]  # (40, labels)
        ends = range(task.frames + lead, stream.shape[2] + 1, STRIDE)
        windows = torch.cat([stream[:, :, end - task.frames : end] for end in ends])
        expected = task.network(windows)
    torch.testing.assert_close(answers[-len(expected) :], expected, atol=1e-5, rtol=1e-5)
    assert expected.std(0).min() > 1e-2
    # It is all of its receptive field: one frame more or less is heard.
    windows[:, :, 0] += 1
    with torch.no_grad():
        assert (task.network(windows) - expected).abs().max() > 1e-4


@pytest.mark.parametrize("name", STREAMING)
def test_a_clip_is_answered_as_torch_answers_it(name: str, example: NDArray[np.int16]) -> None:
    """`classify`: the last answer of a stream that begins with the context counts."""
    task, model = task_of(name), exported(name)
    clip = to_float(example)[16_000 : 16_000 + task.config.samples(task.frames)]
    with torch.no_grad():
        expected = task(torch.from_numpy(clip)[None]).softmax(1)[0]
    np.testing.assert_allclose(model.classify(clip), expected, atol=1e-4)
    features = log_mel(clip, task.config)[None]
    logits = np.log(model.outputs(features))  # but for what is the same for all labels
    with torch.no_grad():
        network = task.network(torch.from_numpy(features)[None]).log_softmax(1)[0]
    np.testing.assert_allclose(logits[0], network, atol=1e-5, rtol=1e-5)


@every_network
def test_a_stride_costs_a_fraction_of_the_window(name: str) -> None:
    task = task_of(name)
    window = count_multiplies(task.network, task.frames, 40)
    stride = exported(name).metadata.training["multiplies"]
    assert stride < window / 5
    assert stride == count_multiplies(step_of(task.network), STRIDE, 40)


@every_network
def test_calibration_is_streamed_too(name: str) -> None:
    task, stream = task_of(name), noise(1, 40 * STRIDE)
    shift = np.linspace(-1, 2, 12).tolist()
    scaled = Scaled(task.network, 1.7, shift).eval()
    with torch.no_grad():
        plain, calibrated = step_of(task.network)(stream)[0], step_of(scaled)(stream)[0]
    torch.testing.assert_close(calibrated, plain / 1.7 + torch.tensor(shift), atol=1e-5, rtol=1e-5)


def test_one_state_for_convolutions_that_overlap_is_as_good_as_one_for_each() -> None:
    """But for the columns that reach in front of the stream: there it is features that are zero, and not maps."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, (4, 5), 2, (0, 2)), nn.ReLU(), nn.Conv2d(4, 3, (3, 20)), nn.ReLU()]
    together, stream = Overlapping(*layers), noise(2, 12 * STRIDE)
    assert together.overlap == 4 + 2 * 2 - 2
    with torch.no_grad():
        columns, memory = advance(nn.Sequential(together), stream, one := Memory()), one.kept
        expected = advance(nn.Sequential(*layers), stream, each := Memory())
    assert (len(memory), len(each.kept)) == (1, 2)
    torch.testing.assert_close(columns[:, :, 3:], expected[:, :, 3:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together(stream), columns)


def test_who_forgets_is_not_renewed() -> None:
    renewals = {name: exported(name).metadata.streaming.renewal_strides for name in STREAMING}
    assert renewals == {"gru-stream": RENEWAL_STRIDES, "tcresnet-stream": None, "lightcnn": None}


@pytest.mark.parametrize("name", ["compact", "bcresnet-1"])
def test_what_pads_over_time_is_refused(name: str) -> None:
    network = find_architecture(name).build(98, 40, 12)
    with pytest.raises(ModelError, match="sees windows and cannot be exported as a streaming network"):
        step_of(network)
    with pytest.raises(ModelError, match="sees windows"):
        step_of(Scaled(network, 1.0, [0.0] * 12))


def test_windows_that_do_not_line_up_are_refused() -> None:
    with pytest.raises(ModelError, match=r"window of 99 frames .* expected 2 and a multiple of 8"):
        step_of(find_architecture("lightcnn-spectrogram").build(99, 161, 12))


@pytest.mark.parametrize("layer", [nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 1, (2, 1)), nn.Flatten()])
def test_layers_of_which_no_stream_can_be_made_are_refused(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match="cannot be streamed"):
        advance(layer, noise(1, STRIDE), Memory())


def test_states_and_metadata_must_agree(tmp_path: Path) -> None:
    streaming = exported("tcresnet-stream").metadata
    told = replace(metadata(), streaming=streaming.streaming)
    path = write_network(tmp_path / "m.onnx", 4, told.to_props())
    with pytest.raises(ModelError, match="takes 0 states, but its metadata tell of a streaming network"):
        KeywordModel.load(path)


def test_a_runtime_that_knows_windows_only_says_that_it_is_too_old() -> None:
    assert exported("gru-stream").metadata.to_props()["kws.format"] == "2"
    assert exported("lightcnn", streaming=False).metadata.to_props()["kws.format"] == "1"
