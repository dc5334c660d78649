"""openWakeWord (github.com/dscripka/openWakeWord), one wake word, in onnxruntime."""

from __future__ import annotations

import sys

from peer import Push, measure


def load() -> Push:
    """Blocks of 80 ms, as it recommends."""
    from openwakeword.model import Model

    model = Model(wakeword_models=["alexa"], inference_framework="onnx")
    return model.predict  # type: ignore[no-any-return]


if __name__ == "__main__":
    measure(load, 1280, sys.argv[1])
