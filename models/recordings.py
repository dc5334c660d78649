"""Recordings in memory as int16: clips of one second in rows, long recordings end to end."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from kws_stream.errors import AudioError
from kws_stream.gate import VoiceActivity
from models.dataset import Clip, fingerprint, list_audio

Samples = NDArray[np.int16]
T = TypeVar("T")
SAMPLE_RATE = 16_000
CLIP = 16_000
"""Samples of a clip: one second, as in Speech Commands."""
ROW = 18_560
"""Samples of a training row: a clip and 160 ms more, so that the network can be shown a second from any place in it."""


@dataclass(frozen=True)
class Clips:
    """Clips of one label."""

    samples: Samples
    """`(clips, CLIP)`, shorter ones followed by zeros"""

    lengths: NDArray[np.int64]
    """samples that each had"""

    weights: NDArray[np.float64]
    """probability of each to be drawn; sums to 1"""


@dataclass(frozen=True)
class Recordings:
    """Long recordings, end to end."""

    samples: Samples
    """`(n,)`"""

    starts: NDArray[np.int64]
    """where a slice of `ROW` samples may begin"""

    def draw(self, rng: np.random.Generator, count: int) -> Samples:
        """Random slices `(count, ROW)`."""
        starts = rng.choice(self.starts, count)
        return self.samples[starts[:, None] + np.arange(ROW)]


def shown(things: Sequence[T], doing: str) -> Iterable[T]:
    """`things`, with a progress bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    return track(things, doing, console=console, transient=True, disable=not console.is_terminal)


def read_mono(path: Path) -> Samples:
    """A 16 kHz recording as int16 `(n,)`, its first channel; AudioError for an unreadable file or another rate."""
    try:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: not readable as audio ({error.error_string})") from error
    if rate != SAMPLE_RATE:
        raise AudioError(f"{path}: expected {SAMPLE_RATE} Hz, got {rate} Hz; resample the corpus first")
    return samples[:, 0]


def load_clips(clips: Sequence[Clip], coded_share: float = 0.0, seed: int = 0, cache: Path | None = None) -> Clips:
    """Decode clips into rows. Words that have few clips are drawn more often than their number, but not as often as
    those that have many: the weight of a word is the square root of its clips.

    `coded_share` of the clips are passed through Opus, because a corpus in which only the negatives were ever
    compressed teaches a network to hear the codec. Opus is slow, so the result is kept in the folder `cache`.
    """
    _, index, counts = np.unique([clip.word for clip in clips], return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(counts[index])
    kept = cache / f"clips-{fingerprint(clips)[:16]}-{coded_share}-{seed}.npz" if cache else None
    if kept and kept.exists():
        with np.load(kept) as arrays:
            return Clips(arrays["samples"], arrays["lengths"], weights / weights.sum())
    samples, lengths = _decode(clips, coded_share, np.random.default_rng(seed))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part.npz")
        np.savez(part, samples=samples, lengths=lengths)
        part.replace(kept)
    return Clips(samples, lengths, weights / weights.sum())


def merge(parts: Sequence[Clips], shares: Sequence[float]) -> Clips:
    """Clips of several folders as one, each drawn from in proportion to its share."""
    samples = np.concatenate([part.samples for part in parts])
    lengths = np.concatenate([part.lengths for part in parts])
    weights = np.concatenate([part.weights * share for part, share in zip(parts, shares, strict=True)])
    return Clips(samples, lengths, weights / weights.sum())


def _decode(clips: Sequence[Clip], coded_share: float, rng: np.random.Generator) -> tuple[Samples, NDArray[np.int64]]:
    samples = np.zeros((len(clips), CLIP), np.int16)
    lengths = np.zeros(len(clips), np.int64)
    for row, clip in enumerate(shown(clips, f"reading {len(clips)} clips")):
        signal = read_mono(clip.path)
        if rng.random() < coded_share and len(signal):
            signal = opus_coded(signal, level=rng.uniform(0.85, 0.97))
        middle = max(0, len(signal) - CLIP) // 2
        signal = signal[middle : middle + CLIP]
        samples[row, : len(signal)] = signal
        lengths[row] = len(signal)
    return samples, lengths


def opus_coded(samples: Samples, level: float) -> Samples:
    """`samples` after Opus and back; libsndfile's compression level 0 is 256 kbit/s a channel, 1 is 6 kbit/s."""
    coded = io.BytesIO()
    soundfile.write(coded, samples, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=level)
    coded.seek(0)
    decoded, _ = soundfile.read(coded, dtype="int16")
    return decoded[: len(samples)]


def load_recordings(paths: Iterable[Path]) -> Recordings:
    """Decode long recordings; slices may begin anywhere."""
    signals = [read_mono(path) for path in shown(list(paths), "reading recordings")]
    samples = np.concatenate([*signals, np.zeros(ROW, np.int16)])
    return Recordings(samples, np.arange(0, max(1, len(samples) - 2 * ROW), SAMPLE_RATE // 20))


def list_sentences(folder: Path, transcripts: Path, keywords: Iterable[str]) -> list[Path]:
    """Recordings of `folder` in which none of `keywords` is spoken.

    `transcripts` is a CSV with the columns `path` and `keywords_spoken`; a sentence without a row, or with `?` there,
    is left out.
    """
    spoken = read_transcripts(transcripts, "keywords_spoken")
    forbidden = {"?", *keywords}
    return [path for path in list_audio(folder) if not forbidden & set(spoken.get(path.name, "?").split())]


def read_transcripts(table: Path, column: str) -> dict[str, str]:
    """File name -> what stands in `column` of a CSV with the column `path`; AudioError for a table without them."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            return {Path(row["path"]).name: row[column] for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise AudioError(f"{table}: expected a CSV with the columns path and {column} ({error})") from error


def load_speech(sentences: Iterable[Path]) -> tuple[Recordings, Recordings]:
    """Recordings of sentences -> (slices with speech, slices of pauses).

    A slice counts as speech when a third of it is voiced, as a pause when none of it is; the slices
    between are neither, since a pause in speech is silence and no unknown word.
    """
    recordings = load_recordings(sentences)
    activity = VoiceActivity(mode=2)
    voiced = np.array(activity.push(recordings.samples))
    running = np.concatenate(([0], np.cumsum(voiced)))
    long = ROW // activity.frame
    share = (running[long:] - running[:-long]) / long
    starts = np.arange(len(share)) * activity.frame
    return (
        Recordings(recordings.samples, starts[share > 1 / 3]),
        Recordings(recordings.samples, starts[share == 0]),
    )


def load_impulse_responses(paths: Iterable[Path]) -> NDArray[np.float32]:
    """`(responses, CLIP)` float32 of unit energy, each beginning at its direct sound."""
    rows = []
    for path in paths:
        response = read_mono(path).astype(np.float32)
        direct = int(np.abs(response).argmax())
        response = response[direct : direct + CLIP]
        rows.append(np.pad(response, (0, CLIP - len(response))) / np.linalg.norm(response))
    return np.stack(rows)
