"""`models.download` against a real HTTP server on the loopback: nothing here leaves the machine."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torchaudio.datasets import SPEECHCOMMANDS

from models import download
from tests.archive_server import Server, pack, serve

# torchaudio unpacks without naming a filter; the archives are verified before.
pytestmark = pytest.mark.filterwarnings("ignore:Python 3.14 will, by default, filter extracted tar archives")

NAME = "speech_commands_test"
WORDS = ("yes", "no")
LARGEST_FILE_BYTES = 1_000_000
"""between the size of the archive and that of the file of silence in it"""


def wav_bytes(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16000, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    """Name -> bytes, in the shape of the official archive."""
    noise = np.random.default_rng(0)
    clips = {
        f"{word}/{speaker:08x}_nohash_0.wav": wav_bytes(noise.uniform(-0.5, 0.5, 8000).astype(np.float32))
        for word in WORDS
        for speaker in range(3)
    }
    return {
        f"{WORDS[0]}/00000000_nohash_0.wav": clips[f"{WORDS[0]}/00000000_nohash_0.wav"],
        "_background_noise_/x.wav": wav_bytes(np.zeros(LARGEST_FILE_BYTES, dtype=np.float32)),
        **clips,
        "validation_list.txt": f"{WORDS[0]}/00000001_nohash_0.wav\n".encode(),
        "testing_list.txt": f"{WORDS[1]}/00000002_nohash_0.wav\n".encode(),
    }


@pytest.fixture(scope="module")
def archive(contents: dict[str, bytes]) -> bytes:
    return pack(contents)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files_under(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def server(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "SILENCE_LIMIT_S", 10.0)
    with serve(archive, f"/data/{NAME}.tar.gz") as state:
        yield state


@pytest.fixture
def fetch(server: Server, tmp_path: Path) -> Callable[..., int]:
    """Run the command on the server's archive; the exit code."""

    def run(checksum: str = "") -> int:
        return download.main([str(tmp_path), "--url", server.url, "--sha256", checksum or sha256(server.body)])

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "SpeechCommands" / NAME


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / f"{NAME}.tar.gz.part"


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The error: the line that the command ends with on stderr."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err.splitlines()[-1]


def test_downloads_and_unpacks(fetch, server, tmp_path, tree, contents, archive, capsys):
    assert fetch() == 0
    assert files_under(tree) == contents
    assert (tmp_path / f"{NAME}.tar.gz").read_bytes() == archive
    assert sorted(os.listdir(tmp_path)) == ["SpeechCommands", f"{NAME}.tar.gz"]
    assert os.listdir(tree.parent) == [NAME]
    assert capsys.readouterr().out == f"python -m models.train lightcnn --data {tree}\n"
    assert server.ranges == [None]
    clips = SPEECHCOMMANDS(tmp_path, f"{NAME}.tar.gz", subset="training")
    assert len(clips) == 4


def test_resumes_after_a_cut(fetch, server, tree, part, contents, archive, capsys):
    server.cut_after = len(archive) // 2
    assert fetch() == 1
    message = last_line(capsys)
    assert f"stopped after {server.cut_after} of {len(archive)} bytes" in message
    assert "run the same command again" in message
    assert part.read_bytes() == archive[: server.cut_after]
    assert not tree.exists()

    received, server.cut_after = server.cut_after, None
    assert fetch() == 0
    assert server.ranges == [None, f"bytes={received}-"]
    assert server.sent == [received, len(archive) - received]
    assert files_under(tree) == contents
    assert not part.exists()


def test_gives_up_a_silent_server(fetch, server, part, archive, monkeypatch, capsys):
    monkeypatch.setattr(download, "SILENCE_LIMIT_S", 0.2)
    server.cut_after = 1000
    server.silent_s = 30.0
    assert fetch() == 1
    assert "timed out: run the same command again" in last_line(capsys)
    assert part.read_bytes() == archive[:1000]


