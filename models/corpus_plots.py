"""The pictures of a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from kws_stream.config import FrontendConfig
from kws_stream.frontend import log_mel, to_float
from models.labels import KEYWORDS
from models.plots import BLUE, GREY, VERMILION, tidy
from models.recordings import CLIP, SAMPLE_RATE, Samples

COLUMNS = 6
"""of mel pictures"""
LOUDEST, QUIETEST = 4.0, -12.0
"""natural logarithm of the power in a mel band: the ends of the colours"""


def draw_distribution(words: Mapping[str, int], labels: Mapping[str, int]) -> Figure:
    """Files by word, and by label in the 12-label task; keywords in blue."""
    figure = Figure(figsize=(11, 1.2 + 0.24 * max(len(words), len(labels))), layout="constrained")
    every, reduced = figure.subplots(1, 2)
    _bars(every, words, f"{len(words)} classes")
    _bars(reduced, labels, f"reduced to {len(labels)}")
    for axes in (every, reduced):  # bars of one width on both sides
        axes.set_ylim(max(len(words), len(labels)) - 0.4, -0.6)
    return figure


def draw_durations(seconds: Sequence[float], shortest: float) -> Figure:
    """How long clips are, in steps of 20 ms; on a logarithmic scale, since nearly all are of one length."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    top = 0.02 * (np.ceil(max(seconds, default=1.0) / 0.02) + 1)
    axes.hist(seconds, np.arange(0, top + 0.01, 0.02).tolist(), color=BLUE, log=True)
    axes.axvline(shortest, color=VERMILION, linewidth=1, linestyle=":", label=f"too short: under {shortest:g} s")
    axes.legend(frameon=False, loc="upper left")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    tidy(axes, f"duration of {len(seconds):,} clips", "seconds", "clips")
    return figure


def draw_levels(rms: Sequence[float], peak: Sequence[float]) -> Figure:
    """How loud clips are, in dB of full scale: over their whole length, and at their loudest sample."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    bins = np.arange(np.floor(min(rms, default=-60)), 1).tolist()  # the last bin holds 0 dB, too
    axes.hist(rms, bins, color=BLUE, label="RMS of the clip")
    axes.hist(peak, bins, color=VERMILION, histtype="step", linewidth=1.5, label="peak")
    axes.legend(frameon=False, loc="upper left")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    tidy(axes, f"level of {len(rms):,} clips", "dB of full scale", "clips")
    return figure


def draw_words(examples: Mapping[str, Samples]) -> Figure:
    """The log-mel frames of a clip of each word, all in the same colours: time to the right, pitch upwards."""
    config = FrontendConfig()
    lines = -(-len(examples) // COLUMNS)
    figure = Figure(figsize=(11, 0.5 + 1.5 * lines), layout="constrained")
    grid = figure.subplots(lines, COLUMNS, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(examples) :]:
        axes.set_visible(False)
    for axes, (word, samples) in zip(grid.flat, examples.items(), strict=False):
        frames = log_mel(to_float(np.pad(samples[:CLIP], (0, max(0, CLIP - len(samples))))), config)
        axes.imshow(
            frames.T,  # (bins, frames)
            origin="lower",
            aspect="auto",
            cmap="viridis",
            vmin=QUIETEST,
            vmax=LOUDEST,
            extent=(0, CLIP / SAMPLE_RATE, 0, config.bins),
        )
        axes.set_title(word, fontsize=10, loc="left", fontweight="bold")
        axes.set_xticks([0, 0.5, 1])
    for axes in grid.flat[max(0, len(examples) - COLUMNS) : len(examples)]:  # the last of each column
        axes.tick_params(labelbottom=True)
    figure.supxlabel("seconds", fontsize=10)
    figure.supylabel(f"mel bin, {config.low_hz:g} to {config.high_hz:g} Hz", fontsize=10)
    return figure


def _bars(axes: Axes, counts: Mapping[str, int], title: str) -> None:
    colours = [BLUE if name in KEYWORDS else GREY for name in counts]
    places = range(len(counts))
    axes.barh(places, list(counts.values()), color=colours)
    total = sum(counts.values())
    for place, count in zip(places, counts.values(), strict=True):
        axes.annotate(f" {count:,} ({count / total:.1%})", (count, place), va="center", fontsize=7.5)
    axes.set_yticks(places, list(counts), fontsize=8.5)
    axes.set_xlim(0, max(counts.values()) * 1.25)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    tidy(axes, title, "files")
