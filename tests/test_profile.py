from __future__ import annotations

from pathlib import Path

import pytest

from kws_stream import DecoderConfig, FileSource, KeywordModel, KeywordThreshold, KwsError, Listener, Profile, spot
from kws_stream.profile import decoder_for
from tests.conftest import EXAMPLE
from tests.test_listen import listen

DECODER = DecoderConfig(320, KeywordThreshold(0.7, 0.2, 400), (("no", KeywordThreshold(1 - 1e-9, 0.5, 100)),), 0.25)


@pytest.fixture
def path(tmp_path: Path, model: KeywordModel) -> Path:
    path = tmp_path / "room.toml"
    Profile(model.name, model.fingerprint, DECODER, {"hours": 0.5, "ambient": 'a "b" \\ ü.wav'}).write(path)
    return path


def test_what_is_written_is_read(path: Path, model: KeywordModel) -> None:
    profile = Profile.read(path)
    assert profile.decoder == DECODER
    assert profile.measured == {"hours": 0.5, "ambient": 'a "b" \\ ü.wav'}
    assert decoder_for(model, path) == decoder_for(model, profile) == DECODER
    assert decoder_for(model, None) == model.metadata.decoder


def test_it_reaches_the_listener_and_the_command(path: Path, model: KeywordModel) -> None:
    expected = list(spot(EXAMPLE, model, decoder=DECODER))
    assert "no" not in [event.keyword for event in expected]
    assert list(spot(EXAMPLE, model, profile=path)) == expected
    assert list(Listener(model, FileSource(EXAMPLE), profile=Profile.read(path)).events()) == expected
    lines = listen("--profile", path, EXAMPLE).stdout.splitlines()
    assert [line.split()[1] for line in lines] == [event.keyword for event in expected]


def test_another_model_is_refused(path: Path) -> None:
    result = listen("--profile", path, "--model", "lightcnn", EXAMPLE)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "the profile was made for compact" in result.stderr
    result = listen("--profile", path, "--threshold", "0.5", EXAMPLE)
    assert (result.returncode, "--threshold does not go with it" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("decoder", "is no profile"),
        ("model = 'a'", "is no profile"),
        ("model='a'\nfingerprint='b'\n[decoder]\nsmoothing_ms=3\n[threshold]\nthreshold=7.0", "threshold must lie in"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_profile_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(KwsError, match=message):
        Profile.read(path)
    with pytest.raises(KwsError, match="cannot be written"):
        Profile("a", "b", DECODER).write(tmp_path / "none" / "a.toml")


def test_a_network_is_known_by_what_it_answers(model: KeywordModel) -> None:
    assert model.fingerprint == KeywordModel.load(model.name).fingerprint
    assert model.fingerprint != KeywordModel.load("lightcnn").fingerprint
