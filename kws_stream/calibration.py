"""Thresholds for one room, from a recording of it in which no keyword is spoken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf
from pathlib import Path
from typing import Any

from kws_stream.ambience import Excerpt, Sewn
from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.errors import KwsError
from kws_stream.evaluation import list_labelled, poisson_interval, wilson_interval
from kws_stream.events import KeywordEvent
from kws_stream.model import KeywordModel
from kws_stream.operation import SHIFTS, shifted
from kws_stream.profile import Profile
from kws_stream.scoring import judge
from kws_stream.sources import Source
from kws_stream.trace import Replay, record


@dataclass(frozen=True)
class Heard:
    """How many positives were heard."""

    words: int
    before: int
    """with the thresholds that were"""
    now: int
    """with those that were found"""

    @property
    def missed(self) -> tuple[float, float, float]:
        """The share that is not heard now, and its 95 % interval (Wilson)."""
        low, high = wilson_interval(self.words - self.now, self.words)
        return 1 - self.now / self.words, max(0.0, low), high


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
            values |= {"positives": heard.words, "heard_before": heard.before, "heard": heard.now}
            missed = (round(share, 4) for share in heard.missed)
            values |= dict(zip(("frr", "frr_low", "frr_high"), missed, strict=True))
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
        candidate = shifted(config, shift)
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
