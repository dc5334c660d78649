"""Speech synthesisers that are installed: which voices each has, and how it is told to speak.

espeak-ng <https://github.com/espeak-ng/espeak-ng>, flite <http://cmuflite.org>, festival
<https://www.cstr.ed.ac.uk/projects/festival>: programs that are run, so that none of them is a dependency.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kws_stream.errors import KwsError

TIMEOUT_S = 30.0
"""for one word or sentence, which takes less than one second"""

ACCENTS = "en-us en-gb en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-029 en-us-nyc"
FOREIGN = "cmn cs de el es fi fr-fr hi id it nl pt-br ru sv tr vi"
"""languages of espeak-ng that say English phonemes with their own sounds, as a speaker with that accent does"""

WHISPERS = "caleb whisper whisperf"
ROBOTS = (
    "anikaRobot announcer Demonic kaukovalta RicishayMax RicishayMax2 RicishayMax3 robosoft robosoft2 robosoft3 "
    "robosoft4 robosoft5 robosoft6 robosoft7 robosoft8 Tweaky UniRobot zac"
)
"""variants of espeak-ng with a long echo, or with formants where no human has them"""
TRIALS = "fast"
"""a variant of espeak-ng for a trial of its speed: its timbre is the plain one"""

FLITE_PITCH = {"kal16": 105.0, "awb": 135.0, "slt": 180.0, "rms": None}
"""Hz; rms speaks at its own pitch, whatever flite is told. kal is kal16 at 8 kHz, awb_time tells the time only."""
FESTIVAL_PITCH_HZ = 105.0
"""of the diphone voices"""

COLOURED = {"3:": "@r", "3": "@r", "O@": "Or", "A@": "Ar", "e@": "er", "i@": "ir", "U@": "ur"}
SHADED = {"@L": "@l", "0": "O", "O2": "O", "0#": "O", "I2": "I", "I#": "I", "a#": "@", "t2": "t", "t#": "t", "d#": "d"}
PLAINER = re.compile("|".join(re.escape(name) for name in sorted({**COLOURED, **SHADED}, key=len, reverse=True)))
"""espeak-ng's names for sounds of American English that other languages lack but can spell out"""

VOWEL = "[aeiouAEIOUV03@&]"
"""what the names of vowels are made of"""


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice of one synthesiser."""

    engine: str
    name: str
    """as the synthesiser calls it"""

    speaker: str
    """who is heard: the same for all accents of a variant, and for a person whose voice two synthesisers have"""

    kind: str
    """what shares the clips: `accent`, `foreign`, or the engine"""

    pitched: bool = True
    """whether the synthesiser can be told a pitch"""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a voice says a word."""

    rate: float
    """pace relative to its own"""

    pitch: float
    """semitones above its own"""

    melody: float
    """rise and fall of the pitch relative to its own"""


@dataclass(frozen=True)
class Engine:
    """A synthesiser: how its voices are found, and the command that speaks."""

    name: str
    list_voices: Callable[[], list[Voice]]

    command: Callable[[str, Voice, Manner, Path], list[str]]
    """(text, voice, manner, path of the WAV file) -> what to run"""

    @property
    def installed(self) -> bool:
        """Whether it is found on PATH."""
        return shutil.which(self.name) is not None

    def version(self) -> str:
        """The first number with a dot that it tells about itself."""
        told = ask(self.name, "--version")
        found = re.search(r"\d+\.[\w.]+", told)
        return found[0].rstrip(".") if found else told.strip()


