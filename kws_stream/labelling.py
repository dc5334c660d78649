"""Labels of many clips: batches for the network, on several threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kws_stream.errors import AudioError
from kws_stream.evaluation import read_clip
from kws_stream.model import KeywordModel

BATCH = 32
"""clips in one call of the network: more make it no faster, and a large network takes 10 MB a clip"""


class Batch(NamedTuple):
    """Some clips, labelled."""

    labels: list[str]
    """of the first clips of the batch: of all, unless one of them cannot be read"""
    unreadable: list[AudioError]
    """each names its file"""


def label_clips(
    model: KeywordModel, paths: Sequence[Path], threads: int = 1, substitute: str | None = None
) -> Iterator[Batch]:
    """The most probable label of each clip, in their order, batch by batch; close the iterator to stop early.

    A clip that cannot be read gets the label `substitute`. Where that is None, the batch ends in front of it, and after
    this batch AudioError is raised. Decoding, DFT and network run without Python's lock, so that threads pay.
    """
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    pool = ThreadPoolExecutor(threads)
    try:
        for batch in pool.map(lambda part: _label_batch(model, part, substitute), batches):
            yield batch
            if batch.unreadable and substitute is None:
                raise batch.unreadable[0]
    finally:
        pool.shutdown(cancel_futures=True)


def _label_batch(model: KeywordModel, paths: Sequence[Path], substitute: str | None) -> Batch:
    contexts, answered, unreadable = [], [], list[AudioError]()
    for path in paths:
        try:
            contexts.append(model.features(read_clip(path, model.metadata.frontend.sample_rate)))
            answered.append(True)
        except AudioError as error:
            unreadable.append(error)
            if substitute is None:
                break
            answered.append(False)
    answers: Iterator[int] = iter(())
    if contexts:
        answers = iter(model.predict(np.stack(contexts)).argmax(1).tolist())  # (clips, labels) -> (clips,)
    return Batch([model.metadata.labels[next(answers)] if known else str(substitute) for known in answered], unreadable)
