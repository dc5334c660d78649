"""The front end of `kws_stream.frontend` as nodes of an ONNX graph, for hosts that have no DFT.

The DFT is two products of matrices in float64 (ADR 10 says why). The window is symmetric: w[n] = w[N - n], w[0] = 0. So
samples n and N - n meet the same cosine, and sines of opposite sign, and their sum and difference take half the
multiplies:

    Re X[k] = sum over n = 1 .. N / 2 of (x[n] + x[N - n]) w[n] cos(2 pi k n / N)
    Im X[k] = -sum over n = 1 .. N / 2 of (x[n] - x[N - n]) w[n] sin(2 pi k n / N)

where the middle sample of an even N, which is its own mirror, counts half. The matrices would be larger than most
networks. So the graph makes them of one period of each wave, from constants alone: a runtime does it once, when it
loads the file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from export.graph import GraphBuilder
from kws_stream.config import FrontendConfig
from kws_stream.frontend import mel_filters


def add_features(graph: GraphBuilder, samples: str, config: FrontendConfig, frames: int) -> str:
    """Features `(frames, bins)` of the float32 vector `samples`, whose length is `config.samples(frames)`."""
    filters = mel_filters(config) if config.kind == "log_mel" else None  # (window // 2 + 1, bins)
    bins = np.arange(config.window // 2 + 1)
    if filters is not None:
        heard = np.flatnonzero(filters.any(1))
        bins = np.arange(heard[0], heard[-1] + 1)  # no filter hears the others
    power = _add_power(graph, samples, config, frames, bins)  # (frames, DFT bins)
    if filters is not None:
        power = graph.add("MatMul", [power, graph.constant("filters", filters[bins])], "mel")  # (frames, bins)
    floor, mean, std = (
        graph.constant(name, np.float32(getattr(config, name))) for name in ("floor", "mean", "std")
    )  # scalars
    logarithm = graph.add("Log", graph.add("Add", [power, floor], "raised"), "logarithm")
    return graph.add("Div", [graph.add("Sub", [logarithm, mean], "centred"), std], "features")


def _add_power(
    graph: GraphBuilder, samples: str, config: FrontendConfig, frames: int, bins: NDArray[np.integer]
) -> str:
    """The power spectrum `(frames, len(bins))` of the windows, float32."""
    steps = np.arange(1, config.window // 2 + 1)  # (half,)
    starts = config.hop * np.arange(frames)[:, None]  # (frames, 1)
    double = graph.add("Cast", samples, "double", to=TensorProto.DOUBLE)
    near = graph.add("Gather", [double, graph.constant("near_at", starts + steps)], "near")  # (frames, half)
    far = graph.add("Gather", [double, graph.constant("far_at", starts + config.window - steps)], "far")
    weights = 0.5 - 0.5 * np.cos(2 * np.pi * steps / config.window)  # the periodic Hann window
    weights[2 * steps == config.window] /= 2
    graph.constant("weights", weights[:, None])  # (half, 1)
    products = graph.add("Mul", [graph.constant("steps", steps[:, None]), graph.constant("bins", bins)], "products")
    phase = graph.add("Mod", [products, graph.constant("window", np.int64(config.window))], "phase")  # (half, DFT bins)
    squares = []
    for part, fold, wave in (("real", "Add", np.cos), ("imaginary", "Sub", np.sin)):
        folded = graph.add(fold, [near, far], f"{part}/folded")  # (frames, half)
        period = graph.constant(f"{part}/period", wave(2 * np.pi * np.arange(config.window) / config.window))
        waves = graph.add("Gather", [period, phase], f"{part}/waves")  # (half, DFT bins)
        matrix = graph.add("Mul", [waves, "weights"], f"{part}/matrix")
        spectrum = graph.add("MatMul", [folded, matrix], part)  # (frames, DFT bins)
        squares.append(graph.add("Mul", [spectrum, spectrum], f"{part}/square"))
    return graph.add("Cast", graph.add("Add", squares, "squares"), "power", to=TensorProto.FLOAT)
