from __future__ import annotations

import json

import numpy as np
import pytest

from kws_stream import DecoderConfig, KeywordThreshold, ModelError
from kws_stream.metadata import ModelMetadata
from tests.foreign import metadata


def test_what_is_written_is_read() -> None:
    written = metadata(
        decoder=DecoderConfig(160, KeywordThreshold(0.8, 0.1, 300), (("no", KeywordThreshold(0.9, 0.2, 100)),), 1.5),
        training={"seed": 3},
    )
    read = ModelMetadata.from_props(written.to_props())
    np.testing.assert_array_equal(read.golden.samples, written.golden.samples)
    assert read.golden.outputs == written.golden.outputs
    assert all(getattr(read, name) == getattr(written, name) for name in vars(written) if name != "golden")


def test_silence_and_unknown_are_no_keywords() -> None:
    assert metadata().keywords == ("yes", "no")


def test_missing_properties_are_named() -> None:
    props = metadata().to_props()
    del props["kws.labels"], props["kws.golden"]
    with pytest.raises(ModelError, match="no kws-stream metadata for labels, golden; expected"):
        ModelMetadata.from_props(props)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "99", "format 99, this version reads 1 and 2; update"),
        ("frontend", "{", "damaged"),
        ("frontend", json.dumps({"kind": "mfcc"}), "log_mel or log_spectrogram"),
        ("decoder", "{}", "damaged"),
        ("golden", json.dumps({"samples": "not base64!", "outputs": []}), "damaged"),
        ("labels", "3", "damaged"),
    ],
)
def test_damaged_properties_are_refused(key: str, value: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ModelMetadata.from_props(metadata().to_props() | {f"kws.{key}": value})
