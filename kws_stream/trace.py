"""One pass of a network over a recording, kept: decoders are compared and thresholds swept without another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.decoder import Scorer, Scores, Trigger
from kws_stream.errors import AudioError
from kws_stream.events import KeywordEvent
from kws_stream.metadata import keywords_of
from kws_stream.model import KeywordModel
from kws_stream.sources import Source
from kws_stream.spotter import KeywordSpotter, answer, batches

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Trace:
    """Every answer of a network along a recording, the gate left open, and which of them the gate lets through."""

    labels: tuple[str, ...]
    stride: int
    """samples from one answer to the next"""
    sample_rate: int
    samples: int
    """how long the recording is"""
    posteriors: Floats
    """`(rows, labels)`"""
    ends: NDArray[np.int64]
    """`(rows,)` positions where the contexts end"""
    passed: NDArray[np.bool_]
    """`(rows,)` whether the gate let it through"""
    decided: NDArray[np.int64]
    """`(rows,)` positions at which it was known that it did; `ends` where it did not"""

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate

    @property
    def keywords(self) -> tuple[str, ...]:
        return keywords_of(self.labels)

    @property
    def saved(self) -> float:
        """Share of the inferences that the gate makes needless."""
        return 1 - float(self.passed.mean())


def record(model: KeywordModel, source: Source, gate: GateConfig | None = None) -> Trace:
    """Hear `source` to its end; `gate` replaces what the model's file says.

    Raises AudioError, DeviceError; AudioError when the recording is shorter than the model's context.
    """
    everything = KeywordSpotter(model, gate=GateConfig(mode=None))
    gated = KeywordSpotter(model, gate=gate)
    config = model.metadata.frontend
    posteriors: list[Floats] = []
    ends: list[int] = []
    decided: dict[int, int] = {}
    for block in source.blocks(config.sample_rate):
        if block.lost:
            everything.skip(block.lost)
            gated.skip(block.lost)
        for runs in everything.hear(block.samples, block.samples):
            for batch in batches([(everything, run) for run in runs]):
                for (_, due), (rows, everything.states) in zip(batch, answer(model, batch), strict=True):
                    posteriors.append(rows[-len(due.answers) :])
                    ends += [wanted.end for wanted in due.answers]
        for runs in gated.hear(block.samples, block.samples):
            decided.update((wanted.end, wanted.decided) for due in runs for wanted in due.answers)
    if not ends:
        needed = config.samples(model.metadata.context_frames) / config.sample_rate
        raise AudioError(
            f"{source.name}: {everything.seconds:.3f} s is too short; the model hears {needed:.3f} s at once"
        )
    return Trace(
        labels=model.metadata.labels,
        stride=model.metadata.stride_frames * config.hop,
        sample_rate=config.sample_rate,
        samples=round(everything.seconds * config.sample_rate),
        posteriors=np.concatenate(posteriors),
        ends=np.array(ends),
        passed=np.array([end in decided for end in ends]),
        decided=np.array([decided.get(end, end) for end in ends]),
    )


class Replay:
    """Decoders over one trace; what no threshold changes is computed once."""

    def __init__(self, trace: Trace, config: DecoderConfig, gated: bool = True) -> None:
        """`config`: its smoothing holds for all that `events` is asked for. `gated`: as the gate of the trace lets it
        hear, or as if there were none."""
        self.trace = trace
        rows: Any = trace.passed if gated else slice(None)
        self.ends = trace.ends[rows]
        self.decided = (trace.decided if gated else trace.ends)[rows]
        scorer = Scorer(trace.labels, trace.stride, config, trace.sample_rate)
        self.scores: Scores = scorer.push(trace.posteriors[rows], self.ends.tolist())

    def events(self, config: DecoderConfig) -> list[KeywordEvent]:
        """What a spotter with the thresholds of `config` reports, to the sample."""
        return Trigger(self.trace.keywords, config, self.trace.sample_rate).push(self.scores, self.decided.tolist())
