"""How a model does on a stream: misses, false alarms, delays, and what the gate has to do with it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.errors import KwsError
from kws_stream.evaluation import wilson_interval
from kws_stream.model import KeywordModel
from kws_stream.operation import AIMS, Point, measure, pick, shifted, sweep
from kws_stream.scoring import Judgement, judge
from kws_stream.sources import FileSource, read_piece
from kws_stream.trace import Replay, Trace, record
from kws_stream.truth import Truth, Utterance

QUANTILES = (50, 95, 99)
LIMITS_DB = (0, 5, 10, 15, 20)
"""edges of the groups of signal-to-noise ratios"""
GROUPS = (
    f"below {LIMITS_DB[0]}",
    *(f"{low} to {high}" for low, high in pairwise(LIMITS_DB)),
    f"{LIMITS_DB[-1]} and more",
    "unknown",
)


class Share(NamedTuple):
    """How many of a group of utterances were heard."""

    name: str
    hits: int
    words: int

    @property
    def missed(self) -> float:
        return 1 - self.hits / self.words

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share that was missed."""
        return wilson_interval(self.words - self.hits, self.words)

    def to_json(self) -> dict[str, Any]:
        return {
            "hits": self.hits,
            "words": self.words,
            "frr": round(self.missed, 4),
            "frr_interval": [round(bound, 4) for bound in self.interval],
        }


@dataclass(frozen=True)
class StreamEvaluation:
    """A model with a decoder, on one stream."""

    model: str
    fingerprint: str
    """of the model: shifts that were chosen with it hold for it alone"""
    audio: Path
    truth: Truth
    trace: Trace
    config: DecoderConfig
    recognised: int
    """utterances that the network recognises as clips, cut out at their middle"""
    chosen: Mapping[float, float] | None = None
    """shifts by aim, chosen elsewhere; None: they are chosen on this stream"""

    @cached_property
    def judged(self) -> Judgement:
        """With the thresholds of `config`."""
        return judge(self._replay.events(self.config), self.truth.utterances)

    @cached_property
    def point(self) -> Point:
        """With the thresholds of `config`."""
        return self._measured(0.0)

    @cached_property
    def curve(self) -> list[Point]:
        return sweep(self._replay, self.config, self.truth.utterances)

    @cached_property
    def points(self) -> dict[float, Point | None]:
        """By aim; None where no threshold reaches it, and no aim at all where no keyword can be missed."""
        if not self.truth.utterances:
            return {}
        if self.chosen is not None:
            return {aim: self._measured(shift) for aim, shift in self.chosen.items()}
        result: dict[float, Point | None] = {}
        for aim in AIMS:
            try:
                result[aim] = pick(self.curve, aim)
            except KwsError:
                result[aim] = None
        return result

    @cached_property
    def lost_to_gate(self) -> list[Utterance]:
        """What is heard when the gate stays open, and only then."""
        ungated = judge(Replay(self.trace, self.config, gated=False).events(self.config), self.truth.utterances)
        return [self.truth.utterances[index] for index in sorted(ungated.hits.keys() - self.judged.hits.keys())]

    def latency(self, since: Callable[[Utterance], float]) -> dict[str, float]:
        """Quantiles of the seconds from what `since` says of an utterance to its event; none without hits."""
        delays = [event.time - since(self.truth.utterances[index]) for index, event in self.judged.hits.items()]
        if not delays:
            return {}
        return {f"p{q}": round(float(np.percentile(delays, q)), 3) for q in QUANTILES}

    def grouped(self, name_of: Callable[[Utterance], str | None]) -> list[Share]:
        """Utterances by what `name_of` says of them, in the order of the names."""
        counts: dict[str, list[int]] = {}
        for index, spoken in enumerate(self.truth.utterances):
            own = counts.setdefault(name_of(spoken) or "unknown", [0, 0])
            own[0] += index in self.judged.hits
            own[1] += 1
        return [Share(name, *counts[name]) for name in sorted(counts, key=lambda name: (_place(name), name))]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        words = len(self.truth.utterances)
        recall = self.recognised / words if words else None
        return {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "audio": str(self.audio),
            "stream": self.truth.facts,
            "hours": round(self.trace.seconds / 3600, 4),
            "hours_outside_words": round(self.point.hours, 4),
            "words": words,
            "speakers": len({spoken.speaker for spoken in self.truth.utterances if spoken.speaker}),
            "default": self.point.to_json(),
            "points": [{"aim": aim, **(point.to_json() if point else {})} for aim, point in self.points.items()],
            "points_chosen_on": "this stream" if self.chosen is None else "another stream",
            "latency_from_onset": self.latency(lambda spoken: spoken.onset),
            "latency_from_end": self.latency(lambda spoken: spoken.end),
            "by_snr_db": {share.name: share.to_json() for share in self.grouped(snr_group)},
            "by_keyword": {share.name: share.to_json() for share in self.grouped(lambda spoken: spoken.keyword)},
            "by_speaker": {share.name: share.to_json() for share in self.grouped(lambda spoken: spoken.speaker)},
            "gate": {"saved_inferences": round(self.trace.saved, 4), "words_lost": len(self.lost_to_gate)},
            "clip_recall": None if recall is None else round(recall, 4),
            "stream_recall": round(1 - self.point.miss_rate, 4) if words else None,
            "curve": [[p.shift, round(p.false_alarm_rate, 3), round(p.miss_rate, 4)] for p in self.curve],
            **self._listed(),
        }

    def _listed(self) -> dict[str, Any]:
        """Every error by itself."""
        judged = self.judged
        return {
            "false_alarms": [
                {**_event(event), "cause": cause.other, "source": cause.source}
                for event in judged.false_alarms
                for cause in [self.truth.cause(event.time)]
            ],
            "confusions": [{**_event(event), "spoken": spoken.keyword} for event, spoken in judged.confusions],
            "duplicates": [_event(event) for event, _ in judged.duplicates],
            "misses": [
                {"keyword": u.keyword, "onset": u.onset, "end": u.end, "snr_db": u.snr_db, "speaker": u.speaker}
                for u in judged.misses
            ],
        }

    @cached_property
    def _replay(self) -> Replay:
        return Replay(self.trace, self.config)

    def _measured(self, shift: float) -> Point:
        events = self._replay.events(shifted(self.config, shift))
        return measure(events, self.truth.utterances, self.trace.seconds, shift)


