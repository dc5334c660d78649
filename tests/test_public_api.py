import kws_stream


def test_the_public_names() -> None:
    assert sorted(kws_stream.__all__) == [
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
    assert all(hasattr(kws_stream, name) for name in kws_stream.__all__)
