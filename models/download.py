"""Fetch Google Speech Commands: `python -m models.download DIR [--version v0.01|v0.02] [--url URL --sha256 HEX]`.

torchaudio knows where the archives are, their SHA-256 and how to unpack them. But its own download starts from nothing
after a cut, trusts any archive that already lies there, and takes a half unpacked folder as complete. So the transfer
and the last step of the unpacking are done here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from torchaudio.datasets import SPEECHCOMMANDS, speechcommands

from kws_stream.errors import KwsError

# A name that starts with a letter, a digit or "_" cannot lead out of the folder, as that of "..tar.gz" would.
ARCHIVE_ADDRESS = re.compile(r"https?://[!-~]+/(\w[\w.-]*)\.tar\.gz([?#][!-~]*)?", re.ASCII)
SILENCE_LIMIT_S = 30.0  # a server that sends nothing for so long is given up
UNPACKED_RATIO = 1.5  # of the packed size, for the check of free space: recorded speech compresses little
AGAIN = "run the same command again: it resumes"


def official_archive(version: str) -> tuple[str, str]:
    """Address and SHA-256 that torchaudio has for "v0.01" or "v0.02"; KwsError when it has none."""
    # A private name, read only here, so that we need no copy of the table.
    for url, sha256 in getattr(speechcommands, "_CHECKSUMS", {}).items():
        if url.endswith(f"_{version}.tar.gz"):
            return url, sha256
    raise KwsError(f"the installed torchaudio does not know Speech Commands {version}: give --url and --sha256")


def download(folder: Path, url: str, sha256: str) -> Path:
    """Fetch, verify and unpack one archive under `folder`; return the folder that holds the word folders.

    What an earlier call got done is kept: the unpacked folder, the archive, or the bytes received of it.

    Raises:
        KwsError: the transfer stopped, the SHA-256 is another, or the archive cannot be unpacked.
        OSError: `folder` cannot be written.
        ValueError: `url` is not the http(s) address of a `.tar.gz` archive.
    """
    if not (address := ARCHIVE_ADDRESS.fullmatch(url)):
        raise ValueError(f"not the http(s) address of a .tar.gz archive: {url!r}")
    tree = folder / speechcommands.FOLDER_IN_ARCHIVE / address[1]
    if tree.is_dir():
        return tree
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{address[1]}.tar.gz"
    if archive.exists():
        if (found := _sha256(archive)) != sha256:
            raise KwsError(f"{archive}: expected SHA-256 {sha256}, got {found}: remove the file and run again")
    else:
        part = archive.with_name(f"{archive.name}.part")
        _receive(url, part)
        if (found := _sha256(part)) != sha256:
            part.unlink()
            raise KwsError(f"{url}: expected SHA-256 {sha256}, got {found}: what was received is removed")
        os.replace(part, archive)
    _unpack(archive, tree)
    return tree


def _receive(url: str, part: Path) -> None:
    """Append to `part` what it lacks of the archive, or start it again where the server knows no ranges."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    columns = TextColumn(part.stem), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_LIMIT_S) as response:
            start = start if response.status == 206 else 0
            total = None if response.length is None else start + response.length
            if total and shutil.disk_usage(part.parent).free < total - start + UNPACKED_RATIO * total:
                raise KwsError(f"{part.parent}: too little free space for {total / 1e9:.1f} GB and its unpacked files")
            with Progress(*columns, console=Console(stderr=True)) as bar, part.open("ab" if start else "wb") as file:
                task = bar.add_task("", total=total, completed=start)
                while piece := response.read1(1 << 16):  # what there is: `read` loses it when the rest never comes
                    file.write(piece)
                    bar.advance(task, len(piece))
        # A connection that closes early looks to `read` like the end of the file.
        if total is not None and (received := part.stat().st_size) < total:
            raise KwsError(f"{url}: stopped after {received} of {total} bytes: {AGAIN}")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416:  # "range not satisfiable": `part` already holds everything, and its SHA-256 will tell
            raise KwsError(f"{url}: {error.code} {error.reason}: try later, or another --url") from error
    except (OSError, HTTPException) as error:
        raise KwsError(f"{url}: stopped by {getattr(error, 'reason', error)}: {AGAIN}") from error


def _sha256(path: Path) -> str:
    print(f"checking {path.name}", file=sys.stderr)
    digest = hashlib.sha256()  # hashlib.file_digest came with Python 3.11
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _unpack(archive: Path, tree: Path) -> None:
    """Let torchaudio unpack beside `tree`, and rename at the end: where `tree` exists, it is complete."""
    print(f"unpacking {archive.name}", file=sys.stderr)
    unfinished = tree.with_name(f".{tree.name}.part")
    if unfinished.exists():  # left by a run that was killed: torchaudio would keep its cut files
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    try:
        # Given a bare file name that lies in the root, torchaudio has nothing to fetch.
        inside = str(unfinished.relative_to(archive.parent))
        if not len(SPEECHCOMMANDS(archive.parent, archive.name, folder_in_archive=inside, download=True)):
            raise KwsError(f"{archive}: holds no WORD/SPEAKER_nohash_NUMBER.wav")
        os.replace(unfinished / tree.name, tree)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        reason = str(error).partition("\n")[0]  # tarfile lists each format that it tried
        raise KwsError(f"{archive}: cannot be unpacked: {reason}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 failed, 130 interrupted (usage errors exit with 2)."""
    parser = argparse.ArgumentParser(prog="python -m models.download", description="Fetch Google Speech Commands.")
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the archive and its files go")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--version", choices=("v0.01", "v0.02"), default="v0.02", help="default: %(default)s")
    source.add_argument("--url", default="", help="another .tar.gz of the same shape; needs --sha256")
    parser.add_argument("--sha256", metavar="HEX", type=str.lower, default="", help="of the archive at --url")
    chosen = parser.parse_args(arguments)
    own = ARCHIVE_ADDRESS.fullmatch(chosen.url) and re.fullmatch("[0-9a-f]{64}", chosen.sha256)
    if not own and (chosen.url or chosen.sha256):
        parser.error("--url takes the http(s) address of a .tar.gz, together with --sha256 and its 64 digits")
    try:
        tree = download(chosen.folder, *((chosen.url, chosen.sha256) if own else official_archive(chosen.version)))
    except (KwsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"error: interrupted: {AGAIN}", file=sys.stderr)
        return 130
    print(f"python -m models.train lightcnn --data {shlex.quote(str(tree))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