def evaluate_stream(
    model: KeywordModel,
    audio: Path,
    truth: Truth,
    *,
    decoder: DecoderConfig | None = None,
    gate: GateConfig | None = None,
    chosen: Mapping[float, float] | None = None,
) -> StreamEvaluation:
    """Hear `audio` once and judge. `decoder` and `gate` replace what the model's file says.

    Raises AudioError; KwsError when the truth goes beyond the audio.
    """
    trace = record(model, FileSource(audio), gate)
    if truth.utterances and truth.utterances[-1].onset > trace.seconds:
        raise KwsError(
            f"{audio}: ends at {trace.seconds:.1f} s, and by the truth a keyword begins at "
            f"{truth.utterances[-1].onset:.1f} s; expected the audio that the truth belongs to"
        )
    config = decoder or model.metadata.decoder
    recognised = recognise(model, audio, truth.utterances)
    return StreamEvaluation(model.name, model.fingerprint, audio, truth, trace, config, recognised, chosen)


def recognise(model: KeywordModel, audio: Path, utterances: Iterable[Utterance]) -> int:
    """How many of them the network gets right as clips: the second around the middle of each, alone."""
    metadata = model.metadata
    rate = metadata.frontend.sample_rate
    seconds = metadata.frontend.samples(metadata.context_frames) / rate
    right = 0
    for spoken in utterances:
        samples = read_piece(audio, (spoken.onset + spoken.end - seconds) / 2, seconds, rate)
        right += metadata.labels[int(model.classify(samples).argmax())] == spoken.keyword
    return right


def snr_group(spoken: Utterance) -> str | None:
    """The group of its signal-to-noise ratio."""
    if spoken.snr_db is None:
        return None
    return GROUPS[bisect_right(LIMITS_DB, spoken.snr_db)]


def _place(name: str) -> int:
    """Of ratios, in the order of the ratios; of other names, all alike, and unknown ones last."""
    return GROUPS.index(name) if name in GROUPS else -1


def _event(event: Any) -> dict[str, Any]:
    return {"keyword": event.keyword, "time": round(event.time, 3), "score": round(event.score, 3)}


def read_shifts(values: Any, fingerprint: str, source: str) -> dict[float, float]:
    """Shifts by aim from what `StreamEvaluation.to_json` gave on another stream.

    Raises KwsError when it is something else, or was made with another model.
    """
    try:
        made_with = values["fingerprint"]
        shifts = {float(point["aim"]): float(point["shift"]) for point in values["points"] if "shift" in point}
    except (TypeError, KeyError, ValueError) as error:
        raise KwsError(f"{source}: expected what `kws-eval stream --json` printed") from error
    if made_with != fingerprint:
        raise KwsError(f"{source}: was measured with another model; measure this one on that stream first")
    return shifts
