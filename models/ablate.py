"""`python -m models.ablate ARCH --seeds 0 1 2 ... -o FOLDER`: what each ingredient of the recipe is worth.

Trains the architecture once with everything and once without each ingredient, with every seed, and judges on validation
data: accuracy on clips, and false alarms on sentences without keywords. All arguments that this command does not know
go to `models.train`. A run that is complete is not repeated; the table is written anew after each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kws_stream.errors import KwsError
from models import augment
from models.alarms import find_alarms
from models.augment import AugmentConfig
from models.batches import load_noise, load_validation, to_tensor
from models.calibration import fit_temperature, measure_calibration
from models.command import complete
from models.corpora import Sources
from models.labels import LABELS
from models.markdown import table
from models.options import parse_arguments as parse_training
from models.recipe import read_network, read_recipe
from models.recordings import read_mono
from models.registry import find_architecture
from models.task import KeywordTask, load_checkpoint
from models.train import train

ALL = "everything"
WITHOUT: Mapping[str, tuple[str, ...]] = {
    ALL: (),
    "teachers": ("--teachers",),
    "phones of sentences": ("--weights", ""),
    "synthetic voices": (),
    "words cut from sentences": (),
    "words of another language": (),
    "running speech": ("--set", "speech_share=0"),
    "halves and reversed words": ("--set", "parts_share=0", "reversed_share=0"),
    "both of these": ("--set", "speech_share=0", "parts_share=0", "reversed_share=0"),
    "noise": ("--set", "noise_share=0"),
    "rooms": ("--set", "reverb_share=0"),
    "speed": ("--set", "speed=0"),
    "codec": ("--set", "coded_share=0"),
    "spectral tilt": ("--set", "tilt_db=0"),
    "vocal tracts": ("--set", "vocal_tract=0"),
    "SpecAugment": ("--set", "time_mask=0", "bin_mask=0"),
    "unmasked examples": ("--set", "time_mask=12", "bin_mask=5"),
    "attention": ("--network", "attentive=False"),
    "label smoothing": ("--smoothing", "0"),
    "averaged weights": ("--no-averaging",),
}
"""ingredient -> arguments that leave it out; those that were not in, or that the architecture has not, give no row"""
FOLDERS = {"words cut from sentences": "cut_words", "words of another language": "other_words"}
"""ingredient -> the folder of words that is left out"""

CERTAIN = 0.9
"""posterior of a keyword, averaged over five answers, from which on it counts as an alarm"""


class Result(NamedTuple):
    """One run, judged."""

    accuracy: float
    loss: float
    """negative log-likelihood of the clips in nats, at the best temperature"""
    noisy: float
    """accuracy on the words with noise 5 dB below them"""
    unknown: float
    """recall of unknown words"""
    alarms: float
    """an hour of running speech without keywords"""


def parse_arguments(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """This command's options, and those for `models.train`."""
    parser = argparse.ArgumentParser("python -m models.ablate", description=__doc__)
    parser.add_argument("architecture")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of the runs; table.md is written there"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--without", nargs="+", choices=WITHOUT, default=list(WITHOUT), help="only these rows")
    return parser.parse_known_args(arguments)


def configure(ingredient: str, seed: int, options: argparse.Namespace, common: Sequence[str]) -> argparse.Namespace:
    """The training options of one run."""
    run = options.output / f"{ingredient.replace(' ', '-')}-{seed}"
    training = parse_training([options.architecture, *common, *WITHOUT[ingredient]])
    training.words = [folder for folder in training.words if folder.name != FOLDERS.get(ingredient)]
    if ingredient == "synthetic voices":
        training.words = [folder for folder in training.words if not (folder / "PROVENANCE.csv").exists()]
    training.run, training.seed = run, seed
    training.resume = (run / "last.ckpt").exists()
    return training


def count_alarms(task: KeywordTask, sentences: Sequence[Path]) -> tuple[int, float]:
    """Alarms on recordings without keywords, and their hours."""
    alarms, seconds = 0, 0.0
    for path in sentences:
        samples = read_mono(path)
        seconds += len(samples) / task.config.sample_rate
        alarms += len(list(find_alarms(task, samples, CERTAIN)))
    return alarms, seconds / 3600