def test_resumes_with_nothing_missing(fetch, server, tree, part, contents, archive):
    part.write_bytes(archive)
    assert fetch() == 0
    assert server.ranges == [f"bytes={len(archive)}-"]
    assert server.sent == [0]
    assert files_under(tree) == contents


def test_starts_again_on_a_server_without_ranges(fetch, server, tree, contents, archive):
    server.knows_ranges = False
    server.cut_after = 1000
    assert fetch() == 1
    server.cut_after = None
    assert fetch() == 0
    assert server.ranges == [None, "bytes=1000-"]
    assert server.sent == [1000, len(archive)]
    assert files_under(tree) == contents


def test_wrong_checksum(fetch, server, tmp_path, capsys):
    assert fetch("0" * 64) == 1
    message = last_line(capsys)
    assert "0" * 64 in message
    assert sha256(server.body) in message
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_archive_already_there_is_not_trusted(fetch, server, tmp_path, tree, capsys):
    there = tmp_path / f"{NAME}.tar.gz"
    there.write_bytes(b"something of the user's")
    assert fetch() == 1
    assert "remove the file" in last_line(capsys)
    assert there.read_bytes() == b"something of the user's"
    assert not tree.exists()
    assert server.ranges == []


def test_second_run_downloads_nothing(fetch, server, tree, contents, capsys):
    assert fetch() == 0
    first = capsys.readouterr().out
    assert fetch() == 0
    assert capsys.readouterr().out == first
    assert len(server.ranges) == 1
    assert files_under(tree) == contents


def test_unpacking_that_fails_is_done_again(fetch, server, tree, contents, archive, capsys):
    resource = pytest.importorskip("resource")
    assert len(archive) < LARGEST_FILE_BYTES < max(map(len, contents.values()))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, before[1]))  # as if the disk were full
    try:
        assert fetch() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be unpacked" in last_line(capsys)
    assert os.listdir(tree.parent) == []

    assert fetch() == 0
    assert files_under(tree) == contents
    assert len(server.ranges) == 1


def test_unpacking_that_was_killed_is_done_again(fetch, tree, contents):
    left = tree.parent / f".{NAME}.part" / NAME
    (left / "yes").mkdir(parents=True)
    (left / "yes" / "00000000_nohash_0.wav").write_bytes(b"RIFF")
    assert fetch() == 0
    assert files_under(tree) == contents
    assert os.listdir(tree.parent) == [NAME]


@pytest.mark.parametrize("damage", ["cut", "no gzip", "no clips"])
def test_an_archive_that_cannot_be_used(damage, fetch, server, tree, archive, capsys):
    server.body = {
        "cut": archive[: len(archive) // 2],
        "no gzip": b"<html>log in first</html>",
        "no clips": pack({"README.md": b"nothing to hear"}),
    }[damage]
    assert fetch() == 1
    assert last_line(capsys).startswith("error: ")
    assert not tree.exists()


def test_http_error(fetch, server, capsys):
    server.status = 404
    assert fetch() == 1
    assert "404 Not Found" in last_line(capsys)


def test_too_little_space(fetch, server, part, capsys):
    server.promised = 10**18
    assert fetch() == 1
    assert "too little free space" in last_line(capsys)
    assert not part.exists()


def test_connection_refused_as_a_user_sees_it(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed_soon:
        url = f"http://127.0.0.1:{closed_soon.server_port}/{NAME}.tar.gz"
    command = [sys.executable, "-m", "models.download", str(tmp_path / "new"), "--url", url, "--sha256", "0" * 64]
    root = Path(download.__file__).parents[1]
    environment = {**os.environ, "no_proxy": "*"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {url}: ")
    assert "refused" in line
    assert line.endswith("run the same command again: it resumes")


def test_folder_that_is_a_file(fetch, server, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert download.main([str(tmp_path / "file"), "--url", server.url, "--sha256", "0" * 64]) == 1
    assert last_line(capsys).startswith("error: ")
