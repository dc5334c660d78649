"""Realtime streaming keyword spotting."""

from kws_stream.config import DecoderConfig, FrontendConfig, GateConfig, KeywordThreshold
from kws_stream.errors import AudioError, DeviceError, KwsError, ModelError
from kws_stream.events import KeywordEvent
from kws_stream.listener import Listener, spot
from kws_stream.microphone import MicrophoneSource
from kws_stream.model import KeywordModel
from kws_stream.pool import SpotterPool
from kws_stream.profile import Profile
from kws_stream.recorder import EventRecorder
from kws_stream.sources import FileSource
from kws_stream.spotter import KeywordSpotter
from kws_stream.tap import AudioPiece

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "AudioPiece",
    "DecoderConfig",
    "DeviceError",
    "EventRecorder",
    "FileSource",
    "FrontendConfig",
    "GateConfig",
    "KeywordEvent",
    "KeywordModel",
    "KeywordSpotter",
    "KeywordThreshold",
    "KwsError",
    "Listener",
    "MicrophoneSource",
    "ModelError",
    "Profile",
    "SpotterPool",
    "spot",
]
