"""What `models.download` may be asked for, and where the official archives lie; nothing is downloaded."""

from __future__ import annotations

import re

import pytest
from torchaudio.datasets import speechcommands

from kws_stream.errors import KwsError
from models import download


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["DIR", "--version", "v0.03"],
        ["DIR", "--url", "http://127.0.0.1/a.tar.gz"],
        ["DIR", "--sha256", "0" * 64],
        ["DIR", "--url", "http://127.0.0.1/a.tar.gz", "--sha256", "0"],
        ["DIR", "--url", "http://127.0.0.1/a.zip", "--sha256", "0" * 64],
        ["DIR", "--url", "http://127.0.0.1/...tar.gz", "--sha256", "0" * 64],
        ["DIR", "--url", "file:///a.tar.gz", "--sha256", "0" * 64],
        ["DIR", "--url", "http://127.0.0.1/a.tar.gz", "--sha256", "0" * 64, "--version", "v0.01"],
    ],
)
def test_usage_errors(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        download.main(arguments)
    assert stopped.value.code == 2
    assert list(tmp_path.iterdir()) == []


def test_bad_address_from_python(tmp_path):
    with pytest.raises(ValueError, match=r"\.tar\.gz"):
        download.download(tmp_path, "http://127.0.0.1/..tar.gz", "0" * 64)


@pytest.mark.parametrize("version", ["v0.01", "v0.02"])
def test_official_archives_are_those_of_torchaudio(version):
    url, checksum = download.official_archive(version)
    assert speechcommands._CHECKSUMS[url] == checksum
    assert re.fullmatch("[0-9a-f]{64}", checksum)
    # The folder must be the one that torchaudio itself looks in for this version.
    address = download.ARCHIVE_ADDRESS.fullmatch(url)
    assert address
    assert address[1] == f"speech_commands_{version}"


def test_unknown_official_version():
    with pytest.raises(KwsError, match="does not know"):
        download.official_archive("v9")
