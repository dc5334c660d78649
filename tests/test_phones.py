"""Sentences become phones."""

from __future__ import annotations

import shutil

import pytest

from kws_stream.errors import KwsError
from models.phones import Inventory, transcribe

ESPEAK = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")


@ESPEAK
def test_words_are_spelt_as_they_sound() -> None:
    """Homophones alike; no stress, length or variant is left in a name."""
    assert transcribe("no") == transcribe("know") == ["n", "oU"]
    assert transcribe("Stop! Left; right?") == [*transcribe("stop"), *transcribe("left"), *transcribe("right")]
    for phone in transcribe("Prisoners were committed to it, quite without reference to its capacity."):
        assert not set(phone) & set("',:;%=|!")
        assert not phone[1:].isdigit()


@ESPEAK
def test_nothing_is_said_in_an_empty_sentence() -> None:
    assert transcribe("") == transcribe(" ... ") == []


def test_without_espeak_ng_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(KwsError, match="install it"):
        transcribe("no")


def test_rare_phones_are_left_out() -> None:
    inventory = Inventory([["a", "b", "a"], ["a", "c", "b"]], rare=2)
    assert inventory.phones == ("a", "b")
    assert len(inventory) == 2
    assert inventory.encode(["c", "b", "a"]) == [2, 1]
