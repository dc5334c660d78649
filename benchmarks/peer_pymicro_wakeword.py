"""pymicro-wakeword (github.com/OHF-Voice/pymicro-wakeword), one of the wake words that come with it."""

from __future__ import annotations

import sys

from peer import Push, measure


def load() -> Push:
    """Blocks of 10 ms, of which it makes a row of features each."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    word, features = MicroWakeWord.from_builtin(Model.OKAY_NABU), MicroWakeWordFeatures()
    return lambda block: [word.process_streaming(row) for row in features.process_streaming(block.tobytes())]


if __name__ == "__main__":
    measure(load, 160, sys.argv[1])
