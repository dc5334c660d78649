"""What the study published, to stand beside what is measured here."""

from __future__ import annotations

from typing import NamedTuple

STUDY = "keyword spotting project, LET-REMA-LCEX10"


class Figures(NamedTuple):
    """Of one training; None where the study is silent."""

    train_accuracy: float
    val_accuracy: float
    train_loss: float | None = None
    val_loss: float | None = None
    seconds: int | None = None


BEST = {
    ("mnist", False): Figures(0.9188, 0.8816, 0.2479, 0.3943, 1112),
    ("lightcnn-spectrogram", False): Figures(0.9443, 0.9400, 0.1711, 0.1865, 550),
    ("inception-v3", False): Figures(0.9338, 0.9427, 0.2238, 0.1868, 2332),
    ("vgg16", False): Figures(0.9723, 0.9583, 0.0900, 0.2011, 2530),
    ("resnet50", False): Figures(0.9548, 0.9445, 0.1421, 0.1873, 3808),
    ("inception-v3", True): Figures(0.6334, 0.6401, seconds=2185),
    ("vgg16", True): Figures(0.9745, 0.9611, seconds=2542),
    ("resnet50", True): Figures(0.9134, 0.9252, seconds=3654),
}
"""by network, and whether it was pretrained on ImageNet"""

FIRST = {
    ("inception-v3", False): Figures(0.6539, 0.6778),
    ("vgg16", False): Figures(0.6519, 0.6906),
    ("resnet50", False): Figures(0.6916, 0.6351),
    ("inception-v3", True): Figures(0.6268, 0.6315),
    ("vgg16", True): Figures(0.6307, 0.6706),
    ("resnet50", True): Figures(0.6389, 0.5931),
}
"""after one epoch"""

PARAMETERS = {
    "lightcnn-spectrogram": 723_968,
    "vgg16": 23_676_748,
    "inception-v3": 29_185_836,
    "mnist": 55_038_988,
    "resnet50": 75_182_988,
}
"""as Keras counts them; two trunks differ from torchvision's (`KERAS` in models/study_comparison.py)"""

CLIPS = 64_727
"""in the study's corpus, Speech Commands v0.01"""
