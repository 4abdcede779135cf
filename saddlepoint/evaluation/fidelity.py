"""The extractors of torch-fidelity: InceptionV3 with the weights of FID, CLIP, VGG16 and DINOv2; each verified before it is used.

torch-fidelity (Obukhov et al. 2020, Apache-2.0) is the extra ``fidelity``. The weights are fetched once into ``$SADDLEPOINT_CACHE/weights``; a file
that was put there by hand serves as well. Files of weights are read as data, never as code.

Axes: n images, c channels, h w image, d features, k classes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import pickle
import shutil
import tempfile
import urllib.request
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from saddlepoint.data.cache import cache_root
from saddlepoint.errors import StorageError, UsageError
from saddlepoint.evaluation.extractors import Extractor, Outputs, hash_weights, to_rgb
from saddlepoint.evaluation.resizing import RESIZINGS, Resizing

SIDE = 299  # of what Inception looks at
_TENSORFLOW = "bilinear as TensorFlow 1 did (no antialiasing, corners not aligned)"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published file of weights, and the extractor of torch-fidelity that needs it.

    Attributes:
        file: of the weights; "" where torch.hub brings them.
        url: where they are published.
        sha256: of the file, or the first digits as far as published.
        place: its name in the cache; "": as published.
        module: of torch-fidelity; likewise class_name.
        model: its name there.
        outputs: names of features, and of logits where there are any.
        dimension: d.
        resize: what it does to images.
    """

    file: str = ""
    url: str = ""
    sha256: str = ""
    place: str = ""
    module: str = ""
    class_name: str = ""
    model: str = ""
    outputs: tuple[str, ...] = ()
    dimension: int = 0
    resize: str = ""

    @property
    def path(self) -> Path:
        """Where the file is looked for and kept."""
        return cache_root() / "weights" / (self.place or self.file)


PUBLISHED = {
    "inception": Published(
        module="feature_extractor_inceptionv3",
        class_name="FeatureExtractorInceptionV3",
        model="inception-v3-compat",
        outputs=("2048", "logits_unbiased"),
        dimension=2048,
        resize=f"{_TENSORFLOW} to 299x299, (x - 128) / 128",
        file="weights-inception-2015-12-05-6726825d.pth",
        url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        sha256="6726825d",
    ),
    "clip": Published(
        module="feature_extractor_clip",
        class_name="FeatureExtractorCLIP",
        model="clip-vit-b-32",
        outputs=("clip",),
        dimension=512,
        resize=f"{_TENSORFLOW} to 224x224, normalised by CLIP's mean and deviation",
        file="ViT-B-32.pt",
        url="https://openaipublic.azureedge.net/clip/models/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
        sha256="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
    ),
    "vgg16": Published(
        module="feature_extractor_vgg16",
        class_name="FeatureExtractorVGG16",
        model="vgg16",
        outputs=("fc2_relu",),
        dimension=4096,
        resize=f"{_TENSORFLOW} to 224x224, normalised by ImageNet's mean and deviation",
        file="vgg16-397923af.pth",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af",
    ),
    "dinov2": Published(
        module="feature_extractor_dinov2",
        class_name="FeatureExtractorDinoV2",
        model="dinov2-vit-b-14",
        outputs=("dinov2",),
        dimension=768,
        resize=f"{_TENSORFLOW} to 224x224, normalised by ImageNet's mean and deviation",
    ),
}


def open_fidelity(name: str, *, weights: Path | None = None, device: torch.device | str = "cpu") -> Extractor:
    """An extractor of torch-fidelity: inception, clip, vgg16 or dinov2; inception@clean and inception@pytorch resize as these libraries do.

    Raises:
        UsageError: if torch-fidelity is not installed, or the weights are not at hand or not the published ones.
    """
    base, at, way = name.partition("@")
    if base not in PUBLISHED:
        raise UsageError(f"There is no extractor {name!r}; torch-fidelity's are {', '.join(PUBLISHED)}.")
    if at and (base != "inception" or way not in RESIZINGS):
        known = ", ".join(f"inception@{each}" for each in RESIZINGS)
        raise UsageError(f"There is no extractor {name!r}. Of other resizings there are {known}; without one it is {_TENSORFLOW}.")
    published = PUBLISHED[base]
    try:
        module = importlib.import_module(f"torch_fidelity.{published.module}")
    except ImportError:
        raise UsageError(f"The extractor {base} needs torch-fidelity. Install it with `pip install 'saddlepoint[fidelity]'`.") from None
    network, digest = _from_hub(module, published, weights) if not published.file else _from_file(module, base, published, weights)
    network.to(device)
    run = _resized(network, RESIZINGS[way]) if at else network

    def look(images: torch.Tensor) -> Outputs:
        found = run(to_rgb(images, name).to(device))
        outputs = {"features": found[0]}
        return outputs | ({"probabilities": found[1].softmax(1)} if len(found) > 1 else {})

    words = f"grey replicated, {RESIZINGS[way].words if at else published.resize}"
    return Extractor(name=name, weights_hash=digest, dimension=published.dimension, preprocessing=words, look=look, batch=32)


