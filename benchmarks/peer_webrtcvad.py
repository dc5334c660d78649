"""webrtcvad by itself: voice activity without keywords, the least that anything costs that listens all day."""

from __future__ import annotations

import sys

from peer import RATE, Push, measure


def load() -> Push:
    """Blocks of 30 ms, the longest that it takes."""
    import webrtcvad

    detector = webrtcvad.Vad(2)
    return lambda block: detector.is_speech(block.tobytes(), RATE)


if __name__ == "__main__":
    measure(load, 480, sys.argv[1])
