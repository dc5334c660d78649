"""`kws-listen`: keyword events from the microphone, from files, or from a pipe."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from kws_stream import zoo
from kws_stream.cli import add_alone, add_model, add_vad, alone_of, gate_of, parser, run
from kws_stream.config import DecoderConfig, KeywordThreshold
from kws_stream.errors import DeviceError, KwsError
from kws_stream.events import KeywordEvent
from kws_stream.listener import Listener, check_length
from kws_stream.microphone import MicrophoneSource, list_devices
from kws_stream.model import KeywordModel
from kws_stream.profile import decoder_for
from kws_stream.recorder import LIMIT_MB, EventRecorder
from kws_stream.sources import FileSource, Source, StreamSource


def probability(text: str) -> float:
    """An argument in (0, 1]."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a probability in (0, 1], got {text}")
    return value


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    command = parser("kws-listen", "Spot keywords in recordings, or live when no file is named.")
    command.add_argument("files", nargs="*", metavar="FILE", help="recordings (wav, flac, ogg, opus, mp3)")
    add_model(command)
    command.add_argument("--json", action="store_true", help="one JSON object an event")
    command.add_argument("--threshold", type=probability, metavar="P", help="score from which on any keyword fires")
    command.add_argument("--profile", metavar="FILE", help="thresholds for this room, from kws-calibrate")
    add_vad(command)
    add_alone(command)
    add_saving(command)
    command.add_argument("--exec", metavar="CMD", help="shell command for each event; KWS_KEYWORD, KWS_SCORE, KWS_TIME")
    source = command.add_mutually_exclusive_group()
    source.add_argument("--stdin", action="store_true", help="raw 16-bit little-endian mono at 16 kHz from a pipe")
    source.add_argument("--device", metavar="NAME|ID", help="recording device, by number or (part of) its name")
    source.add_argument("--list-devices", action="store_true", help="print the recording devices and exit")
    source.add_argument("--list-models", action="store_true", help="print the models that ship and exit")
    options = command.parse_args(arguments)
    if options.files and (options.stdin or options.device):
        command.error("files are replayed, so neither --stdin nor --device goes with them")
    if options.profile and options.threshold:
        command.error("--profile holds the thresholds, so --threshold does not go with it")
    if options.save_near_misses and not options.save_events:
        command.error("--save-near-misses needs a folder to save to: --save-events DIR")
    return options


def add_saving(to: argparse.ArgumentParser) -> None:
    """`--save-events` and what belongs to it."""
    saving = to.add_argument_group("keeping what triggered")
    saving.add_argument("--save-events", type=Path, metavar="DIR", help="write the audio around each event, and a JSON")
    saving.add_argument(
        "--save-near-misses", type=probability, metavar="P", help="and around what scored P or more and did not fire"
    )
    saving.add_argument(
        "--save-limit",
        type=float,
        default=LIMIT_MB,
        metavar="MB",
        help="the oldest are removed beyond so much (default: %(default)s)",
    )
    saving.add_argument(
        "--pre-roll", type=float, default=2.0, metavar="S", help="seconds before (default: %(default)s)"
    )
    saving.add_argument(
        "--post-roll", type=float, default=1.0, metavar="S", help="seconds after (default: %(default)s)"
    )


def saving_of(options: argparse.Namespace, model: KeywordModel) -> dict[str, Any]:
    """What a listener needs for it."""
    if not options.save_events:
        return {}
    return {
        "on_audio": EventRecorder(options.save_events, model, limit_mb=options.save_limit),
        "pre_roll": options.pre_roll,
        "post_roll": options.post_roll,
        "near_miss": options.save_near_misses,
    }


def name_source(listener_options: dict[str, Any], name: str) -> None:
    """Tell the recorder, if there is one, what it records."""
    if recorder := listener_options.get("on_audio"):
        recorder.source = name