def ask(*command: str, said: str = "") -> str:
    """What a synthesiser prints, to which `said` is said on stdin; KwsError when it cannot be run."""
    try:
        result = subprocess.run(command, input=said, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KwsError(f"{command[0]} cannot be run: {error}") from error
    return result.stdout


def _espeak_voices() -> list[Voice]:
    table = ask("espeak-ng", "--voices=variant")
    files = re.findall(r" !v/(.*?) *(?:\(.*)?$", table, re.MULTILINE)  # a name may hold spaces; more languages follow
    variants = ["", *sorted(set(files).difference(f"{WHISPERS} {ROBOTS} {TRIALS}".split()))]
    return [
        Voice("espeak-ng", f"{language}+{variant}" if variant else language, variant or "plain", kind)
        for kind, languages in (("accent", ACCENTS), ("foreign", FOREIGN))
        for language in languages.split()
        for variant in variants
    ]


def _espeak_command(text: str, voice: Voice, manner: Manner, path: Path) -> list[str]:
    pace = str(round(175 * manner.rate))  # words a minute
    pitch = str(min(99, max(0, round(50 + 4.4 * manner.pitch))))  # measured: 11 semitones from 50 to 99
    command = ["espeak-ng", "-v", voice.name, "-s", pace, "-p", pitch, "-w", str(path)]
    if voice.kind == "foreign":  # the markup around phonemes would be read aloud
        return [*command, text]
    return [*command, "-m", f'<prosody range="{round(100 * manner.melody)}%">{text}</prosody>']


@cache
def foreign_text(word: str, language: str) -> str | None:
    """The phonemes of American English for a voice of `language`, or None when it lacks one of them.

    At a phoneme that a language lacks espeak-ng leaves out the rest, so a last one that all have tells whether it did;
    or it leaves out a vowel, so these are counted.
    """
    phonemes = ask("espeak-ng", "-q", "-x", "-v", "en-us", "--", word).strip()
    plainer = PLAINER.sub(lambda found: {**COLOURED, **SHADED}[found[0]], phonemes)
    for text in dict.fromkeys((phonemes, plainer)):
        echo = ask("espeak-ng", "-q", "-x", "-v", language, "--", f"[[{text}_:m]]")
        complete = re.search(r"_:m[\d_|]*\s*$", echo)
        if text and complete and len(re.findall(VOWEL, echo)) >= len(re.findall(VOWEL, text)):
            return f"[[{text}]]"
    return None


def _flite_voices() -> list[Voice]:
    names = ask("flite", "-lv").partition(":")[2].split()
    return [
        Voice("flite", name, name.removesuffix("16"), "flite", pitched=FLITE_PITCH[name] is not None)
        for name in sorted(names)
        if name in FLITE_PITCH
    ]


def _flite_command(text: str, voice: Voice, manner: Manner, path: Path) -> list[str]:
    command = ["flite", "-voice", voice.name, "--setf", f"duration_stretch={1 / manner.rate:.3f}"]
    if hertz := FLITE_PITCH[voice.name]:
        command += ["--setf", f"int_f0_target_mean={hertz * 2 ** (manner.pitch / 12):.1f}"]
        command += ["--setf", f"int_f0_target_stddev={14 * manner.melody:.1f}"]
    return [*command, "-t", text, "-o", str(path)]


def _festival_voices() -> list[Voice]:
    names = re.findall(r"\w+", ask("festival", "-b", "(print (voice.list))"))
    found = [re.fullmatch(r"(kal|ked)_diphone|cmu_us_([a-z]+)_arctic_hts", name) for name in sorted(names)]
    return [Voice("festival", m[0], m[1] or m[2], "festival", pitched=m[1] is not None) for m in found if m]


def _festival_command(text: str, voice: Voice, manner: Manner, path: Path) -> list[str]:
    if voice.pitched:
        hertz, spread = FESTIVAL_PITCH_HZ * 2 ** (manner.pitch / 12), 14 * manner.melody
        own = "(model_f0_mean 170) (model_f0_std 34)"  # of the corpus that the model of its melody was made from
        told = (
            f"(Parameter.set 'Duration_Stretch {1 / manner.rate:.3f}) "
            f"(set! int_lr_params '((target_f0_mean {hertz:.1f}) (target_f0_std {spread:.1f}) {own}))"
        )
    else:
        told = f'(set! hts_engine_params (append hts_engine_params \'(("-r" {manner.rate:.3f}))))'
    return [
        "festival",
        "-b",
        f'(begin (voice_{voice.name}) {told} (utt.save.wave (utt.synth (Utterance Text "{text}")) "{path}" \'riff))',
    ]


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("espeak-ng", _espeak_voices, _espeak_command),
        Engine("flite", _flite_voices, _flite_command),
        Engine("festival", _festival_voices, _festival_command),
    )
}
