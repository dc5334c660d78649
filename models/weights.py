"""Weights from elsewhere: torchvision's, from a file or from itself, into a trunk; an encoder's of our own; all of
those of a former run."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

from kws_stream.errors import KwsError, ModelError
from models.encoder import Encoder, encoder_weights
from models.imagenet import ImageNetwork, Trunk, sum_kernels

IMAGENET = "imagenet"
"""stands for torchvision's own weights, in the place of a file"""
COUNTED = "num_batches_tracked"
"""of a batch norm; many files come without"""


def load_weights(network: nn.Module, source: str, pixel_std: float | None = None) -> None:
    """Put the weights that `source` names, a file or `imagenet`, into the trunk of `network`, or into its encoder those
    of a file that `models.pretrain` wrote.

    `pixel_std` is the standard deviation of the pixels that the weights were trained on (None: as torchvision's): 57.4
    for images of 0 to 255. Features have 1, so the first kernel is multiplied by it and sees what it was trained on.
    Raises KwsError for a network with neither, ModelError, which names the tensor, for weights that do not fit it.
    """
    if isinstance(network, Encoder):
        return _load_encoder(network, source, pixel_std)
    if pixel_std is not None and not pixel_std > 0:
        raise KwsError(f"--pixel-std {pixel_std:g}: expected a number above 0")
    trunk = trunk_of(network)
    weights = download_weights(trunk) if source == IMAGENET else read_weights(Path(source))
    own = {name: tensor.shape for name, tensor in trunk.whole.state_dict().items()}
    first = _entry_name(trunk)
    maps, _, height, width = own[first]
    own[first] = torch.Size((maps, 3, height, width))  # as torchvision has it, whatever the entry
    check_weights(weights, own, trunk.name, source, trunk.classifier)
    kept = {name: tensor.float() for name, tensor in weights.items() if name in trunk.whole.state_dict()}
    kept[first] = kept[first] * (trunk.spread if pixel_std is None else pixel_std)
    if trunk.entry.in_channels == 1:
        kept[first] = sum_kernels(kept[first])
    trunk.whole.load_state_dict(kept, strict=False)  # of what is needed, all is there; the counters may not be


def take_over(network: nn.Module, former: nn.Module, source: str) -> None:
    """Put all weights and statistics of `former`, which `source` names, into `network`: to go on with other data, or at
    other rates. ModelError, which names the tensor, where they are of another architecture or other settings."""
    own = {name: tensor.shape for name, tensor in network.state_dict().items()}
    check_weights(former.state_dict(), own, type(network).__name__, source)
    network.load_state_dict(former.state_dict())


def _load_encoder(network: nn.Module, source: str, pixel_std: float | None) -> None:
    if source == IMAGENET or pixel_std is not None:
        raise KwsError("the encoder of a compact network takes a file of models.pretrain, and no images")
    weights = read_weights(Path(source))
    own = {name: tensor.shape for name, tensor in encoder_weights(network).items()}
    check_weights(weights, own, f"the encoder of this {type(network).__name__}", source)
    network.load_state_dict(weights, strict=False)  # all of the encoder is there; pool and classifier are not its


def trunk_of(network: nn.Module) -> Trunk:
    """The trunk of an image network; KwsError for any other."""
    if not isinstance(network, ImageNetwork):
        raise KwsError(
            f"{type(network).__name__} has no trunk of torchvision's to load or to freeze; "
            "there are: vgg16, inception-v3, resnet50, squeezenet"
        )
    return network.trunk


def download_weights(trunk: Trunk) -> Mapping[str, Tensor]:
    """torchvision's own, through its cache; ModelError where neither that nor the network has them."""
    try:
        return get_model_weights(trunk.name).IMAGENET1K_V1.get_state_dict(check_hash=True)
    except (OSError, RuntimeError, UnpicklingError) as error:  # no network, a download that broke, a damaged cache
        raise ModelError(
            f"torchvision could not get its weights of {trunk.name} ({error}); give their file: --weights FILE"
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.npz` or `.pth` file; ModelError when it is missing, damaged, or holds something else."""
    if not path.is_file():
        raise ModelError(f"no weights {path}; expected a state dict of torchvision's as .pth or .npz")
    if path.suffix == ".npz":
        return _read_arrays(path)
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no class for all that can be wrong with a file
        raise ModelError(f"{path}: not readable as a state dict ({type(error).__name__}); is it truncated?") from error
    if not isinstance(loaded, Mapping):
        raise ModelError(f"{path}: expected a state dict, names and tensors, got {type(loaded).__name__}")
    for name, tensor in loaded.items():
        if not isinstance(tensor, Tensor):
            raise ModelError(f"{path}: {name} is no tensor but {type(tensor).__name__}; expected a plain state dict")
    return dict(loaded)


def _read_arrays(path: Path) -> dict[str, Tensor]:
    name = "the list of its tensors"
    weights = {}
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            for name in arrays.files:
                weights[name] = torch.from_numpy(arrays[name])
    except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{path}: {name} is not readable ({error}); is the file truncated?") from error
    return weights


def check_weights(
    weights: Mapping[str, Tensor], own: Mapping[str, torch.Size], owner: str, source: str, spare: Collection[str] = ()
) -> None:
    """ModelError, naming the first tensor that is missing, foreign, of another shape or type, or not finite.

    `own`: what `owner` has; counters of batch norms may lack, modules in `spare` may be there.
    """
    needed = {name: shape for name, shape in own.items() if not name.endswith(COUNTED)}
    for name in weights:
        if not (name in needed or name.endswith(COUNTED) or name.split(".")[0] in spare):
            raise ModelError(f"{source}: {owner} has no tensor {name}; these are weights of another network")
    for name, shape in needed.items():
        if name not in weights:
            count = sum(other not in weights for other in needed)
            raise ModelError(f"{source}: {name} is missing, and so are {count - 1} other tensors of {owner}")
        tensor = weights[name]
        if tensor.shape != shape:
            raise ModelError(f"{source}: {name} is {tuple(tensor.shape)}, {owner} expects {tuple(shape)}")
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise ModelError(f"{source}: {name} holds values that are no finite numbers ({tensor.dtype})")


def _entry_name(trunk: Trunk) -> str:
    """Of the first kernel in the state dict."""
    return next(name for name, parameter in trunk.whole.named_parameters() if parameter is trunk.entry.weight)
