"""`python -m models.compose -o STREAM.flac --split val --data DIR --noise DIR`: a long recording with known truth.

Keywords among sentences, other words and noise, in rooms, and beside the audio STREAM.jsonl, which says where each
keyword is: what `kws-eval stream` takes. The same seed gives the same samples. Streams to choose anything by are made
of train or val.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import soundfile

from kws_stream.errors import AudioError, KwsError
from kws_stream.truth import Utterance, to_line
from models.command import complete
from models.dataset import Clip, Split
from models.material import Material, gather
from models.recordings import SAMPLE_RATE, Samples, read_mono
from models.spoken import Floats, amplitude, faded, rms, spoken_part
from models.stream import Composer
from models.stream_config import StreamConfig

LEVEL_DB = -26.0
"""RMS of the spoken part of each word of `compose`, against full scale"""


def compose(
    clips: Sequence[Clip], noise: Samples, snr_db: float, gap: tuple[float, float], seed: int
) -> tuple[Samples, list[Utterance]]:
    """A recording of `clips` in this order, with `gap` seconds (from, to) between them and in front of the first, over
    a random piece of `noise` `(n,)` -> int16 `(n,)` and where each word is."""
    rng = np.random.default_rng(seed)
    pieces: list[Floats] = []
    words = []
    at = 0
    for clip in clips:
        silence = round(rng.uniform(*gap) * SAMPLE_RATE)
        pieces.append(np.zeros(silence, np.float32))
        at += silence
        signal = read_mono(clip.path).astype(np.float32)
        start, end = spoken_part(signal)
        pieces.append(faded(signal) * (amplitude(LEVEL_DB) / rms(signal[start:end])))
        words.append(Utterance(clip.word, (at + start) / SAMPLE_RATE, (at + end) / SAMPLE_RATE, snr_db, clip.speaker))
        at += len(signal)
    pieces.append(np.zeros(SAMPLE_RATE, np.float32))
    speech = np.concatenate(pieces)
    offset = int(rng.integers(len(noise) - len(speech)))
    ground = noise[offset : offset + len(speech)].astype(np.float32)
    ground *= amplitude(LEVEL_DB - snr_db) / rms(ground)
    return np.rint((speech + ground).clip(-1, 1) * 32767).astype(np.int16), words


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; usage errors exit with 2."""
    parser = argparse.ArgumentParser("python -m models.compose", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="STREAM.flac", help="or .wav")
    parser.add_argument("--split", choices=get_args(Split), default="val", help="(default: %(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="corpus: clips of single words")
    parser.add_argument("--noise", type=Path, required=True, help="folder that holds one of noise for each split")
    parser.add_argument("--speech", type=Path, help="the same with sentences, and transcripts.csv")
    parser.add_argument("--rir", type=Path, help="the same with room impulse responses")
    default = StreamConfig()
    parser.add_argument("--hours", type=float, default=default.hours, help="(default: %(default)s)")
    parser.add_argument("--keywords", type=int, default=default.keywords, help="utterances (default: %(default)s)")
    for name, what in (
        ("snr-db", "level over the noise"),
        ("level-db", "RMS of what is spoken, against full scale"),
        ("gap", "seconds of noise in front of whatever is spoken"),
    ):
        low_high = getattr(default, name.replace("-", "_"))
        parser.add_argument(
            f"--{name}", type=float, nargs=2, default=low_high, metavar=("LOW", "HIGH"), help=f"{what} ({low_high})"
        )
    for name, what in (
        ("speech-share", "of what stands between keywords: sentences; nothing of them without --speech"),
        ("word-share", "of what stands between keywords: single other words"),
        ("overlap-share", "of the keywords: another voice talks meanwhile"),
        ("room-share", "of what is spoken: in a room"),
    ):
        parser.add_argument(
            f"--{name}", type=float, help=f"{what} (default: {getattr(default, name.replace('-', '_'))})"
        )
    parser.add_argument("--speakers", type=int, metavar="N", help="voices of keywords (default: all)")
    parser.add_argument("--seed", type=int, default=default.seed)
    return parser.parse_args(arguments)


def config_of(options: argparse.Namespace) -> StreamConfig:
    """What the options ask for; where folders are not named, there are no shares of what they would hold."""
    values: dict[str, Any] = {name.name: getattr(options, name.name) for name in fields(StreamConfig)}
    lacking = {"speech": ("speech_share", "overlap_share"), "rir": ("room_share",)}
    for folder, shares in lacking.items():
        for share in shares:
            if values[share] is None and getattr(options, folder) is None:
                values[share] = 0.0
    for name in ("snr_db", "level_db", "gap"):
        values[name] = tuple(values[name])
    return StreamConfig(**{name: value for name, value in values.items() if value is not None})


def write_stream(output: Path, material: Material, config: StreamConfig) -> dict[str, Any]:
    """Write audio and truth, piece by piece, both whole or not at all -> what is in them."""
    if output.suffix not in (".flac", ".wav"):
        raise KwsError(f"{output}: expected a name that ends in .flac or .wav")
    truth, part = output.with_suffix(".jsonl"), output.with_name(f"part-{output.name}")
    output.parent.mkdir(parents=True, exist_ok=True)
    composer = Composer(material, config)
    count, samples = Counter[str](), 0
    seconds = Counter[str]()
    lines = [to_line({"split": material.split, **asdict(config)})]
    try:
        with soundfile.SoundFile(part, "w", SAMPLE_RATE, 1, subtype="PCM_16") as file:
            for piece, entries in composer.compose():
                file.write(piece)
                samples += len(piece)
                for entry in entries:
                    lines.append(to_line(entry))
                    kind = "keywords" if isinstance(entry, Utterance) else entry.other
                    count[kind] += 1
                    seconds[kind] += entry.end - entry.onset  # type: ignore[assignment]
        truth.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        part.replace(output)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{output}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)
    minutes = {f"{kind}_minutes": round(value / 60, 1) for kind, value in seconds.items() if kind != "noise"}
    return {"stream": str(output), "hours": round(samples / SAMPLE_RATE / 3600, 3), **count, **minutes}


def command(options: argparse.Namespace) -> None:
    """Write the stream, and say what is in it."""
    config = config_of(options)
    material = gather(options.data, options.noise, options.speech, options.rir, options.split)
    print(json.dumps(write_stream(options.output, material, config)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse_arguments(arguments)
    return complete("models.compose", lambda: command(options))


if __name__ == "__main__":
    sys.exit(main())
