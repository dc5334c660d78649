"""Write the recording that `make demo` replays: keywords among other words, spoken by speech synthesisers.

    python examples/synthesise.py

`keywords.flac` holds each of the ten keywords once, every word by itself, over soft noise; `keywords.csv` says who says
what, and when. On Debian the voices are in the packages espeak-ng and flite; the same versions of them give the same
files again.

This is a demonstration and no measurement: words, voices and paces were picked from many because the model that ships
hears these for what they are. No synthetic voice was in its training data, and of others it misses many a keyword.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SAMPLE_RATE = 16_000
SEED = 1
LEVEL_DB = -22.0
"""RMS of a word below full scale, which leaves room for its peaks."""
LEVEL_SPREAD_DB = 2.0
NOISE_DB = -22.0
"""RMS of the noise below that of the words."""
GAP = (0.8, 1.2)
"""Seconds between words."""


class Utterance(NamedTuple):
    """One word as somebody says it."""

    word: str
    synthesiser: str
    voice: str
    stretch: float
    """length relative to the voice's own pace"""


class Span(NamedTuple):
    """A word and where it stands in the recording: a row of the table."""

    word: str
    start: float
    end: float
    voice: str


UTTERANCES = (
    Utterance("seven", "espeak-ng", "en-029+m1", 1.25),
    Utterance("yes", "espeak-ng", "en-gb+f3", 1.25),
    Utterance("music", "flite", "slt", 1.0),
    Utterance("left", "flite", "kal16", 0.9),
    Utterance("coffee", "flite", "rms", 1.0),
    Utterance("stop", "espeak-ng", "en-us+m3", 1.25),
    Utterance("family", "espeak-ng", "en-us", 1.0),
    Utterance("no", "flite", "slt", 1.2),
    Utterance("marvin", "espeak-ng", "en-us+m7", 1.0),
    Utterance("go", "flite", "rms", 0.9),
    Utterance("window", "flite", "slt", 1.0),
    Utterance("up", "espeak-ng", "en-gb", 1.0),
    Utterance("garden", "flite", "awb", 1.0),
    Utterance("down", "flite", "slt", 1.0),
    Utterance("happy", "espeak-ng", "en-us+f4", 1.0),
    Utterance("right", "espeak-ng", "en-gb-scotland", 1.25),
    Utterance("cloud", "flite", "kal16", 1.0),
    Utterance("on", "flite", "slt", 1.2),
    Utterance("table", "flite", "awb", 0.9),
    Utterance("off", "flite", "awb", 1.2),
    Utterance("house", "flite", "kal16", 1.2),
    Utterance("tree", "espeak-ng", "en-us+linda", 1.0),
)


def command(utterance: Utterance, path: Path) -> list[str]:
    """What makes the synthesiser write its word to `path`."""
    word, synthesiser, voice, stretch = utterance
    if synthesiser == "flite":
        return ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-t", word, "-o", str(path)]
    pace = round(175 / stretch)  # words a minute; 175 is its own
    return ["espeak-ng", "-v", voice, "-s", str(pace), "-w", str(path), word]


def synthesise(utterance: Utterance) -> Floats:
    """The word `(n,)` at the sample rate; exits with one line when its synthesiser is missing or fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        try:
            subprocess.run(command(utterance, path), capture_output=True, check=True)
            samples, sample_rate = soundfile.read(path)
        except FileNotFoundError:
            sys.exit(f"{utterance.synthesiser} is not installed; on Debian: apt install espeak-ng flite")
        except (subprocess.CalledProcessError, soundfile.LibsndfileError):
            sys.exit(f"{utterance.synthesiser} cannot speak as {utterance.voice}; expected espeak-ng 1.51, flite 2.2")
    resampled: Floats = soxr.resample(samples, sample_rate, SAMPLE_RATE)
    return resampled


def rms(samples: Floats) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(samples))))


def amplitude(decibels: float) -> float:
    """The factor that so many decibels are."""
    return 10 ** (decibels / 20)


def trim(samples: Floats, floor_db: float = -34.0) -> Floats:
    """Without the silence around it: what lies `floor_db` below the loudest 10 ms, but for 20 ms at either end."""
    size = SAMPLE_RATE // 100
    frames = samples[: len(samples) // size * size].reshape(-1, size)  # (frames, size)
    level = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = np.flatnonzero(level > level.max() * amplitude(floor_db))
    return samples[max(0, loud[0] - 2) * size : (loud[-1] + 3) * size]


def pink_noise(count: int, generator: np.random.Generator) -> Floats:
    """`(count,)` samples of RMS 1 whose power falls with the frequency, as that of rooms does; flat below 50 Hz."""
    spectrum = np.fft.rfft(generator.standard_normal(count))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 50.0))
    noise = np.fft.irfft(spectrum, count)
    return noise / rms(noise)


def compose(utterances: tuple[Utterance, ...], generator: np.random.Generator) -> tuple[Floats, list[Span]]:
    """The whole recording `(n,)`, and where its words are."""
    pieces, spans, position = [], [], 0
    for utterance in utterances:
        gap = round(generator.uniform(*GAP) * SAMPLE_RATE)
        word = trim(synthesise(utterance))
        level = LEVEL_DB + generator.uniform(-LEVEL_SPREAD_DB, LEVEL_SPREAD_DB)
        pieces += [np.zeros(gap), word / rms(word) * amplitude(level)]
        start, position = position + gap, position + gap + len(word)
        voice = f"{utterance.synthesiser} {utterance.voice}"
        spans.append(Span(utterance.word, round(start / SAMPLE_RATE, 3), round(position / SAMPLE_RATE, 3), voice))
    speech = np.concatenate([*pieces, np.zeros(round(GAP[1] * SAMPLE_RATE))])
    return speech + amplitude(LEVEL_DB + NOISE_DB) * pink_noise(len(speech), generator), spans


def main() -> None:
    """Write the recording and its table."""
    parser = argparse.ArgumentParser(description="Write a recording of keywords among other words, and its table.")
    default = Path(__file__).with_name("keywords.flac")
    parser.add_argument("--output", type=Path, default=default, help="recording; the table gets its name with .csv")
    output: Path = parser.parse_args().output
    recording, spans = compose(UTTERANCES, np.random.default_rng(SEED))
    soundfile.write(output, recording, SAMPLE_RATE, subtype="PCM_16")
    with output.with_suffix(".csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(Span._fields)
        table.writerows(spans)
    print(f"{output}: {len(recording) / SAMPLE_RATE:.1f} s, {len(spans)} words")


if __name__ == "__main__":
    main()
