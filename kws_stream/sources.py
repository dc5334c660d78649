"""Where audio comes from. Every source delivers blocks of mono float32 at the model's sample rate."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from kws_stream.errors import AudioError
from kws_stream.frontend import to_float

if TYPE_CHECKING:
    import soundfile

Floats = NDArray[np.float32]
log = logging.getLogger("kws_stream")


class Block(NamedTuple):
    """A piece of the stream."""

    samples: Floats
    """`(n,)` in [-1, 1)"""

    lost: int = 0
    """samples that were lost in front of it"""


class Source(Protocol):
    """Anything that delivers blocks."""

    name: str
    """how the source is called in messages and events"""

    overruns: int
    """how often samples were lost"""

    lost: int
    """samples lost, at the source's own rate"""

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        """The stream at `sample_rate`, until it ends or `close` is called."""
        ...

    def close(self) -> None:
        """End `blocks`, from any thread."""
        ...


class Converter:
    """A stream of any rate and channel count, downmixed (mean of the channels) and resampled (soxr).

    soxr compensates its own delay, so a sample keeps its time.
    """

    def __init__(self, rate: int, target: int) -> None:
        self._resampler = soxr.ResampleStream(rate, target, 1, dtype="float32") if rate != target else None

    def push(self, samples: NDArray[np.generic], last: bool = False) -> Floats:
        """`(n, channels)` float32 or int16 -> `(m,)` float32; `last` delivers what the filter holds back.

        Raises AudioError for NaN and infinite samples.
        """
        channels = samples.shape[1]
        mono = to_float(samples.ravel()).reshape(-1, channels).mean(axis=1) if channels > 1 else to_float(samples[:, 0])
        if self._resampler is None:
            return mono
        resampled: Floats = self._resampler.resample_chunk(mono, last=last)
        return resampled


@contextmanager
def _opened(file: str | bytes, complaint: str, hint: str = "") -> Iterator[soundfile.SoundFile]:
    """A recording; AudioError, with `complaint` in front and `hint` behind, for what libsndfile finds wrong with it."""
    # Here, for who listens to a microphone reads no files, and would wait for it.
    import soundfile

    try:
        with soundfile.SoundFile(file) as opened:
            yield opened
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{complaint} ({error.error_string.strip(' .')}){hint}") from error


class FileSource:
    """A recording in any format that libsndfile reads: wav, flac, ogg, opus, mp3 ..."""

    overruns = 0
    lost = 0

    def __init__(self, path: str | Path) -> None:
        """Raises AudioError when the file is missing, is no audio, or is empty."""
        self.name = str(path)
        if not Path(path).is_file():
            raise AudioError(f"{path}: no such file")
        # soundfile would fail to encode a name that is no UTF-8; on Windows every name is Unicode.
        self._file = str(path) if os.name == "nt" else os.fsencode(path)
        with _opened(self._file, f"{path}: not readable as audio", "; expected wav, flac, ogg, opus or mp3") as file:
            self.seconds = file.frames / file.samplerate
        if self.seconds == 0:
            raise AudioError(f"{path}: holds no samples")
        self._closed = False

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        """The recording, a second a block. Raises AudioError at damaged samples."""
        with _opened(self._file, f"{self.name}: damaged") as file:
            converter = Converter(file.samplerate, sample_rate)
            while not self._closed:
                samples = file.read(file.samplerate, dtype="float32", always_2d=True)
                last = len(samples) < file.samplerate
                try:
                    block = Block(converter.push(samples, last))
                except AudioError as error:
                    raise AudioError(f"{self.name}: {error}") from error
                yield block
                if last:
                    break

    def close(self) -> None:
        self._closed = True


class StreamSource:
    """Raw little-endian int16, mono, from a pipe: `--stdin`."""

    overruns = 0
    lost = 0

    def __init__(self, stream: BinaryIO, name: str = "stdin", sample_rate: int = 16_000) -> None:
        self.name = name
        self._stream = stream
        self._sample_rate = sample_rate
        self._closed = False

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        """What the pipe delivers, as it comes, until it ends."""
        converter = Converter(self._sample_rate, sample_rate)
        # read1 returns what is there: a live pipe is heard without waiting for a full block.
        read = getattr(self._stream, "read1", self._stream.read)
        rest = b""
        heard = 0
        while not self._closed and (data := read(2 * self._sample_rate)):
            data = rest + data
            whole = len(data) // 2 * 2
            rest = data[whole:]
            heard += whole
            yield Block(converter.push(np.frombuffer(data[:whole], "<i2").astype(np.int16)[:, None]))
        if rest:
            log.warning("%s ended in the middle of a sample; expected 16-bit samples", self.name)
        if not heard and not self._closed:
            raise AudioError(f"{self.name}: holds no samples; expected raw 16-bit mono at {self._sample_rate} Hz")
        yield Block(converter.push(np.empty((0, 1), np.int16), last=True))

    def close(self) -> None:
        self._closed = True


def read_piece(path: str | Path, start: float, seconds: float, sample_rate: int) -> Floats:
    """A piece of a recording `(n,)` at `sample_rate`, mono, zeros where it reaches beyond either end.

    Raises AudioError as FileSource does.
    """
    source = FileSource(path)
    wanted = round(seconds * sample_rate)
    with _opened(source._file, f"{path}: damaged") as file:
        rate = file.samplerate
        first = round(start * rate)
        file.seek(min(max(0, first), file.frames))
        count = max(0, min(first + round(seconds * rate), file.frames) - file.tell())
        samples = file.read(count, dtype="float32", always_2d=True)
    piece = Converter(rate, sample_rate).push(samples, last=True)
    before = min(wanted, round(max(0, -first) * sample_rate / rate))
    piece = np.concatenate((np.zeros(before, np.float32), piece))[:wanted]
    padded: Floats = np.pad(piece, (0, wanted - len(piece)))
    return padded
