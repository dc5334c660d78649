"""The commands. Events and results go to stdout, everything else to stderr; 0 ok, 1 failure, 2 usage."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace

from kws_stream import __version__, zoo
from kws_stream.config import DecoderConfig, GateConfig
from kws_stream.errors import KwsError


def run(name: str, command: Callable[[], int]) -> int:
    """Call `command`; what can go wrong becomes one line on stderr and exit code 1. Ctrl-C is a way to end."""
    logging.basicConfig(format=f"{name}: %(message)s", level=logging.WARNING)
    try:
        return command()
    except KwsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        discard_output()
        return 0


def discard_output() -> None:
    """Whoever read what we print is gone; Python would complain again while flushing at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options that all commands share."""
    result = argparse.ArgumentParser(name, description=description)
    result.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return result


def add_model(to: argparse.ArgumentParser) -> None:
    """`--model`."""
    to.add_argument(
        "--model",
        default=zoo.DEFAULT,
        metavar="M",
        help="path to an .onnx file, or the name of one that ships (default: %(default)s)",
    )


def add_vad(to: argparse.ArgumentParser) -> None:
    """`--vad`."""
    to.add_argument(
        "--vad",
        choices=("0", "1", "2", "3", "off"),
        help="voice activity detection, from 0 (lets most through) to 3; off: the network never rests",
    )


def add_alone(to: argparse.ArgumentParser) -> None:
    """`--alone`."""
    to.add_argument(
        "--alone",
        type=float,
        metavar="W",
        help="a command stands alone: natural log-odds taken from scores behind other speech; 0: off, 2: fewer false "
        "alarms beside speech (default: the model's own)",
    )


def alone_of(alone: float | None, default: DecoderConfig) -> DecoderConfig:
    """The decoder that `--alone` asks for; `default` when it was not given. KwsError below 0."""
    if alone is None:
        return default
    if not alone >= 0:
        raise KwsError(f"--alone: expected 0 (off) or more, got {alone:g}")
    return replace(default, alone=alone)


def gate_of(vad: str | None, default: GateConfig) -> GateConfig:
    """The gate that `--vad` asks for; the model's own when it was not given."""
    if vad is None:
        return default
    return GateConfig(None if vad == "off" else int(vad), default.look_back_ms, default.hangover_ms)
