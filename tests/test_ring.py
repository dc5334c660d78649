from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kws_stream.ring import RingBuffer


def column(start: int, stop: int) -> np.ndarray:
    return np.arange(start, stop, dtype=np.int16)[:, None]


@given(st.lists(st.tuples(st.integers(0, 25), st.integers(1, 25)), max_size=30))
def test_what_is_read_is_what_was_written_and_losses_are_counted(steps: list[tuple[int, int]]) -> None:
    ring = RingBuffer(10)
    written = read = 0
    for write, take in steps:
        ring.write(column(written, written + write))
        written += write
        taken = ring.take(take, timeout=0)
        oldest = max(read, written - 10)
        if written - oldest < take:
            assert taken is None
        else:
            assert taken is not None
            assert taken.lost == oldest - read
            np.testing.assert_array_equal(taken.samples, column(oldest, oldest + take))
            read = oldest + take


def test_a_reader_sleeps_until_enough_was_written() -> None:
    ring = RingBuffer(100)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(ring.take(6, timeout=10)))
    reader.start()
    ring.write(column(0, 3))
    ring.write(column(3, 7))
    reader.join(10)
    np.testing.assert_array_equal(seen[0].samples, column(0, 6))


def test_closing_wakes_the_reader() -> None:
    ring = RingBuffer(100)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(ring.take(6)))
    reader.start()
    ring.close()
    reader.join(10)
    assert seen == [None]
    assert ring.closed


def test_channels_stay_apart() -> None:
    ring = RingBuffer(4, channels=2)
    ring.write(np.array([[1, -1], [2, -2]], np.int16))
    taken = ring.take(2)
    assert taken is not None
    np.testing.assert_array_equal(taken.samples, [[1, -1], [2, -2]])
