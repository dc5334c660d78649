"""pocketsphinx (github.com/cmusphinx/pocketsphinx) waiting for one phrase, without a language model."""

from __future__ import annotations

import sys

from peer import Push, measure


def load() -> Push:
    """Blocks of 64 ms."""
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, keyphrase="oh mighty computer", kws_threshold=1e-20, loglevel="FATAL")
    decoder.start_utt()
    return lambda block: decoder.process_raw(block.tobytes(), False, False)


if __name__ == "__main__":
    measure(load, 1024, sys.argv[1])
