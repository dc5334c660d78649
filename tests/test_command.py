from __future__ import annotations

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
