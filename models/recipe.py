"""The ingredients of a training that a command line may change: `--set NAME=VALUE`."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from inspect import signature
from typing import Any, TypeVar

from kws_stream.errors import KwsError
from models.augment import AugmentConfig
from models.batches import MixtureConfig

Config = TypeVar("Config", AugmentConfig, MixtureConfig)


def read_recipe(settings: Sequence[str]) -> tuple[AugmentConfig, MixtureConfig]:
    """The default recipe with some values changed; KwsError, naming those that exist, for a name or value that is none.

    `settings` are `name=value`: a number, or two with a comma between for a range.
    """
    values: dict[str, object] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        try:
            values[name] = literal_eval(text)
        except (SyntaxError, ValueError) as error:
            raise KwsError(f"--set {setting}: expected NAME=NUMBER, or NAME=LOW,HIGH for a range") from error
    augmentation, mixture = _change(AugmentConfig(), values), _change(MixtureConfig(), values)
    if values:
        known = [field.name for config in (AugmentConfig, MixtureConfig) for field in fields(config)]
        raise KwsError(f"--set {', '.join(values)}: no such value; there are: {' '.join(known)}")
    return augmentation, mixture


def read_network(settings: Sequence[str], build: Callable[..., object]) -> dict[str, object]:
    """Arguments for `build`, which makes a network; KwsError, naming those that it takes, for a name or a kind of value
    that it does not. `settings` are `name=value`: a number, a truth value or a word, like the default."""
    defaults = {
        name: parameter.default
        for name, parameter in signature(build).parameters.items()
        if isinstance(parameter.default, (bool, int, float, str))
    }
    values: dict[str, object] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in defaults:
            raise KwsError(f"--network {setting}: no such argument; there are: {' '.join(defaults) or 'none'}")
        try:
            value = text if isinstance(defaults[name], str) else literal_eval(text)
        except (SyntaxError, ValueError):
            value = text
        if isinstance(defaults[name], float) and type(value) is int:
            value = float(value)
        if type(value) is not type(defaults[name]):
            raise KwsError(f"--network {setting}: expected a value like {defaults[name]!r}")
        values[name] = value
    return values


def _change(config: Config, values: dict[str, object]) -> Config:
    """`config` with those of `values` that it has, which are taken out."""
    changed: dict[str, Any] = {}
    for field in fields(config):
        if field.name in values:
            value, default = values.pop(field.name), getattr(config, field.name)
            pair = isinstance(default, tuple)
            parts = value if isinstance(value, tuple) else (value,)
            if len(parts) != 1 + pair or not all(isinstance(part, (int, float)) for part in parts):
                raise KwsError(f"--set {field.name}={value}: expected {'two numbers' if pair else 'a number'}")
            changed[field.name] = tuple(map(float, parts)) if pair else type(default)(parts[0])
    return replace(config, **changed)
