from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kws_stream.errors import KwsError
from models.command import complete


def fail(error: BaseException) -> None:
    raise error


def test_what_ends_well_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[int] = []
    assert complete("models.thing", lambda: done.append(1)) == 0
    assert done == [1]
    assert capsys.readouterr() == ("", "")


def test_what_fails_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert complete("models.thing", lambda: fail(KwsError("no clips; give a folder"))) == 1
    assert capsys.readouterr() == ("", "models.thing: no clips; give a folder\n")


def test_a_reader_that_is_gone_is_no_failure() -> None:
    """More lines than a pipe holds, into one whose other end is closed."""
    code = """
import sys
from models.command import complete
sys.exit(complete("models.thing", lambda: [print("line " * 20) for _ in range(20_000)]))
"""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_ctrl_c_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert complete("models.thing", lambda: fail(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "models.thing: stopped\n"


def test_an_end_without_a_code_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    """Lightning's upon SIGTERM; usage errors have a code of their own."""
    assert complete("models.thing", lambda: fail(SystemExit())) == 143
    assert capsys.readouterr().err == "models.thing: stopped\n"
    with pytest.raises(SystemExit) as usage:
        complete("models.thing", lambda: fail(SystemExit(2)))
    assert usage.value.code == 2


def test_what_nobody_expected_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        complete("models.thing", lambda: 1 / 0)
