"""Thresholds for one room, from a recording of it in which no keyword is spoken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor, inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.errors import KwsError
from kws_stream.evaluation import list_labelled, poisson_interval, read_clip, wilson_interval
from kws_stream.events import KeywordEvent
from kws_stream.model import KeywordModel
from kws_stream.operation import SHIFTS, shifted
from kws_stream.profile import Profile
from kws_stream.scoring import judge
from kws_stream.sources import Block, Source
from kws_stream.trace import Replay, record
from kws_stream.truth import Utterance

Floats = NDArray[np.float32]
KEPT_SECONDS = 60
"""of the ambient sound, in which the positives are spoken"""
GAP_SECONDS = 1.5
"""of it in front of each of them"""


class Excerpt:
    """Another source, for so many seconds; keeps how it began."""

    def __init__(self, source: Source, seconds: float = inf) -> None:
        self.name, self.overruns, self.lost = source.name, 0, 0
        self._source, self._seconds = source, seconds
        self._pieces: list[Floats] = []

    @property
    def beginning(self) -> Floats:
        """`(n,)`, of KEPT_SECONDS or little more."""
        return np.concatenate(self._pieces)

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        """Those of the source. Raises as it does."""
        wanted, heard = self._seconds * sample_rate, 0
        for block in self._source.blocks(sample_rate):
            samples = block.samples[: int(min(len(block.samples), wanted - heard))]
            if heard < KEPT_SECONDS * sample_rate:
                self._pieces.append(samples)
            heard += len(samples)
            self.lost += block.lost
            yield Block(samples, block.lost)
            if heard >= wanted:
                break
        self.close()

    def close(self) -> None:
        self._source.close()


class Sewn:
    """Clips one after another in the ambient sound of a room."""

    overruns = lost = 0

    def __init__(self, name: str, clips: Sequence[tuple[Path, str]], ambient: Floats) -> None:
        """`clips`: each with its keyword."""
        self.name = name
        self.utterances: list[Utterance] = []
        """where they are, as far as `blocks` came"""
        self._clips, self._ambient = clips, ambient

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        """A clip a block, with the gap in front of it. Raises AudioError for a clip that cannot be read."""
        gap = np.zeros(round(GAP_SECONDS * sample_rate), np.float32)
        at = 0
        for path, keyword in self._clips:
            clip = read_clip(path, sample_rate)
            onset, at = at + len(gap), at + len(gap) + len(clip)
            self.utterances.append(Utterance(keyword, onset / sample_rate, at / sample_rate))
            yield Block(self._in_room(np.concatenate((gap, clip)), at))
        yield Block(self._in_room(gap, at + len(gap)))

    def close(self) -> None: ...

    def _in_room(self, samples: Floats, stop: int) -> Floats:
        places = np.arange(stop - len(samples), stop) % len(self._ambient)
        mixed: Floats = np.clip(samples + self._ambient[places], -1, 1)
        return mixed


@dataclass(frozen=True)
class Heard:
    """How many positives were heard."""

    words: int
    before: int
    """with the thresholds that were"""
    now: int
    """with those that were found"""


@dataclass(frozen=True)
class Calibration:
    """Thresholds, what they were found by, and how sure that is."""

    ambient: str
    seconds: float
    target: float
    """false alarms an hour"""
    config: DecoderConfig
    default: DecoderConfig
    """the thresholds that were"""
    before: Sequence[KeywordEvent]
    """false alarms with them"""
    now: Sequence[KeywordEvent]
    """false alarms with those that were found"""
    held_out: int
    """false alarms when thresholds are found on one half of the recording and counted on the other, both ways"""
    positives: Heard | None = None

    @property
    def hours(self) -> float:
        return self.seconds / 3600

    @property
    def promise(self) -> float:
        """False alarms an hour that a recording so long cannot rule out, even if it holds none (95 %)."""
        return poisson_interval(0)[1] / self.hours

    @property
    def hours_needed(self) -> float:
        """Without a false alarm, to rule out more than the target."""
        return poisson_interval(0)[1] / self.target

    def rate(self, alarms: int) -> tuple[float, float, float]:
        """False alarms an hour, and the 95 % interval (Garwood)."""
        low, high = poisson_interval(alarms)
        return alarms / self.hours, low / self.hours, high / self.hours

    def to_json(self) -> dict[str, Any]:
        """Plain values, all of them small: they go into the profile, too."""
        values: dict[str, Any] = {
            "ambient": self.ambient,
            "ambient_hours": round(self.hours, 4),
            "target_fa_per_hour": self.target,
            "alarms_before": len(self.before),
            "alarms": len(self.now),
            "alarms_held_out": self.held_out,
        }
        for name, count in (("fa_per_hour", len(self.now)), ("fa_per_hour_held_out", self.held_out)):
            middle, low, high = (round(value, 3) for value in self.rate(count))
            values |= {name: middle, f"{name}_low": low, f"{name}_high": high}
        values["promise_fa_per_hour"] = round(self.promise, 3)
        if heard := self.positives:
            low, high = wilson_interval(heard.words - heard.now, heard.words)
            values |= {"positives": heard.words, "heard_before": heard.before, "heard": heard.now}
            values |= {
                "frr": round(1 - heard.now / heard.words, 4),
                "frr_low": round(max(0.0, low), 4),
                "frr_high": round(high, 4),
            }
        return values

    def profile(self, model: KeywordModel) -> Profile:
        """What `kws-listen --profile` takes."""
        return Profile(model.name, model.fingerprint, self.config, self.to_json())


def find_thresholds(
    replay: Replay, config: DecoderConfig, target: float, start: float = 0.0, stop: float = inf
) -> DecoderConfig:
    """The lowest thresholds, all moved alike, with at most `target` events an hour between `start` and `stop` seconds,
    as have all higher ones.

    Below those of `config` they go only where the recording is long enough to show that the target holds.

    Raises KwsError when no thresholds do.
    """
    hours = (min(stop, replay.trace.seconds) - start) / 3600
    allowed = floor(target * hours)
    lowest = min(SHIFTS) if poisson_interval(0)[1] / hours <= target else 0.0
    found = None
    for shift in (shift for shift in reversed(SHIFTS) if shift >= lowest):
        candidate = shifted(config, shift) if shift else config
        alarms = Counter(event.keyword for event in replay.events(candidate) if start < event.time <= stop)
        if alarms.total() > allowed:
            break
        found = candidate
    if found is None:
        ((word, count),) = alarms.most_common(1)
        raise KwsError(
            f"no threshold keeps this model at {target:g} false alarms an hour here: {word!r} fires {count} times at "
            f"{candidate.of(word).threshold:.5f}; is it spoken there? Else allow more, or choose another model"
        )
    return found


def calibrate(
    model: KeywordModel,
    ambient: Source,
    target: float,
    *,
    seconds: float = inf,
    positives: Path | None = None,
    gate: GateConfig | None = None,
) -> Calibration:
    """Listen to `ambient`, in which no keyword is spoken, for so long or to its end.

    `positives`: a folder of word folders, to see how many of them are heard in that room.

    Raises AudioError, DeviceError; KwsError when no thresholds reach `target` false alarms an hour.
    """
    clips = list_positives(model, positives) if positives else []
    excerpt = Excerpt(ambient, seconds)
    default = model.metadata.decoder
    replay = Replay(record(model, excerpt, gate), default)
    config = find_thresholds(replay, default, target)
    length = replay.trace.seconds
    halves = ((0.0, length / 2), (length / 2, length))
    held_out = 0
    for here, there in (halves, halves[::-1]):
        events = replay.events(find_thresholds(replay, default, target, *here))
        held_out += sum(there[0] < event.time <= there[1] for event in events)
    heard = None
    if positives:
        heard = hear(model, Sewn(str(positives), clips, excerpt.beginning), default, config, gate)
    return Calibration(
        ambient.name, length, target, config, default, replay.events(default), replay.events(config), held_out, heard
    )


def list_positives(model: KeywordModel, folder: Path) -> list[tuple[Path, str]]:
    """Clips of keywords below `folder`; AudioError or KwsError when there are none."""
    labels = model.metadata.labels
    found = [(path, labels[index]) for path, index in list_labelled(folder, labels)]
    clips = [(path, word) for path, word in found if word in model.metadata.keywords]
    if not clips:
        raise KwsError(f"{folder}: holds no keyword; expected folders named {' '.join(model.metadata.keywords)}")
    return clips


def hear(
    model: KeywordModel, spoken: Sewn, before: DecoderConfig, now: DecoderConfig, gate: GateConfig | None = None
) -> Heard:
    """How many are heard with either decoder; of the two only thresholds may differ."""
    replay = Replay(record(model, spoken, gate), before)
    hits = [len(judge(replay.events(config), spoken.utterances).hits) for config in (before, now)]
    return Heard(len(spoken.utterances), *hits)
