"""`kws-calibrate`, and what its thresholds are worth."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kws_stream import DecoderConfig, FileSource, KeywordModel, KeywordThreshold, KwsError, spot
from kws_stream.ambience import KEPT_SECONDS, Excerpt, Sewn
from kws_stream.calibration import Calibration, calibrate, find_thresholds
from kws_stream.sources import Block, read_piece
from kws_stream.trace import Replay, Trace
from tests.conftest import EXAMPLE
from tests.test_listen import listen
from tests.virtual_microphone import VirtualMicrophone, missing

RATE = 16_000
CONFIG = DecoderConfig(0, KeywordThreshold(0.8, 0.4, 0))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws_stream.cli.calibrate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def positives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The words of the bundled recording as clips, and one that is no keyword."""
    folder = tmp_path_factory.mktemp("positives")
    for event in spot(EXAMPLE):
        (folder / event.keyword).mkdir()
        soundfile.write(folder / event.keyword / "a.wav", read_piece(EXAMPLE, event.time - 1.1, 1.2, RATE), RATE)
    (folder / "bird").mkdir()
    soundfile.write(folder / "bird" / "a.wav", np.zeros(RATE), RATE)
    return folder


@pytest.fixture(scope="module")
def result(positives: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A room in which keywords are said, which must become silent."""
    path = tmp_path_factory.mktemp("profile") / "room.toml"
    done = run("--ambient", EXAMPLE, "--target-fa", "0.5", "--positives", positives, "-o", path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    values: dict[str, Any] = json.loads(done.stdout)
    return values


def test_the_room_is_silent_with_the_profile(result: dict[str, Any]) -> None:
    assert listen(EXAMPLE).stdout != ""
    assert listen("--profile", result["profile"], EXAMPLE).stdout == ""
    assert (result["alarms_before"], result["alarms"]) == (len(list(spot(EXAMPLE))), 0)
    assert min(result["thresholds"].values()) > 0.8
    assert len(set(result["thresholds"].values())) == 1
    assert 0 <= result["alarms_held_out"] <= result["alarms_before"]


def test_the_interval_is_garwoods(result: dict[str, Any]) -> None:
    hours = soundfile.info(EXAMPLE).duration / 3600
    assert result["ambient_hours"] == pytest.approx(hours, abs=1e-4)
    assert result["promise_fa_per_hour"] == pytest.approx(3.6889 / hours, rel=1e-3)
    assert (result["fa_per_hour"], result["fa_per_hour_low"]) == (0, 0)
    assert result["fa_per_hour_high"] == result["promise_fa_per_hour"]


def test_positives_tell_what_it_costs(result: dict[str, Any], positives: Path) -> None:
    assert result["positives"] == 10
    assert result["heard"] <= 2 < 4 <= result["heard_before"], "words of the room itself, behind its own speech"
    assert result["frr"] == 1 - result["heard"] / 10


def test_the_text_says_what_it_is_worth(positives: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 20 * RATE)
    soundfile.write(tmp_path / "noise.wav", noise, RATE)
    out = tmp_path / "room.toml"
    done = run("--ambient", tmp_path / "noise.wav", "--minutes", "0.25", "--positives", positives, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0.2 minutes of ambient can promise no better than 885 false alarms an hour" in done.stdout
    assert "for 0.5 it takes 7.4 hours without one" in done.stdout
    assert "of 10 keywords" in done.stdout
    shipped = f"{KeywordModel.load().metadata.decoder.default.threshold:.5f}"
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("yes ")] == [shipped]
    assert out.exists()


def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bird").mkdir()
    soundfile.write(tmp_path / "bird" / "a.wav", np.zeros(RATE), RATE)
    for options, message in (
        (["--ambient", tmp_path / "none.wav"], "no such file"),
        (["--ambient", EXAMPLE, "--positives", tmp_path], "holds no keyword; expected folders named yes no"),
        (["--ambient", EXAMPLE, "-o", tmp_path / "none" / "a.toml"], "cannot be written"),
    ):
        done = run("-o", tmp_path / "a.toml", *options)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
        assert message in done.stderr
    assert run("--ambient", EXAMPLE, "--target-fa", "0").returncode == 2


def trace(scores: NDArray[np.float64]) -> Trace:
    """A recording with a row a second, whose posteriors of yes and no `(rows, 2)` are these."""
    count = len(scores)
    posteriors = np.column_stack((scores, np.zeros((count, 2)))).astype(np.float32)
    ends = np.arange(1, count + 1) * RATE
    return Trace(("yes", "no", "unknown", "silence"), RATE, RATE, count * RATE, posteriors, ends, ends > 0, ends)


def alternating(peaks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each peak by itself: a row of silence behind it."""
    rows = np.zeros((2 * len(peaks), 2))
    rows[::2] = peaks
    return rows


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), hours=st.sampled_from([0.2, 3.0, 10.0]), target=st.sampled_from([0.4, 2.0, 5.0]))
def test_the_target_holds_and_nothing_is_lowered_without_proof(seed: int, hours: float, target: float) -> None:
    peaks = np.random.default_rng(seed).beta(0.3, 6, (round(1800 * hours), 2))
    replay = Replay(trace(alternating(peaks)), CONFIG)
    found = find_thresholds(replay, CONFIG, target)
    assert len(replay.events(found)) <= target * hours
    thresholds = [found.of(word).threshold for word in ("yes", "no")]
    if 3.689 / hours > target:
        assert min(thresholds) >= 0.8
        if replay.events(found) == replay.events(CONFIG):
            assert found == CONFIG
    elif len(replay.events(CONFIG)) < target * hours / 2:
        assert max(thresholds) <= 0.8


