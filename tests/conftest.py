"""Real recordings and the shipped model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from kws_stream import KeywordModel
from models.operating_point import stitch
from tests.flat import CLIPS, RATE

EXAMPLE = Path(__file__).parents[1] / "examples" / "keywords.flac"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real recordings."""
    folder = os.environ.get("KWS_DATA")
    if not folder:
        pytest.skip("needs real recordings: set KWS_DATA to their folder (CONTRIBUTING.md says how it is laid out)")
    return Path(folder)


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder of weights of others."""
    folder = os.environ.get("KWS_WEIGHTS")
    if not folder:
        pytest.skip("needs weights of others: set KWS_WEIGHTS to their folder (CONTRIBUTING.md says what lies in it)")
    return Path(folder)


@pytest.fixture(scope="session")
def model() -> KeywordModel:
    return KeywordModel.load()


@pytest.fixture(scope="session")
def example() -> NDArray[np.int16]:
    """The bundled recording: the ten keywords among other words."""
    samples, _ = soundfile.read(EXAMPLE, dtype="int16")
    return samples


@pytest.fixture(scope="session")
def keywords(example: NDArray[np.int16]) -> NDArray[np.int16]:
    """Ten keywords over noise: of ten real speakers where KWS_DATA is set, else the bundled recording."""
    folder = os.environ.get("KWS_DATA")
    if not folder:
        return example
    (recording,) = stitch(Path(folder, "speech_commands"), Path(folder, "noise", "val"), "val", count=1)
    return recording[0]


@pytest.fixture(scope="session")
def speech() -> NDArray[np.int16]:
    """Twelve seconds: running speech of a real reader where KWS_DATA is set, else of the bundled recording."""
    folder = os.environ.get("KWS_DATA")
    path = Path(folder, "speech/test/LJ003-0001.flac") if folder else EXAMPLE
    samples, _ = soundfile.read(path, dtype="int16", frames=12 * 16_000)
    return samples


@pytest.fixture(scope="session")
def seconds(example: NDArray[np.int16]) -> NDArray[np.int16]:
    """`(CLIPS, RATE)`: the bundled recording in overlapping seconds."""
    step = (len(example) - RATE) // CLIPS
    return np.stack([example[number * step :][:RATE] for number in range(CLIPS)])


@pytest.fixture
def folder(tmp_path: Path, seconds: NDArray[np.int16]) -> Path:
    """clip_0.wav to clip_95.wav, and what is no clip."""
    root = tmp_path / "clips"
    (root / "more.wav").mkdir(parents=True)
    for number, samples in enumerate(seconds):
        soundfile.write(root / f"clip_{number}.wav", samples, RATE)
    for name in ("notes.txt", "._clip_1.wav"):
        (root / name).write_text("no clip")
    return root


@pytest.fixture
def names(folder: Path) -> list[str]:
    return [f"clip_{number}.wav" for number in range(CLIPS)]
