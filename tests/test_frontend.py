from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchaudio.functional import melscale_fbanks

from kws_stream import AudioError, FrontendConfig
from kws_stream.frontend import StreamingLogMel, log_mel, mel_filters, to_float
from models.frontend import Frontend

CONFIGS = [
    FrontendConfig(),
    FrontendConfig(mel_bins=80, low_hz=60, high_hz=8000, window_ms=32, hop_ms=20, mean=-4, std=3),
    FrontendConfig(kind="log_spectrogram", window_ms=20),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_torchaudio_computes_the_same_features(config: FrontendConfig, speech: NDArray[np.int16]) -> None:
    signal = to_float(speech)
    oracle = Frontend(config)(torch.from_numpy(signal)[None])[0, 0].numpy()
    features = log_mel(signal, config)
    assert features.shape == (config.frames(len(signal)), config.bins)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, oracle, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS[:2])
def test_mel_filters_are_torchaudios(config: FrontendConfig) -> None:
    oracle = melscale_fbanks(
        config.window // 2 + 1, config.low_hz, config.high_hz, config.mel_bins, config.sample_rate, norm=None
    )
    np.testing.assert_allclose(mel_filters(config), oracle.numpy(), atol=1e-5)


def test_a_frame_depends_on_its_own_window_alone(speech: NDArray[np.int16]) -> None:
    signal = to_float(speech)
    config = FrontendConfig()
    changed = signal.copy()
    changed[10 * config.hop + config.window :] = 0
    np.testing.assert_array_equal(log_mel(signal, config)[:11], log_mel(changed, config)[:11])
    assert not np.allclose(log_mel(signal, config)[11], log_mel(changed, config)[11])


def test_less_than_a_window_gives_no_frame() -> None:
    assert log_mel(np.zeros(399, np.float32)).shape == (0, 40)
    assert StreamingLogMel().push(np.zeros(0, np.float32)).shape == (0, 40)


def test_int16_and_float_are_the_same_samples() -> None:
    integers = np.array([-32768, -1, 0, 1, 32767], np.int16)
    np.testing.assert_array_equal(to_float(integers), integers / np.float32(32768))
    np.testing.assert_array_equal(to_float(integers / 32768), to_float(integers))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((4, 2), np.float32), r"shape \(4, 2\); downmix"),
        (np.zeros(4, np.int32), "int32"),
        (np.array([0, np.nan, 0], np.float32), "NaN"),
        (np.array([0, np.inf, 0], np.float32), "infinity"),
    ],
)
def test_what_is_no_audio_is_refused(samples: NDArray[Any], message: str) -> None:
    with pytest.raises(AudioError, match=message):
        to_float(samples)


@pytest.mark.skipif(sys.platform != "linux", reason="threads and their processor time are read from /proc")
def test_long_pieces_start_no_threads() -> None:
    """Beside a stream, threads of BLAS would burn more than they save."""
    script = """
import numpy as np
from pathlib import Path
from kws_stream.frontend import log_mel
def ticks():
    stats = [path.read_text().rpartition(")")[2].split() for path in Path("/proc/self/task").glob("*/stat")]
    spent = [int(stat[11]) + int(stat[12]) for stat in stats]  # in user and in system mode
    return sum(spent) - max(spent)
before = ticks()
for _ in range(30):
    log_mel(np.zeros(160_000, np.float32))
print(ticks() - before)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert int(result.stdout) <= 2, "hundredths of a second, of all threads but one"
