"""Feature extractors by name: each says which weights it has and what it does to an image before it looks.

Axes: n images, c channels, h w image, d features, k classes.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError, nearest

Outputs = dict[str, Tensor]
BUILT_IN = ("quick", "lite0", "inception", "clip", "dinov2", "vgg16")


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """What turns samples into rows of numbers.

    Attributes:
        name: as the user chose it.
        weights_hash: SHA-256 of the weights, hexadecimal.
        dimension: d.
        preprocessing: what happens to samples before the network sees them.
        look: samples (images uint8 [n, c, h, w]; points [n, d]) to "features" [n, d] and, where it knows classes, "probabilities" [n, k].
        batch: samples it is given at a time.
    """

    name: str
    weights_hash: str
    dimension: int
    preprocessing: str
    look: Callable[[Tensor], Outputs]
    batch: int = 64

    @property
    def stamp(self) -> dict[str, Any]:
        """What a protocol says of it."""
        return {"extractor": self.name, "extractor_hash": self.weights_hash, "dimension": self.dimension, "preprocessing": self.preprocessing}

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Outputs:
        """Features float32 [n, d], and probabilities float32 [n, k] where there are any, on the CPU.

        Raises:
            UsageError: for features of another shape, or that are not finite.
        """
        parts = [self.look(samples[i : i + self.batch]) for i in range(0, len(samples), self.batch)]
        found = {name: torch.cat([part[name].detach().float().cpu() for part in parts]) for name in parts[0]}
        features = found["features"]
        if features.shape != (len(samples), self.dimension):
            came = f"{list(features.shape)} of {len(samples)} samples"
            raise UsageError(
                f"The extractor {self.name} must give rows of {self.dimension} features, one a sample; it gave {came}. Flatten them to [n, d]."
            )
        bad = 0 if features.sum().isfinite() else int((~features.isfinite().all(1)).sum())  # a sum that is finite has finite terms
        if bad:
            raise UsageError(
                f"The extractor {self.name} gave NaN or infinity for {bad} of {len(samples)} samples. Look at the samples and its weights."
            )
        return found


def open_extractor(name: str, *, weights: Path | None = None, device: torch.device | str = "cpu") -> Extractor:
    """An extractor by name, ready to use.

    Args:
        name: quick (quick:fashion, quick:digits, quick:emoji have class probabilities too), lite0 (lite0@128 looks at 128 pixels instead of 224),
            inception (inception@clean and inception@pytorch resize as clean-fid and pytorch-fid), clip, dinov2, vgg16; or module:attribute of your
            own, a network, a function, or what makes one without arguments.
        weights: file of the weights of inception, clip, dinov2, vgg16 or lite0, in place of the one in the cache.
        device: where it computes.
    Raises:
        UsageError: for an unknown name, weights where none are taken, or weights that are not at hand or not the right ones.
    """
    kind, _, detail = name.partition(":")
    base = name.partition("@")[0]
    if weights is not None and (kind == "quick" or (":" in name and base not in BUILT_IN)):
        raise UsageError(f"The extractor {name} brings its own weights; --weights {weights} came. Leave it out.")
    if kind == "quick":
        return _quick(name, detail, device)
    if base == "lite0":
        from saddlepoint.evaluation.lite0 import open_lite0

        return open_lite0(name, weights=weights, device=device)
    if base in ("inception", "clip", "dinov2", "vgg16"):
        from saddlepoint.evaluation.fidelity import open_fidelity

        return open_fidelity(name, weights=weights, device=device)
    if ":" not in name:
        raise UsageError(f"There is no extractor {name!r}. {nearest(name, BUILT_IN)} One of your own is written module:attribute.")
    return own_extractor(name, device=device)


def points_as_they_are(dimension: int) -> Extractor:
    """For points: their own coordinates."""

    def look(points: Tensor) -> Outputs:
        return {"features": points}

    return Extractor(name="coordinates", weights_hash="", dimension=dimension, preprocessing="none", look=look, batch=4096)


def pixels_as_they_are(shape: tuple[int, ...]) -> Extractor:
    """For images: their own pixels, in [0, 1]; ``shape`` is that of one."""

    def look(images: Tensor) -> Outputs:
        return {"features": images.flatten(1).float() / 255}

    return Extractor(name="pixels", weights_hash="", dimension=int(np.prod(shape)), preprocessing="in [0, 1]", look=look, batch=1024)


def _quick(name: str, head: str, device: torch.device | str) -> Extractor:
    from saddlepoint.evaluation.classifier import NUM_FEATURES, QuickFeatures

    quick = QuickFeatures(device)
    if head and head not in quick.card["heads"]:
        raise UsageError(
            f"The quick classifier knows {', '.join(quick.card['heads'])}; {head!r} came. Write quick:{next(iter(quick.card['heads']))}."
        )

    def look(images: Tensor) -> Outputs:
        features = torch.from_numpy(quick(images))
        if not head:
            return {"features": features}
        logits = quick.net.logits(features.to(quick.device), head)
        return {"features": features, "probabilities": logits.softmax(1)}

    return Extractor(
        name=name, weights_hash=quick.card["weights_sha256"], dimension=NUM_FEATURES, preprocessing=quick.resize, look=look, batch=quick.batch
    )


def own_extractor(name: str, *, device: torch.device | str = "cpu") -> Extractor:
    """A user's own: ``module:attribute``, given images float32 [n, c, h, w] in [-1, 1] as they are, and giving [n, d].

    The dimension is found with one black image of 3 channels and 32x32 pixels, unless the object says it in ``dimension``; what it does to images
    first it may say in ``preprocessing``.
    """
    network, hashed = find_own(name, "extractor", device=device)

    def look(images: Tensor) -> Outputs:
        return {"features": torch.as_tensor(network(as_input(images, device)))}

    dimension = getattr(network, "dimension", None)
    if dimension is None:
        with torch.no_grad():
            dimension = int(np.prod(look(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))["features"].shape[1:]))
    words = str(getattr(network, "preprocessing", "float in [-1, 1], own size"))
    return Extractor(name=name, weights_hash=hashed, dimension=int(dimension), preprocessing=words, look=look)


def as_input(images: Tensor, device: torch.device | str) -> Tensor:
    """Images as networks take them: float32 [n, c, h, w] in [-1, 1], on the device."""
    return images.to(device).float().div(127.5).sub(1) if images.dtype == torch.uint8 else images.to(device).float()


def find_own(name: str, what: str, *, device: torch.device | str = "cpu") -> tuple[Callable[..., Any], str]:
    """A network or function of the user's, ready to use, and the SHA-256 of its weights, or of its module's file where it has none.

    Args:
        name: ``module:attribute``: the network or function, or what makes one without arguments.
        what: it is, for the error line.
        device: where a network is put.
    """
    found, home = _find(name, what)
    network = found() if isinstance(found, type) or (inspect.isfunction(found) and not inspect.signature(found).parameters) else found
    if not callable(network):
        article = "An" if what[0] in "aeiou" else "A"
        raise UsageError(
            f"{article} {what} must be a network or a function of images; {name} is of type {type(network).__name__}. Name another attribute."
        )
    if not isinstance(network, nn.Module):
        return network, hashlib.sha256(home).hexdigest()
    network.to(device).eval().requires_grad_(False)
    return network, hash_weights(network.state_dict())


def _find(name: str, what: str) -> tuple[Any, bytes]:
    """The object ``module:attribute`` and the bytes of its module's file; the present folder is searched too."""
    module_name, _, attribute = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError(f"The {what} {name} cannot be imported: {error}. Is its file in this folder or installed?") from None
    finally:
        sys.path.pop(0)
    if not hasattr(module, attribute):
        raise UsageError(f"The module {module_name} has no {attribute!r}. {nearest(attribute, vars(module))}")
    file = getattr(module, "__file__", None)
    return getattr(module, attribute), Path(file).read_bytes() if file else b""


def hash_weights(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of all weights, in the order of their names, hexadecimal."""
    digest = hashlib.sha256()
    for key in sorted(state):
        values = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def to_rgb(images: Tensor, who: str) -> Tensor:
    """Images uint8 [n, 3, h, w]; grey is replicated.

    Raises:
        UsageError: for another number of channels, or other than 8-bit images.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise UsageError(
            f"The extractor {who} reads 8-bit images of 1 or 3 channels; {images.dtype} {list(images.shape[1:])} came. Convert them first."
        )
    return images.expand(-1, 3, -1, -1).contiguous()
