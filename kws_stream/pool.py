"""Many streams, one network: blocks of any of them in, events of each out."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.errors import AudioError, KwsError
from kws_stream.events import KeywordEvent
from kws_stream.frontend import to_float
from kws_stream.hearing import Due
from kws_stream.model import KeywordModel
from kws_stream.spotter import KeywordSpotter, batches, infer

Floats = NDArray[np.float32]
Stream = TypeVar("Stream", bound=Hashable)
LARGEST_BATCH = 32
"""Runs of one call of the network: more gain nothing, since their maps no longer fit the caches (ADR 9)"""


class SpotterPool:
    """Independent streams whose inferences are made together.

    Each stream has a `KeywordSpotter` of its own and gives the events that this one gives alone, however blocks are cut
    and interleaved. What concerns one stream is done there: `pool[stream].skip(samples)`, `pool[stream].reset()`,
    `pool[stream].seconds`. A pool belongs to one thread at a time.
    """

    def __init__(
        self, model: KeywordModel, *, gate: GateConfig | None = None, decoder: DecoderConfig | None = None
    ) -> None:
        """`gate` and `decoder` replace what the model's file says, for all streams."""
        self.model = model
        self._gate = gate
        self._decoder = decoder
        self._spotters: dict[Hashable, KeywordSpotter] = {}
        self.inferences: int = 0
        """Inferences that `push` made so far, for all streams that are or were in the pool."""
        self.calls: int = 0
        """Calls of the network that they took."""

    def add(self, stream: Hashable) -> KeywordSpotter:
        """A new stream under any name that a dict would take. Raises KwsError when the name is taken."""
        if stream in self._spotters:
            raise KwsError(f"stream {stream!r} is in the pool already; reset it, or remove it first")
        spotter = KeywordSpotter(self.model, gate=self._gate, decoder=self._decoder)
        self._spotters[stream] = spotter
        return spotter

    def remove(self, stream: Hashable) -> None:
        """Forget a stream that ended. Raises KwsError when there is none of this name."""
        self[stream]  # refuses what is not there
        del self._spotters[stream]

    def __getitem__(self, stream: Hashable) -> KeywordSpotter:
        if stream not in self._spotters:
            raise KwsError(f"no stream {stream!r} in the pool; add it first")
        return self._spotters[stream]

    def __contains__(self, stream: object) -> bool:
        return stream in self._spotters

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._spotters)

    def __len__(self) -> int:
        return len(self._spotters)

    def reset(self) -> None:
        """Every stream as good as new."""
        for spotter in self._spotters.values():
            spotter.reset()

    def push(self, blocks: Mapping[Stream, NDArray[np.generic]]) -> dict[Stream, list[KeywordEvent]]:
        """A block for each stream that has one -> the events that fell, for each of these streams.

        A block is what `KeywordSpotter.push` takes, of any length. Raises KwsError for a stream that is not in the
        pool, and AudioError, which names the stream, for a block that is no audio; nothing of any block is heard then.
        """
        signals = {stream: self._signal(stream, samples) for stream, samples in blocks.items()}
        events: dict[Stream, list[KeywordEvent]] = {stream: [] for stream in signals}
        names = {self._spotters[stream]: stream for stream in signals}
        waiting: list[tuple[KeywordSpotter, Due]] = []
        for stream, signal in signals.items():
            for due in self._spotters[stream].hear(signal, blocks[stream]):
                waiting += [(self._spotters[stream], run) for run in due]
                while len(waiting) >= LARGEST_BATCH:
                    self._infer(waiting[:LARGEST_BATCH], names, events)
                    del waiting[:LARGEST_BATCH]
        self._infer(waiting, names, events)
        return events

    def _signal(self, stream: Hashable, samples: NDArray[np.generic]) -> Floats:
        self[stream]  # refuses what is not there
        try:
            return to_float(samples)
        except AudioError as error:
            raise AudioError(f"stream {stream!r}: {error}") from error

    def _infer(
        self,
        waiting: list[tuple[KeywordSpotter, Due]],
        names: Mapping[KeywordSpotter, Stream],
        events: dict[Stream, list[KeywordEvent]],
    ) -> None:
        """Make the runs that are due, together where that can be; events are added to those of their streams."""
        for batch in batches(waiting):
            self.calls += 1
            self.inferences += sum(len(due.answers) for _, due in batch)
            for spotter, fell in infer(self.model, batch):
                events[names[spotter]] += fell
