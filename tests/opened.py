"""What is opened below a folder, by whichever process and library: Python's own hooks do not see libsndfile."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from types import TracebackType

IN_OPEN, IN_Q_OVERFLOW = 0x20, 0x4000
"""<sys/inotify.h>"""
HEADER = struct.Struct("iIII")
"""`struct inotify_event`: watch, mask, cookie, length of the name that follows"""


class Opened:
    """A context in which the kernel takes down every file and folder that is opened below `roots`; Linux only."""

    def __init__(self, *roots: Path) -> None:
        self.roots = roots

    def __enter__(self) -> Opened:
        libc = ctypes.CDLL(None, use_errno=True)
        self.file = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.folders: dict[int, Path] = {}
        for folder in (path for root in self.roots for path in (root, *root.rglob("*")) if path.is_dir()):
            watch = libc.inotify_add_watch(self.file, os.fsencode(folder), IN_OPEN)
            if watch < 0:
                raise OSError(ctypes.get_errno(), f"inotify cannot watch {folder}")
            self.folders[watch] = folder
        return self

    def take(self) -> list[Path]:
        """What was opened since the last call, in order; a folder that was listed stands for itself."""
        found = []
        while events := self._read():
            while events:
                watch, mask, _, length = HEADER.unpack_from(events)
                if mask & IN_Q_OVERFLOW:
                    raise OverflowError("more was opened than the kernel keeps")
                name = os.fsdecode(events[HEADER.size : HEADER.size + length].rstrip(b"\0"))
                found.append(self.folders[watch] / name)
                events = events[HEADER.size + length :]
        return found

    def _read(self) -> bytes:
        try:
            return os.read(self.file, 65_536)
        except BlockingIOError:
            return b""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.file)
