"""Streams of any length with known truth: keywords among sentences, other words and noise, in rooms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.signal import fftconvolve

from kws_stream.errors import KwsError
from kws_stream.truth import Sound, Utterance
from models.dataset import Clip
from models.labels import KEYWORDS
from models.material import Deck, Ground, Material
from models.recordings import SAMPLE_RATE, Samples, read_mono
from models.spoken import Floats, amplitude, faded, rms, spoken_part
from models.stream_config import StreamConfig

Entry = TypeVar("Entry", Utterance, Sound)
TAIL = SAMPLE_RATE * 2 // 5
"""samples of a room's echo that are kept behind what is spoken"""
NEAR = SAMPLE_RATE // 4
"""samples on either side of what is spoken, over which the noise is measured that it has to rise above"""
FAINTEST = 0.1
"""of its own level: how far noise that pauses is taken for quieter; a word in a pause would else be whispered"""
REST = 10.0
"""dB by which noise stays under a voice that talks under a keyword"""


class Voice(NamedTuple):
    """Something spoken, at its level."""

    samples: Floats
    start: int
    stop: int
    """where it is spoken, in samples"""
    level_db: float


@dataclass
class Piece:
    """What comes next in a stream."""

    snr_db: float
    level_db: float
    """of what is spoken"""
    signal: Floats
    """`(n,)` of the voice"""
    under: Floats | None = None
    """`(n,)` of another voice that talks meanwhile"""
    utterances: list[Utterance] = field(default_factory=list)
    """in seconds since the piece began"""
    sounds: list[Sound] = field(default_factory=list)
    spoken: tuple[int, int] = (0, 0)
    """where, in samples"""


