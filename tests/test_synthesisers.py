"""The synthesisers that are installed, and what their voices can be told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.synthesisers import ENGINES, Manner, Voice, ask, foreign_text
from models.takes import trim

ESPEAK = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")


@pytest.mark.parametrize("name", list(ENGINES))
def test_every_voice_obeys(name: str, tmp_path: Path) -> None:
    """Faster is shorter, and a voice that says it can be told a pitch speaks otherwise when it is."""
    engine = ENGINES[name]
    if not engine.installed:
        pytest.skip(f"needs {name}")
    voices = engine.list_voices()
    assert voices
    assert len({voice.name for voice in voices}) == len(voices)

    def spoken(voice: Voice, manner: Manner) -> np.ndarray:
        path = tmp_path / "word.wav"
        text = foreign_text("house", voice.name.partition("+")[0]) if voice.kind == "foreign" else "house"
        subprocess.run(engine.command(str(text), voice, manner, path), check=True, capture_output=True, timeout=30)
        return soundfile.read(path)[0]

    for voice in voices[:: max(1, len(voices) // 6)]:
        if voice.kind == "foreign" and not foreign_text("house", voice.name.partition("+")[0]):
            continue
        own, fast, high = (spoken(voice, manner) for manner in (Manner(1, 0, 1), Manner(1.5, 0, 1), Manner(1, 3, 1)))
        assert len(trim(fast)) < 0.85 * len(trim(own)), voice
        assert (len(own) != len(high) or not np.allclose(own, high)) == voice.pitched, voice


@ESPEAK
def test_foreign_voices_get_phonemes_that_they_have() -> None:
    assert foreign_text("yes", "de") == "[[j'Es]]"
    assert foreign_text("up", "de") is None  # German has no vowel of "up", and the rest of the word would be lost
    assert foreign_text("off", "es") == "[['Of]]"
    assert foreign_text("bird", "vi") == "[[b'@rd]]"  # with its own phonemes it would lose the vowel
    said = ask("espeak-ng", "-q", "--ipa", "-v", "es", "[['Of]]")
    assert "f" in said
