"""A real HTTP server on the loopback that gives one archive, as well or as badly as a test wants."""

from __future__ import annotations

import io
import re
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def pack(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"./{name}")  # the official archives write "./" too
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@dataclass
class Server:
    """What the server gives, how it behaves, and what it saw."""

    body: bytes
    url: str = ""
    knows_ranges: bool = True
    cut_after: int | None = None
    """bytes of an answer after which the connection is closed"""
    silent_s: float = 0.0
    """how long the connection stays open when the answer is sent"""
    promised: int | None = None
    """a Content-Length that is not true"""
    status: int = 200
    ranges: list[str | None] = field(default_factory=list)
    """the Range header of each request"""
    sent: list[int] = field(default_factory=list)
    """bytes of the body that each request got"""
    over: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers["Range"]
        self.ranges.append(asked)
        start = 0
        status = self.status
        if asked and self.knows_ranges:
            match = re.fullmatch(r"bytes=(\d+)-", asked)
            assert match
            start = int(match[1])
            status = 206 if start < len(self.body) else 416
        rest = self.body[start:] if status in (200, 206) else b""
        handler.send_response(status)
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        handler.send_header("Content-Length", str(self.promised or len(rest)))
        handler.end_headers()
        rest = rest[: self.cut_after]
        self.sent.append(len(rest))
        handler.wfile.write(rest)
        self.over.wait(self.silent_s)


@contextmanager
def serve(body: bytes, path: str) -> Iterator[Server]:
    """A server of `body`, whatever path is asked for; its `url` ends with `path`."""
    state = Server(body)

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *arguments: object) -> None:
            """Keep stderr for the command under test."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}{path}"
        yield state
        state.over.set()
        http.shutdown()
        thread.join(timeout=10)
