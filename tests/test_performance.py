from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.performance import PARTS, main, profile, timed
from kws_stream.gate import SpeechGate
from tests.conftest import EXAMPLE


def test_the_page_has_every_model_in_every_view(tmp_path: Path) -> None:
    main([str(EXAMPLE), "--models", "lightcnn", "compact-tiny", "--rounds", "1", "-o", str(tmp_path)])
    page = (tmp_path / "performance.md").read_text()
    assert f"`python benchmarks/performance.py {EXAMPLE.name} --models lightcnn compact-tiny`" in page
    views = page.split("\n## ")[1:]
    assert [view.splitlines()[0] for view in views] == [
        "Side by side",
        "By part of the runtime",
        "By kind of node",
        "The floor",
    ]
    for view in views:
        assert re.findall(r"^\| (lightcnn|compact-tiny) ", view, re.MULTILINE) == ["lightcnn", "compact-tiny"]
    assert (tmp_path / "performance.png").stat().st_size > 10_000


def test_the_parts_make_up_the_whole(example: NDArray[np.int16]) -> None:
    each = profile("lightcnn", example)
    assert set(PARTS) < set(each.parts)
    assert min(each.parts.values()) > 0
    assert each.parts["network"] == max(each.parts.values())
    assert "Conv" in each.nodes
    assert each.multiplies == 4_037_088


def test_the_runtime_is_left_as_it_was(example: NDArray[np.int16]) -> None:
    before, spent = SpeechGate.push, Counter[str]()
    with timed(SpeechGate, "push", spent, "gate"):
        assert SpeechGate.push is not before
        SpeechGate().push(example[:1600].astype(np.float32) / 32768)
    assert SpeechGate.push is before
    assert spent["gate"] > 0