@torch.no_grad()
def judge(checkpoint: Path, training: argparse.Namespace) -> Result:
    """On the validation split alone."""
    task = load_checkpoint(checkpoint)
    sources = Sources(
        training.data,
        tuple(training.noise),
        cache=training.run.parent / "cache",
        val_noise=training.val_noise,
        speech=training.speech,
    )
    samples, labels = load_validation(sources)
    logits = torch.cat([task(part) for part in samples.split(256)])  # (clips, labels)
    loss = measure_calibration(logits / fit_temperature(logits, labels), labels)["nll"]
    right = logits.argmax(1) == labels
    spoken = labels != LABELS.index("silence")
    noisy = torch.cat([task(part).argmax(1) for part in add_noise(samples[spoken], sources).split(256)])
    alarms, hours = 0, float("nan")
    if training.speech:
        alarms, hours = count_alarms(task, sources.sentences("val"))
    unknown = right[labels == LABELS.index("unknown")].float().mean().item()
    in_noise = (noisy == labels[spoken]).float().mean().item()
    return Result(right.float().mean().item(), loss, in_noise, unknown, alarms / hours)


def add_noise(samples: Tensor, sources: Sources) -> Tensor:
    """`samples` `(clips, n)` with validation noise 5 dB below them: the same noise for every network."""
    noise = load_noise(sources.val_noise_folders(), sources.corpus)
    slices = to_tensor(noise.draw(np.random.default_rng(1), len(samples))[:, : samples.shape[1]])
    return augment.mix(samples, slices, AugmentConfig(noise_share=1, snr_db=(5, 5), gain_db=(0, 0)))


def spread(values: Sequence[float], form: str) -> str:
    """Mean and range."""
    return "{} ({} to {})".format(*(format(value, form) for value in (np.mean(values), min(values), max(values))))


def draw_table(results: Mapping[str, Sequence[Result]]) -> str:
    """Markdown: mean and range over the seeds, and what leaving the ingredient out changes, seed by seed."""
    head = ("without", "accuracy", "change in points", "loss", "change", "in noise", "unknown", "alarms an hour")
    rows = []
    for ingredient, runs in results.items():
        pairs = list(zip(runs, results[ALL], strict=False))
        points = [100 * (run.accuracy - whole.accuracy) for run, whole in pairs]
        nats = [run.loss - whole.loss for run, whole in pairs]
        rows.append(
            (
                "nothing: all of it" if ingredient == ALL else ingredient,
                spread([run.accuracy for run in runs], ".3f"),
                "" if ingredient == ALL else spread(points, "+.1f"),
                spread([run.loss for run in runs], ".3f"),
                "" if ingredient == ALL else spread(nats, "+.3f"),
                spread([run.noisy for run in runs], ".3f"),
                spread([run.unknown for run in runs], ".3f"),
                spread([run.alarms for run in runs], ".0f"),
            )
        )
    return f"{table(head, rows)}\n"


def differs(training: argparse.Namespace, whole: argparse.Namespace) -> bool:
    """Whether a run without an ingredient is another than the one with everything: the ingredient was there."""
    try:
        read_network(training.network, find_architecture(training.architecture).build)
    except KwsError:
        return False  # nothing that this architecture has
    return recipe_of(training) != recipe_of(whole)


def recipe_of(training: argparse.Namespace) -> dict[str, object]:
    """All that the command line decides, however it was said."""
    others = {name: value for name, value in vars(training).items() if name not in ("run", "resume", "set")}
    return {**others, "set": read_recipe(training.set)}


def ablate(options: argparse.Namespace, common: Sequence[str]) -> None:
    """Seed by seed, so that a table of one seed is there early; the ingredients in their order."""
    whole = configure(ALL, 0, options, common)
    results: dict[str, list[Result]] = {ALL: []}
    for ingredient in WITHOUT:
        if ingredient in options.without and differs(configure(ingredient, 0, options, common), whole):
            results[ingredient] = []
    for seed in options.seeds:
        for ingredient, runs in results.items():
            training = configure(ingredient, seed, options, common)
            kept = training.run / "result.json"
            if not kept.exists():
                result = judge(train(training), training)
                kept.write_text(json.dumps(result))
            runs.append(Result(*json.loads(kept.read_text())))
            done = {name: each for name, each in results.items() if each}
            (options.output / "table.md").write_text(draw_table(done))
    print(draw_table(results), end="")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    return complete("models.ablate", lambda: ablate(*parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
