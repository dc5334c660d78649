"""Labels for many clips: in batches, in order, and no further than asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kws_stream import AudioError, KeywordModel
from kws_stream.labelling import BATCH, label_clips
from tests.flat import MODEL


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_come_in_order_whatever_the_threads(threads: int, folder: Path, names: list[str]) -> None:
    model = KeywordModel.load(MODEL)
    paths = [folder / name for name in names]
    batches = list(label_clips(model, paths, threads))
    assert [len(batch.labels) for batch in batches] == [BATCH] * 3
    assert [label for batch in batches for label in batch.labels] == [
        label for path in paths for batch in label_clips(model, [path]) for label in batch.labels
    ]


def test_the_network_is_called_once_a_batch(folder: Path, names: list[str]) -> None:
    calls = []

    class Counting(KeywordModel):
        def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
            calls.append(len(features))
            return super().predict(features)

    list(label_clips(Counting.load(MODEL), [folder / name for name in names[:-5]]))
    assert calls == [BATCH, BATCH, BATCH - 5]


def test_an_iterator_that_is_closed_reads_no_further(folder: Path, names: list[str]) -> None:
    batches = label_clips(KeywordModel.load(MODEL), [folder / name for name in names])
    assert len(next(batches).labels) == BATCH
    batches.close()  # type: ignore[attr-defined]
    with pytest.raises(AudioError, match=r"nowhere\.wav: no such file"):
        list(label_clips(KeywordModel.load(MODEL), [folder / "nowhere.wav"]))
