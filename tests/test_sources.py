from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from kws_stream import AudioError, FileSource
from kws_stream.sources import Converter, StreamSource

RATE = 16_000


def read(source: FileSource | StreamSource, rate: int = RATE) -> NDArray[np.float32]:
    return np.concatenate([block.samples for block in source.blocks(rate)])


@pytest.mark.parametrize(("suffix", "tolerance"), [("wav", 0), ("flac", 0), ("ogg", 0.02), ("mp3", 0.02)])
def test_formats(suffix: str, tolerance: float, tmp_path: Path, example: NDArray[np.int16]) -> None:
    path = tmp_path / f"words.{suffix}"
    soundfile.write(path, example, RATE)
    signal = read(FileSource(path))[: len(example)]
    difference = signal - example / np.float32(32768)
    assert np.sqrt(np.mean(difference**2)) <= tolerance


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channel_count_keeps_the_time_of_a_sound(rate: int, channels: int, tmp_path: Path) -> None:
    """A 500 Hz tone for half a second, beginning at one second."""
    seconds = np.arange(3 * rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 500 * seconds) * ((seconds >= 1) & (seconds < 1.5))
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.repeat(tone[:, None], channels, 1), rate)
    signal = read(FileSource(path))
    assert len(signal) == pytest.approx(3 * RATE, abs=2)
    at = np.arange(len(signal)) / RATE
    expected = 0.5 * np.sin(2 * np.pi * 500 * at) * ((at >= 1) & (at < 1.5))
    assert np.sqrt(np.mean((signal - expected) ** 2)) < 0.01


def test_channels_are_averaged() -> None:
    stereo = np.array([[1000, 3000], [-1000, 1000]], np.int16)
    np.testing.assert_allclose(Converter(RATE, RATE).push(stereo), [2000 / 32768, 0], atol=1e-7)


def test_a_recording_of_whole_seconds_ends_properly(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "two.wav", np.ones(2 * 44_100) / 2, 44_100)
    assert len(read(FileSource(tmp_path / "two.wav"))) == 2 * RATE


def wav(samples: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


BAD_FILES = {
    "text": (b"this is no audio", "not readable as audio"),
    "empty file": (b"", "not readable as audio"),
    "truncated header": (wav(np.zeros(100, np.float32))[:30], "not readable as audio|holds no samples"),
    "no samples": (wav(np.zeros(0, np.float32)), "holds no samples"),
    "NaN": (wav(np.array([0, np.nan] * 9000, np.float32)), "NaN"),
    "infinity": (wav(np.array([0, np.inf] * 9000, np.float32)), "NaN or infinity"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused_by_name(case: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[case]
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=message) as caught:
        read(FileSource(path))
    assert str(caught.value).startswith(str(path))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        FileSource(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="no such file"):
        FileSource(tmp_path)


def test_a_pipe_delivers_every_sample(example: NDArray[np.int16]) -> None:
    signal = read(StreamSource(io.BytesIO(example.tobytes())))
    np.testing.assert_array_equal(signal, example / np.float32(32768))


class Dribble(io.BytesIO):
    """A pipe that hands over an odd number of bytes at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read(777)


def test_a_pipe_may_cut_samples_in_two(example: NDArray[np.int16]) -> None:
    signal = read(StreamSource(Dribble(example[:9000].tobytes())))
    np.testing.assert_array_equal(signal, example[:9000] / np.float32(32768))


def test_a_pipe_that_ends_in_a_sample_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert len(read(StreamSource(io.BytesIO(b"\0" * 7)))) == 3
    assert "in the middle of a sample" in caplog.text


def test_an_empty_pipe_is_an_error() -> None:
    with pytest.raises(AudioError, match="stdin: holds no samples; expected raw 16-bit"):
        read(StreamSource(io.BytesIO(b"")))


def test_closing_ends_the_blocks(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(10 * RATE), RATE)
    source = FileSource(tmp_path / "long.wav")
    blocks = source.blocks(RATE)
    next(blocks)
    source.close()
    assert len(list(blocks)) == 0
