"""What a sentence sounds like, phone by phone, as espeak-ng <https://github.com/espeak-ng/espeak-ng> would say it."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence

from kws_stream.errors import KwsError
from models.synthesisers import ask

VOICE = "en-us"
RARE = 100
"""A phone that is spoken less often is left out: nothing could be learnt of it."""
SIGNS = re.compile(r"[',:;%=|!]|(?<=.)\d+$")
"""stress, length, joints, and numbers of variants, in espeak-ng's names of phones"""


def transcribe(sentence: str) -> list[str]:
    """Phones of an English sentence, without stress.

    Raises KwsError when espeak-ng is not installed, or cannot be run.
    """
    if shutil.which("espeak-ng") is None:
        raise KwsError("espeak-ng is not installed, and transcribes the sentences; install it (apt install espeak-ng)")
    spoken = ask("espeak-ng", "-v", VOICE, "-q", "-x", "--sep=_", "--stdin", said=sentence)
    names = (SIGNS.sub("", name) for name in re.split(r"[_\s]+", spoken))
    return [name for name in names if name]


class Inventory:
    """The phones of a language that are spoken often enough, numbered from 1, the most frequent first: 0 is none."""

    def __init__(self, transcripts: Iterable[Sequence[str]], rare: int = RARE) -> None:
        counts = Counter(phone for phones in transcripts for phone in phones)
        self.phones = tuple(phone for phone, count in counts.most_common() if count >= rare)
        self._numbers = {phone: number for number, phone in enumerate(self.phones, 1)}

    def __len__(self) -> int:
        return len(self.phones)

    def encode(self, phones: Iterable[str]) -> list[int]:
        """Their numbers, without those that are rare."""
        return [self._numbers[phone] for phone in phones if phone in self._numbers]