class Composer:
    """Pieces one after another over a ground of noise; all the draws of a stream come from one seed."""

    def __init__(self, material: Material, config: StreamConfig) -> None:
        """Raises KwsError for shares of what `material` lacks."""
        for share, things, name in (
            (config.speech_share + config.overlap_share, material.sentences, "sentences"),
            (config.word_share, material.others, "words that are no keywords"),
            (config.room_share, material.responses, "impulse responses of rooms"),
        ):
            if share and not len(things):
                raise KwsError(f"a share of {share:g} of {name} is asked for, and there are none of {material.split}")
        self.material, self.config = material, config
        self._rng = np.random.default_rng(config.seed)
        self._words = Deck(KEYWORDS, self._rng)
        self._clips = {word: Deck(clips, self._rng) for word, clips in self._voices().items()}
        self._others = Deck(material.others, self._rng)
        self._sentences = Deck(material.sentences, self._rng)
        self._ground = Ground(material.noise, self._rng)

    def compose(self) -> Iterator[tuple[Samples, list[Utterance | Sound]]]:
        """The stream, piece by piece: int16 `(n,)`, and what begins in it, in seconds since the stream began."""
        total = self.config.hours * 3600 * SAMPLE_RATE
        at = placed = 0
        gain = 0.0
        due = self._due(placed)
        while at < total or placed < self.config.keywords:
            if placed < self.config.keywords and at >= due:
                piece = self._keyword()
                placed += 1
                due = self._due(placed)
            else:
                piece = self._filler()
            samples, truth, gain = self._mix(piece, at, gain)
            yield samples, truth
            at += len(samples)

    def _due(self, placed: int) -> float:
        """Position from which on the next keyword may come: they are spread over the stream."""
        seconds = self.config.hours * 3600 - 10
        return (placed + self._rng.uniform()) * seconds / max(1, self.config.keywords) * SAMPLE_RATE

    def _mix(self, piece: Piece, at: int, gain: float) -> tuple[Samples, list[Utterance | Sound], float]:
        """A gap and the piece, over noise whose level goes from `gain` to what the piece asks for."""
        gap = round(self._rng.uniform(*self.config.gap) * SAMPLE_RATE)
        count = gap + len(piece.signal)
        noise, stretches = self._ground.take(count)
        start, stop = (gap + place for place in piece.spoken)
        near = noise[max(0, start - NEAR) : stop + NEAR] if stop > start else noise
        wanted = amplitude(piece.level_db - piece.snr_db) / max(FAINTEST, rms(near))
        course = np.full(count, wanted, np.float32)
        course[:gap] = np.geomspace(gain or wanted, wanted, gap)
        noise *= course
        if piece.under is not None:
            noise[gap:] += piece.under
        reached = round(piece.level_db - 20 * np.log10(rms(noise[start:stop])), 1) if stop > start else None
        noise[gap:] += piece.signal
        offset = (at + gap) / SAMPLE_RATE
        truth: list[Utterance | Sound] = [
            replace(_moved(spoken, offset), snr_db=reached) for spoken in piece.utterances
        ]
        truth += [_moved(sound, offset) for sound in piece.sounds]
        truth += [_noise(s.path.name, s.start, s.stop) for s in stretches]
        return np.rint(noise.clip(-1, 1) * 32767).astype(np.int16), truth, wanted

    def _keyword(self) -> Piece:
        word = self._words.draw()
        clip = self._clips[word].draw()
        voice, snr = self._speak(clip), self._uniform(self.config.snr_db)
        if self._rng.random() >= self.config.overlap_share:
            utterance = _spoken(word, clip, voice.start, voice.stop)
            return Piece(snr, voice.level_db, voice.samples, None, [utterance], spoken=(voice.start, voice.stop))
        path = self._sentences.draw()
        under = self._read(path, voice.level_db - snr)
        count = max(len(voice.samples), len(under.samples))
        first = int(self._rng.integers(count - len(voice.samples) + 1))
        signal = np.pad(voice.samples, (first, count - first - len(voice.samples)))
        other = np.pad(under.samples, (0, count - len(under.samples)))
        place = first + voice.start, first + voice.stop
        sound = Sound("speech", path.name, under.start / SAMPLE_RATE, under.stop / SAMPLE_RATE)
        return Piece(snr + REST, voice.level_db, signal, other, [_spoken(word, clip, *place)], [sound], place)

    def _filler(self) -> Piece:
        """A sentence, another word, or noise alone."""
        drawn, snr = self._rng.random(), self._uniform(self.config.snr_db)
        if drawn >= self.config.speech_share + self.config.word_share:
            seconds = self._rng.uniform(2, 8)
            return Piece(snr, self._uniform(self.config.level_db), np.zeros(round(seconds * SAMPLE_RATE), np.float32))
        if drawn < self.config.speech_share:
            other, path = "speech", self._sentences.draw()
            voice = self._read(path, self._uniform(self.config.level_db))
        else:
            clip = self._others.draw()
            other, path, voice = "word", clip.path, self._speak(clip)
        source = path.name if other == "speech" else f"{path.parent.name}/{path.name}"
        sound = Sound(other, source, voice.start / SAMPLE_RATE, voice.stop / SAMPLE_RATE)
        return Piece(snr, voice.level_db, voice.samples, sounds=[sound], spoken=(voice.start, voice.stop))

    def _speak(self, clip: Clip) -> Voice:
        samples = read_mono(clip.path).astype(np.float32) / np.float32(32768)
        start, stop = spoken_part(samples)
        return self._placed(faded(samples), start, stop, self._uniform(self.config.level_db))

    def _read(self, path: Path, level_db: float) -> Voice:
        samples = read_mono(path).astype(np.float32) / np.float32(32768)
        return self._placed(faded(samples), 0, len(samples), level_db)

    def _placed(self, samples: Floats, start: int, stop: int, level_db: float) -> Voice:
        """In a room, perhaps, and at its level between `start` and `stop`."""
        if self._rng.random() < self.config.room_share:
            response = self.material.responses[self._rng.integers(len(self.material.responses))]
            samples = faded(fftconvolve(samples, response)[: len(samples) + TAIL].astype(np.float32))
        return Voice(samples * (amplitude(level_db) / rms(samples[start:stop])), start, stop, level_db)

    def _voices(self) -> dict[str, list[Clip]]:
        """The clips of each keyword by the speakers that take part."""
        keywords = {word: list(clips) for word, clips in self.material.keywords.items()}
        if self.config.speakers is None:
            return keywords
        known = sorted({clip.speaker for clips in keywords.values() for clip in clips})
        chosen = set(self._rng.permutation(known)[: self.config.speakers].tolist())
        keywords = {word: [clip for clip in clips if clip.speaker in chosen] for word, clips in keywords.items()}
        if missing := [word for word, clips in keywords.items() if not clips]:
            raise KwsError(f"--speakers {self.config.speakers}: none of those drawn says {missing}; ask for more")
        return keywords

    def _uniform(self, between: tuple[float, float]) -> float:
        return float(self._rng.uniform(*between))


def _spoken(word: str, clip: Clip, start: int, stop: int) -> Utterance:
    return Utterance(word, start / SAMPLE_RATE, stop / SAMPLE_RATE, speaker=clip.speaker)


def _moved(entry: Entry, seconds: float) -> Entry:
    return replace(entry, onset=round(entry.onset + seconds, 4), end=round(entry.end + seconds, 4))


def _noise(source: str, start: int, stop: int) -> Sound:
    return Sound("noise", source, round(start / SAMPLE_RATE, 4), round(stop / SAMPLE_RATE, 4))
