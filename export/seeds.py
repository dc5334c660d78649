"""What three trainings of one recipe have in common, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.intervals import mean_interval


def summarise(figures: Sequence[Mapping[str, Any]]) -> tuple[str, list[tuple[str, str, str]]]:
    """What `kws-eval clips --json` said of each seed -> a sentence on the accuracy, and for each label the recall of
    every seed and their mean."""
    accuracies = [each["accuracy"] for each in figures]
    mean, low, high = mean_interval(accuracies)
    sentence = (
        f"Accuracy {', '.join(f'{value:.4f}' for value in accuracies)}: mean {mean:.4f}, 95 % interval of the mean "
        f"{low:.4f} to {high:.4f} (Student's t over {len(figures)} seeds), on {figures[0]['clips']:,} clips."
    )
    rows = []
    for label in figures[0]["recall"]:
        recalls = [each["recall"][label] for each in figures]
        rows.append((label, ", ".join(f"{value:.3f}" for value in recalls), f"{np.mean(recalls):.3f}"))
    return sentence, rows