def _resized(network: Any, resizing: Resizing) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """InceptionV3 past its own resizing: its layers in their order, up to the pooled features, and the logits without bias."""
    layers = torch.nn.Sequential(*(layer for label, layer in network.named_children() if label != "fc"))

    def run(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features: torch.Tensor = layers(resizing.run(images, SIDE)).flatten(1)
        return features, features @ network.fc.weight.T

    return run


def _from_file(module: Any, name: str, published: Published, weights: Path | None) -> tuple[Any, str]:
    path = find_weights(published) if weights is None else weights
    # torch-fidelity unpickles a .pth file; so it is read once before in the way that runs no code
    digest = read_weights(path, published)[1] if published.file.endswith(".pth") else verify(path, published)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # CLIP is published as TorchScript, which torch calls deprecated
        network = getattr(module, published.class_name)(published.model, [*published.outputs], feature_extractor_weights_path=str(path))
    return network.eval(), digest


def read_weights(path: Path, published: Published) -> tuple[dict[str, torch.Tensor], str]:
    """Tensors of a published file by name, and the file's SHA-256; verified first, and read as data.

    Raises:
        UsageError: if the file is missing, is not the published one, or holds anything but tensors.
    """
    digest = verify(path, published)
    try:
        state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UsageError(f"{path} is no file of weights: {str(error).splitlines()[0]} Get {published.file} from {published.url}.") from None
    return state, digest


def _from_hub(module: Any, published: Published, weights: Path | None) -> tuple[Any, str]:
    """DINOv2: torch-fidelity takes network and weights from torch.hub, without a published checksum; the hash found goes into the protocol."""
    if weights is not None:
        raise UsageError(f"dinov2 comes through torch.hub only; --weights {weights} came. Leave it out.")
    try:
        network = getattr(module, published.class_name)(published.model, [*published.outputs])
    except (OSError, RuntimeError) as error:
        place, reason = torch.hub.get_dir(), str(error).splitlines()[0] if str(error) else type(error).__name__
        where = f"{place}/facebookresearch_dinov2_main and {place}/checkpoints/dinov2_vitb14_pretrain.pth"
        raise UsageError(f"dinov2 cannot be fetched ({reason}). Without a network, copy {where} from a machine where it was.") from None
    return network.eval(), hash_weights(network.state_dict())


def find_weights(published: Published) -> Path:
    """The file in the cache; fetched and verified if it is not there.

    Raises:
        UsageError: if it cannot be fetched: which file it is, where it is published, where to put it and its checksum.
    """
    path = published.path
    if path.is_file():
        return path
    aside: str | None = None
    try:
        with urllib.request.urlopen(published.url, timeout=30) as answer:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, aside = tempfile.mkstemp(prefix=published.file, suffix=".tmp", dir=path.parent)
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(answer, file)
        verify(Path(aside), published)
        os.replace(aside, path)
    except UsageError:
        raise
    except OSError as error:
        if aside is not None and not isinstance(error, TimeoutError):
            raise StorageError(f"Cannot keep {published.file} in {path.parent}: {error}. Make room there, or set SADDLEPOINT_CACHE.") from error
        reason = getattr(error, "reason", error)
        checksum = f"SHA-256 {'begins ' if len(published.sha256) < 64 else ''}{published.sha256}"
        raise UsageError(
            f"The weights {published.file} cannot be fetched ({reason}). Put the file ({checksum}) from {published.url} at {path}."
        ) from None
    finally:
        if aside is not None:
            with contextlib.suppress(OSError):
                os.unlink(aside)
    return path


def verify(path: Path, published: Published) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        UsageError: if the file is missing, or is not the published one.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}. The weights are {published.file} from {published.url}.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(published.sha256):
        expected = f"expected {published.sha256[:16]}"
        raise UsageError(f"{path} is not {published.file}: its SHA-256 begins {digest[:16]}, {expected}. Get it again from {published.url}.")
    return digest
