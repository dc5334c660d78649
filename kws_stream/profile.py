"""Thresholds for one room: what `kws-calibrate` found out, in a small TOML file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kws_stream.config import DecoderConfig, KeywordThreshold
from kws_stream.errors import KwsError
from kws_stream.model import KeywordModel

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Profile:
    """A decoder for one network in one place."""

    model: str
    """its name, for a reader"""
    fingerprint: str
    """of the network that the thresholds hold for"""
    decoder: DecoderConfig
    measured: Mapping[str, float | int | str] = field(default_factory=dict)
    """what they were found by, and how sure that is"""

    def write(self, path: Path) -> None:
        """Raises KwsError when it cannot be written."""
        # JSON's strings and numbers are TOML's, too.
        lines = [f"model = {json.dumps(self.model)}", f"fingerprint = {json.dumps(self.fingerprint)}"]
        decoder: dict[str, Any] = {name: getattr(self.decoder, name) for name in _PLAIN}
        tables = {"decoder": decoder, "threshold": asdict(self.decoder.default)}
        tables |= {f"keyword.{json.dumps(word)}": asdict(values) for word, values in self.decoder.keywords}
        tables["measured"] = dict(self.measured)
        for name, values in tables.items():
            lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        try:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise KwsError(f"{path}: cannot be written ({error.strerror})") from error

    @classmethod
    def read(cls, path: str | Path) -> Profile:
        """Raises KwsError for a file that is none that `write` wrote."""
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            keywords = tuple((word, KeywordThreshold(**own)) for word, own in values.get("keyword", {}).items())
            decoder = DecoderConfig(
                **values["decoder"], default=KeywordThreshold(**values["threshold"]), keywords=keywords
            )
            return cls(values["model"], values["fingerprint"], decoder, values.get("measured", {}))
        except OSError as error:
            raise KwsError(f"{path}: cannot be read ({error.strerror}); expected a profile of kws-calibrate") from error
        except (ValueError, TypeError, KeyError) as error:
            raise KwsError(
                f"{path}: is no profile ({type(error).__name__}: {error}); expected what kws-calibrate writes"
            ) from error

    def decoder_of(self, model: KeywordModel) -> DecoderConfig:
        """The decoder; KwsError when it was found for another network."""
        if model.fingerprint != self.fingerprint:
            raise KwsError(
                f"the profile was made for {self.model} ({self.fingerprint}), and the model is {model.name} "
                f"({model.fingerprint}); run kws-calibrate with this one"
            )
        return self.decoder


_PLAIN = ("smoothing_ms", "alone")
"""fields of DecoderConfig that are no thresholds"""


def decoder_for(model: KeywordModel, profile: str | Path | Profile | None) -> DecoderConfig:
    """The decoder of a profile, or of a file that holds one; without either the model's own. Raises KwsError."""
    if profile is None:
        return model.metadata.decoder
    loaded = profile if isinstance(profile, Profile) else Profile.read(profile)
    return loaded.decoder_of(model)
