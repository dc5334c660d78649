"""Which frames of a stream the network must be given for its next answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws_stream.history import FeatureHistory
from kws_stream.metadata import ModelMetadata

Floats = NDArray[np.float32]


class Answer(NamedTuple):
    """An answer of the network that is wanted."""

    stop: int
    """frames of the stream up to the end of its context"""

    end: int
    """the same position in samples since the stream began"""

    decided: int
    """position at which it was known that the answer is wanted"""


class Due(NamedTuple):
    """A run of the network that is to be made."""

    features: Floats
    """`(frames, bins)` that the network shall be given"""

    fresh: bool
    """from the states of a new stream, not from those that the run before left"""

    answers: Sequence[Answer]
    """what the last answers of this run are; those in front of them do not count"""


class Hearing:
    """The newest part of a stream, as much of it as a later answer may need.

    A network that sees windows is given each context whole. A streaming one is given every frame once, as long as its
    answers follow on each other. Where some were left out, or where it is to be renewed, it begins anew with the frames
    of a context, and of a lead-in where it needs one; answers to them but the last do not count. Renewals have fixed
    places in the stream, so that an answer depends on the same frames whether those in front of it were wanted or not.
    """

    def __init__(self, metadata: ModelMetadata) -> None:
        self._past = FeatureHistory(metadata.frontend)
        self._context = metadata.context_frames
        self._stride = metadata.stride_frames
        self._lead = metadata.lead_frames
        self._streaming = metadata.streaming is not None
        renewal = metadata.streaming.renewal_strides if metadata.streaming else None
        lead_in = metadata.streaming.lead_in_strides if metadata.streaming else 0
        self._history = self._context + self._stride * lead_in  # frames with which a run begins
        self._renewal = self._stride * (renewal or 1)  # frames between two places where a run may begin
        self._forgets = renewal is None
        self.reset()

    def reset(self) -> None:
        """As good as new."""
        self._past.reset()
        self._reached = 0  # frames that the network was given
        self._begun = 0  # the answer with which it began

    @property
    def frames(self) -> int:
        """Frames since the stream began."""
        return self._past.frames

    def push(self, samples: Floats) -> None:
        """The next samples `(n,)`."""
        self._past.push(samples)

    def due(self, answers: Sequence[Answer]) -> list[Due]:
        """The runs that give `answers`, which come in the order of the stream and end with frames that were pushed."""
        if not self._streaming:
            return [
                Due(self._past.cut(answer.stop - self._context, answer.stop), True, (answer,)) for answer in answers
            ]
        runs: list[tuple[int, bool, list[Answer]]] = []
        for answer in answers:
            begin = self._beginning(answer.stop)
            follows = self._reached == answer.stop - self._stride and (self._forgets or self._begun == begin)
            if not follows:
                self._begun = begin
                runs.append((max(0, begin - self._history), True, [answer]))
            elif runs:
                runs[-1][2].append(answer)
            else:
                runs.append((self._reached, False, [answer]))
            self._reached = answer.stop
        return [self._run(*run) for run in runs]

    def forget(self, stop: int) -> None:
        """Drop the frames that no answer at `stop` or later needs."""
        self._past.forget(self._beginning(stop) - self._history)

    def _beginning(self, stop: int) -> int:
        """Where the context ends with which a run begins that gives the answer at `stop`."""
        return stop - (stop - self._context) % self._renewal

    def _run(self, start: int, fresh: bool, answers: list[Answer]) -> Due:
        features = self._past.cut(start, answers[-1].stop)
        if fresh and self._lead:
            features = np.pad(features, ((self._lead, 0), (0, 0)))
        return Due(features, fresh, answers)