def test_what_fires_outside_of_the_stretch_does_not_count() -> None:
    peaks = np.zeros((1800, 2))
    peaks[:900:50, 1] = 0.95
    peaks[900::50, 0] = 0.99
    replay = Replay(trace(alternating(peaks)), CONFIG)
    found = find_thresholds(replay, CONFIG, 0.5, 0.0, 1800.0)
    assert 0.95 < found.of("yes").threshold == found.of("no").threshold < 0.99
    assert found.of("no").release == pytest.approx(found.of("no").threshold / 2)
    assert {event.keyword for event in replay.events(found)} == {"yes"}


def test_what_no_threshold_silences_is_said() -> None:
    with pytest.raises(KwsError, match=r"'yes' fires 18 times at 0.9999\d; is it spoken there"):
        find_thresholds(Replay(trace(alternating(np.tile([1.0, 0.0], (18, 1)))), CONFIG), CONFIG, 0.5)


def test_ten_minutes_promise_what_ten_minutes_can() -> None:
    result = Calibration("a", 600, 0.5, CONFIG, CONFIG, (), (), 0)
    assert result.promise == pytest.approx(22.13, abs=0.01)
    assert result.hours_needed == pytest.approx(7.38, abs=0.01)


class Blocks:
    """A source that delivers these."""

    name, overruns, lost, closed = "blocks", 0, 0, False

    def __init__(self, samples: NDArray[np.float32], lengths: list[int]) -> None:
        self.samples, self.lengths = samples, lengths

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        at = turn = 0
        while at < len(self.samples):
            length = self.lengths[turn % len(self.lengths)]
            yield Block(self.samples[at : at + length], lost=turn % 2)
            at, turn = at + length, turn + 1

    def close(self) -> None:
        self.closed = True


@given(lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=5), seconds=st.sampled_from([0.1, 1.0, 70.0, inf]))
@settings(max_examples=25, deadline=None)
def test_an_excerpt_is_the_beginning(lengths: list[int], seconds: float) -> None:
    samples = np.arange(90_000, dtype=np.float32)
    source = Blocks(samples, lengths)
    excerpt = Excerpt(source, seconds)
    heard = list(excerpt.blocks(1000))
    count = int(min(seconds * 1000, 90_000))
    np.testing.assert_array_equal(np.concatenate([block.samples for block in heard]), samples[:count])
    kept = excerpt.beginning
    np.testing.assert_array_equal(kept, samples[: len(kept)])
    assert min(count, KEPT_SECONDS * 1000) <= len(kept) < KEPT_SECONDS * 1000 + 3000
    assert (excerpt.lost, source.closed) == (sum(block.lost for block in heard), True)


def test_clips_are_spoken_in_the_room(positives: Path) -> None:
    ambient = np.linspace(-0.5, 0.5, 7000, dtype=np.float32)
    sewn = Sewn("a", [(positives / "yes" / "a.wav", "yes"), (positives / "no" / "a.wav", "no")], ambient)
    whole = np.concatenate([block.samples for block in sewn.blocks(RATE)])
    room = np.resize(ambient, len(whole))
    assert [spoken.keyword for spoken in sewn.utterances] == ["yes", "no"]
    for spoken in sewn.utterances:
        start, stop = round(spoken.onset * RATE), round(spoken.end * RATE)
        clip, _ = soundfile.read(positives / spoken.keyword / "a.wav", dtype="float32")
        np.testing.assert_allclose(whole[start:stop], np.clip(room[start:stop] + clip, -1, 1), atol=1e-6)
        np.testing.assert_array_equal(whole[start - 24_000 : start], room[start - 24_000 : start])


def test_a_calibrated_listener_hears_no_less_elsewhere(model: KeywordModel, tmp_path: Path) -> None:
    """Noise that fires nothing leaves every threshold where it was."""
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.01, 20 * RATE), RATE)
    result = calibrate(model, FileSource(tmp_path / "noise.wav"), 0.5)
    assert result.config == model.metadata.decoder


def test_the_microphone(tmp_path: Path) -> None:
    if absent := missing():
        pytest.skip(f"a virtual microphone needs {', '.join(absent)}")
    with VirtualMicrophone(RATE, 1) as microphone:
        command = [sys.executable, "-m", "kws_stream.cli.calibrate", "--ambient", "mic", "--device", "pulse"]
        process = subprocess.Popen(
            [*command, "--minutes", "0.1", "-o", tmp_path / "room.toml", "--json"],
            env=microphone.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        output, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "for 0.1 minutes; say no keyword" in error
    assert json.loads(output)["ambient_hours"] == pytest.approx(6 / 3600, abs=1e-4)
