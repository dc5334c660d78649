"""Calls of a network whose shapes are the same each time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from kws_stream import KeywordModel
from kws_stream.binding import BoundNetwork
from kws_stream.frontend import log_mel, to_float
from kws_stream.model import open_session
from kws_stream.zoo import find
from tests.streams import exported

RNG = np.random.default_rng(0)


def test_it_gives_what_a_call_by_names_gives_and_the_next_call_does_not_change_it() -> None:
    session = open_session(find("gru-stream"))
    names = [each.name for each in session.get_inputs()]
    outputs = [each.name for each in session.get_outputs()]
    shapes = [[size if isinstance(size, int) else 1 for size in each.shape] for each in session.get_inputs()]
    shapes[0][2] = 8
    feeds = [[RNG.normal(size=shape).astype(np.float32) for shape in shapes] for _ in range(3)]
    network = BoundNetwork(session, names, feeds[0], outputs)
    given = [network(*feed) for feed in feeds]
    for feed, results in zip(feeds, given, strict=True):
        for result, expected in zip(results, session.run(outputs, dict(zip(names, feed, strict=True))), strict=True):
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", ["gru-stream", "lightcnn"])
def test_threads_may_share_a_model(name: str, keywords: NDArray[np.int16]) -> None:
    model: KeywordModel = exported(name, streaming=name != "lightcnn")
    frames = model.metadata.context_frames
    contexts = log_mel(to_float(keywords), model.metadata.frontend)[: 8 * frames].reshape(8, frames, -1)

    def ask(row: int) -> list[NDArray[np.float32]]:
        return [model.outputs(contexts[row : row + 1]) for _ in range(30)]

    with ThreadPoolExecutor(4) as threads:
        for row, answers in enumerate(threads.map(ask, range(8))):
            expected = model.outputs(contexts)[row]
            np.testing.assert_allclose(np.concatenate(answers), np.tile(expected, (30, 1)), atol=1e-5)
