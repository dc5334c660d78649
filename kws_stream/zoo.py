"""The models that ship, each checked against its SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kws_stream.errors import ModelError

FOLDER = Path(__file__).with_name("zoo")
CHECKSUMS = FOLDER / "SHA256SUMS"
DEFAULT = "compact"
"""The model that is meant where none is named."""


def names() -> list[str]:
    """Names of the models that ship."""
    return sorted(_checksums())


def find(model: str | Path) -> Path:
    """Path of a model file, or of one that ships when no such file exists.

    Raises ModelError when there is neither, or when a shipped file is not the one that was released.
    """
    path = Path(model)
    if path.is_file():
        return path
    name = path.name.removesuffix(".onnx")
    if path.name != str(model) or name not in (sums := _checksums()):
        raise ModelError(f"no model {model}: expected a path to an .onnx file, or one of: {', '.join(names())}")
    shipped = FOLDER / f"{name}.onnx"
    if not shipped.is_file() or hashlib.sha256(shipped.read_bytes()).hexdigest() != sums[name]:
        raise ModelError(f"{shipped}: missing or not the released file; reinstall kws-stream")
    return shipped


def _checksums() -> dict[str, str]:
    """Name -> hex digest, from a file that `sha256sum --check` reads, too."""
    rows = (line.split() for line in CHECKSUMS.read_text().splitlines())
    return {name.removesuffix(".onnx"): digest for digest, name in rows}
