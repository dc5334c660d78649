"""A submission that is still being written, and outlives the process that writes it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType

from kws_stream.errors import SubmissionError
from kws_stream.submission import ENCODING, ERRORS, HEADER, format_row, read_submission


class PartialSubmission:
    """The beginning of a submission, beside the file that it is to become.

    Its name holds a digest of what it is made from, so that another model or folder goes on with a file of its own. It
    grows batch by batch and takes its final name when it is complete: that file is there as a whole or not at all.
    """

    def __init__(
        self,
        output: Path,
        origin: str,
        folder: Path,
        names: Sequence[str],
        labels: Collection[str],
        lenient: bool = False,
    ) -> None:
        """Open what an earlier run left, up to the first line that is not whole or no longer true of the clips `names`
        in `folder`; SubmissionError when that cannot be done.

        `lenient`: clips that cannot be read may have a label all the same. What was begun without such labels is good
        for a run that allows them, but not the other way round.
        """
        if output.is_dir():
            raise SubmissionError(f"{output}: is a folder; expected the name of a file")
        self.output = output
        self._folder, self._names, self._labels = folder, names, labels
        strict, own = (output.with_name(f"{output.name}.{origin}{kind}.part") for kind in ("", "-lenient"))
        self.path = own if lenient else strict
        try:
            if lenient and strict.exists() and not own.exists():
                strict.rename(own)
            self._file = self.path.open("a+b", buffering=0)  # nothing waits, to fail once more when it is closed
        except OSError as error:
            raise SubmissionError(f"{self.path}: cannot be written ({error.strerror})") from error
        try:
            self._lock()
            self.done = self._restore()
            """clips that have their label"""
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> PartialSubmission:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    @property
    def remaining(self) -> list[Path]:
        """The clips that have no label yet."""
        return [self._folder / name for name in self._names[self.done :]]

    def append(self, labels: Sequence[str]) -> None:
        """Labels of the next clips; from now on a kill does not lose them."""
        names = self._names[self.done : self.done + len(labels)]
        self._write("".join(format_row(name, label) for name, label in zip(names, labels, strict=True)))
        self.done += len(labels)

    def finish(self) -> dict[str, str]:
        """Check the whole and give it its final name; label by clip. SubmissionError when it is not complete."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            answers = read_submission(self.path, self._names, self._labels)
            self.path.replace(self.output)
        except OSError as error:
            raise SubmissionError(f"{self.output}: cannot be written ({error.strerror})") from error
        return answers

    def _restore(self) -> int:
        """Keep the lines that this run would write again; the number of clips among them."""
        written = os.fstat(self._file.fileno()).st_mtime_ns
        self._file.seek(0)
        text = self._file.read().decode(ENCODING, ERRORS)
        header = ",".join(HEADER) + "\n"
        end, done = (len(header), 0) if text.startswith(header) else (0, 0)
        while end and done < len(self._names):
            start = format_row(self._names[done], "")[:-1]  # up to the comma
            stop = text.find("\n", end + len(start)) + 1
            if not stop or not text.startswith(start, end) or text[end + len(start) : stop - 1] not in self._labels:
                break
            if changed_ns(self._folder / self._names[done]) > written:
                break
            end, done = stop, done + 1
        self._file.truncate(len(text[:end].encode(ENCODING, ERRORS)))
        if not end:
            self._write(header)
        return done

    def _write(self, text: str) -> None:
        try:
            rest = text.encode(ENCODING, ERRORS)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise SubmissionError(f"{self.path}: cannot be written ({error.strerror})") from error

    def _lock(self) -> None:
        """SubmissionError when another process writes here; the system unlocks whatever becomes of this one."""
        try:
            import fcntl
        except ImportError:  # Windows, which does not let a file be renamed that another process has open
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SubmissionError(f"{self.path}: another kws-submit is writing it; let it end first") from error


def origin_of(model: Path, folder: Path) -> str:
    """Sixteen digits that change with the model's bytes and the folder's place."""
    return hashlib.sha256(hashlib.sha256(model.read_bytes()).digest() + os.fsencode(folder.resolve())).hexdigest()[:16]


def changed_ns(path: Path) -> int:
    """When a file, or a link to it, last became another; its own date alone may be older than its coming here."""
    facts = [path.lstat()]
    if path.exists():  # a link may lead nowhere: who reads it will say so
        facts.append(path.stat())
    return max(max(fact.st_mtime_ns, fact.st_ctime_ns) for fact in facts)