class Output:
    """Writes events to stdout as they come."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._json = options.json
        self._exec = options.exec
        self._children: list[subprocess.Popen[Any]] = []
        self.source = ""
        self.count = 0

    def __call__(self, event: KeywordEvent) -> None:
        self.count += 1
        fields = {"keyword": event.keyword, "score": round(event.score, 3), "time": round(event.time, 3)}
        if self._json:
            line = json.dumps({**fields, "source": self.source})
        else:
            line = f"{event.time:9.3f}  {event.keyword:<10} {event.score:.2f}  {self.source}"
        print(line, flush=True)
        if self._exec:
            environment = {f"KWS_{name.upper()}": str(value) for name, value in fields.items()}
            self._children = [child for child in self._children if child.poll() is None]
            # Standard output is for events alone.
            self._children.append(
                subprocess.Popen(self._exec, shell=True, env={**os.environ, **environment}, stdout=sys.stderr)
            )

    def close(self) -> None:
        """Wait for the commands that still run."""
        for child in self._children:
            child.wait()


def decoder_of(threshold: float | None, default: DecoderConfig) -> DecoderConfig:
    """The decoder that `--threshold` asks for: it replaces the threshold of every keyword."""
    if threshold is None:
        return default
    values = default.default
    release = min(values.release, threshold / 2)
    return replace(default, default=KeywordThreshold(threshold, release, values.refractory_ms), keywords=())


def replay(files: Sequence[str], listener_options: dict[str, Any], output: Output) -> int:
    """All files, one after the other; one that cannot be read does not stop the rest."""
    code = 0
    for path in files:
        output.source = path
        name_source(listener_options, path)
        try:
            listener = Listener(source=FileSource(path), **listener_options)
            for event in listener.events():
                output(event)
            check_length(listener)
        except KwsError as error:
            print(f"kws-listen: {error}", file=sys.stderr)
            code = 1
    return code


def listen(source: Source, listener_options: dict[str, Any], output: Output) -> int:
    """Live, until Ctrl-C or the end of the pipe; then the summary."""
    output.source = source.name
    name_source(listener_options, source.name)
    listener = Listener(source=source, **listener_options)
    try:
        with live_view(listener):
            for event in listener.events():
                output(event)
    except KeyboardInterrupt:
        pass  # the way to end
    finally:
        source.close()
        print(
            f"kws-listen: {listener.spotter.seconds:.1f} s heard, {output.count} events, "
            f"{source.overruns} overruns ({source.lost} samples lost)",
            file=sys.stderr,
        )
    return 0


def live_view(listener: Listener) -> AbstractContextManager[object]:
    """A status line where stderr is a terminal; elsewhere a message."""
    if sys.stderr.isatty():
        from kws_stream.cli import live  # rich takes a while to import

        return live.live_view(listener)
    print(f"kws-listen: listening to {listener.source.name}; Ctrl-C ends", file=sys.stderr, flush=True)
    return nullcontext()


def print_devices() -> int:
    """A line each, the default one marked."""
    devices = list_devices()
    if not devices:
        raise DeviceError("the system has no recording device")
    for device in devices:
        mark = "*" if device.default else " "
        print(f"{mark} {device.number:3} {device.name}  ({device.channels} channels, {device.sample_rate} Hz)")
    return 0


def print_models() -> int:
    """A line each, the default one marked: size, parameters, accuracy on validation clips, licence."""
    names = zoo.names()
    for name in names:
        metadata = KeywordModel.load(name).metadata
        size = zoo.find(name).stat().st_size / 1e6
        parameters = metadata.training.get("parameters")
        accuracy = metadata.accuracy.get("validation", {}).get("accuracy")
        print(
            f"{'*' if name == zoo.DEFAULT else ' '} {name:<{max(map(len, names))}}  {size:5.2f} MB"
            f"  {'-' if parameters is None else f'{parameters:,}':>9} parameters"
            f"  validation accuracy {'-' if accuracy is None else f'{accuracy:.3f}':>5}  {metadata.licence}"
        )
    return 0


def command(options: argparse.Namespace) -> int:
    """What the options ask for."""
    if options.list_devices:
        return print_devices()
    if options.list_models:
        return print_models()
    model = KeywordModel.load(options.model)
    listener_options = {
        "model": model,
        "gate": gate_of(options.vad, model.metadata.gate),
        "decoder": decoder_of(options.threshold, alone_of(options.alone, decoder_for(model, options.profile))),
        **saving_of(options, model),
    }
    output = Output(options)
    try:
        if options.files:
            return replay(options.files, listener_options, output)
        source = StreamSource(sys.stdin.buffer) if options.stdin else MicrophoneSource(options.device)
        return listen(source, listener_options, output)
    finally:
        output.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return run("kws-listen", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
