"""The microphone, through PortAudio. sounddevice is imported when a device is first needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws_stream.errors import DeviceError
from kws_stream.ring import RingBuffer
from kws_stream.sources import Block, Converter

RING_SECONDS = 5
"""How far the reader may fall behind before samples are lost."""

BLOCK_MS = 40
PATIENCE_SECONDS = 3.0
"""A device that delivers nothing for so long is gone."""


class Device(NamedTuple):
    """An input device."""

    number: int
    name: str
    channels: int
    sample_rate: int
    default: bool


def list_devices() -> list[Device]:
    """Every device that can record. DeviceError when PortAudio is missing."""
    sounddevice = _sounddevice()
    default = sounddevice.default.device[0]
    return [
        Device(index, entry["name"], entry["max_input_channels"], int(entry["default_samplerate"]), index == default)
        for index, entry in enumerate(sounddevice.query_devices())
        if entry["max_input_channels"] > 0
    ]


class MicrophoneSource:
    """A recording device, by name, part of a name, or number; None is the system's default.

    The device's thread only copies into a ring; `blocks` reads from it on the consumer's thread.
    """

    def __init__(self, device: str | int | None = None) -> None:
        """Raises DeviceError when PortAudio is missing, or when there is no such device or none at all."""
        self._sounddevice = _sounddevice()
        found = _find(list_devices(), int(device) if isinstance(device, str) and device.isdecimal() else device)
        self.name = found.name
        self.overruns = 0
        self.lost = 0
        self._device = found
        self._ring: RingBuffer | None = None
        self._closed = False

    def blocks(self, sample_rate: int) -> Iterator[Block]:
        """What the device hears, until `close`. Raises DeviceError when it cannot be opened or stops delivering."""
        rate, channels = self._format(sample_rate)
        ring = self._ring = RingBuffer(RING_SECONDS * rate, channels)
        if self._closed:
            return
        block = rate * BLOCK_MS // 1000
        converter = Converter(rate, sample_rate)
        try:
            with self._sounddevice.InputStream(
                samplerate=rate,
                channels=channels,
                dtype="int16",
                blocksize=block,
                device=self._device.number,
                callback=self._copy,
            ):
                while (taken := ring.take(block, PATIENCE_SECONDS)) is not None:
                    if taken.lost:
                        self.overruns += 1
                        self.lost += taken.lost
                        converter = Converter(rate, sample_rate)
                    yield Block(converter.push(taken.samples), round(taken.lost * sample_rate / rate))
        except self._sounddevice.PortAudioError as error:
            raise DeviceError(f"cannot record from {self.name}: {error.args[0]}") from error
        if not ring.closed:
            raise DeviceError(f"{self.name} delivers no samples any more; was it unplugged?")

    def close(self) -> None:
        self._closed = True
        if self._ring is not None:
            self._ring.close()

    def _format(self, sample_rate: int) -> tuple[int, int]:
        """Rate and channels to record with: the wanted ones where the device has them, else its own."""
        try:
            self._sounddevice.check_input_settings(self._device.number, 1, "int16", samplerate=sample_rate)
        except self._sounddevice.PortAudioError:
            return self._device.sample_rate, min(2, self._device.channels)
        return sample_rate, 1

    def _copy(self, samples: NDArray[np.int16], frames: int, time: Any, status: Any) -> None:
        """Runs on the device's thread: copies, and counts what PortAudio says was lost before it came here."""
        assert self._ring is not None
        if status.input_overflow:
            self.overruns += 1
        self._ring.write(samples)


def _find(devices: list[Device], wanted: str | int | None) -> Device:
    """The device that `wanted` names; the default, or else the first, for None."""
    if not devices:
        raise DeviceError("no microphone: the system has no recording device; plug one in, or replay a file")
    if wanted is None:
        return next((device for device in devices if device.default), devices[0])
    if isinstance(wanted, int):
        matching = [device for device in devices if device.number == wanted]
    else:
        exact = [device for device in devices if device.name.lower() == wanted.lower()]
        matching = exact or [device for device in devices if wanted.lower() in device.name.lower()]
    if len(matching) == 1:
        return matching[0]
    known = ", ".join(f"{device.number} {device.name!r}" for device in matching or devices)
    raise DeviceError(f"{'several devices match' if matching else 'no device'} {wanted!r}; there are: {known}")


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise DeviceError(
            "PortAudio is missing; install it with your system's packages (Debian, Ubuntu: apt install libportaudio2)"
        ) from error
    return sounddevice
