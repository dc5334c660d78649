from __future__ import annotations

from models.registry import find_architecture, trainable_count


def test_the_parameters_by_hand() -> None:
    """The stem's 16 kernels of 4 x 8, 64 of 2 x 9 over its maps, 96 units with two biases a gate, the classifier; a
    scale and a shift for each channel of the convolutions."""
    stem = 4 * 8 * 16 + 2 * 16
    join = 2 * 9 * 16 * 64 + 2 * 64
    recurrent = 3 * 96 * (64 + 96 + 2)
    found = find_architecture("gru-stream")
    assert trainable_count(found.build(found.frames, 40, 12)) == stem + join + recurrent + 96 * 12 + 12
