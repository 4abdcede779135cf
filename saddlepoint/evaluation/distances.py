"""Perceptual distances by name: what path lengths and the diversity of pairs are measured with.

Only ``lpips`` is LPIPS (Zhang et al. 2018, arXiv:1801.03924): VGG16 with the authors' weights of version 0.1. The others are its Equation 1 on other
networks with weights of one: numbers of different distances are not comparable.

Axes: n images, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saddlepoint.errors import UsageError, nearest
from saddlepoint.evaluation.extractors import find_own
from saddlepoint.evaluation.fidelity import PUBLISHED, Published, find_weights, read_weights
from saddlepoint.evaluation.perceptual import Distance, feature_distance

NAMES = ("quick", "lite0", "vgg16", "lpips")
LPIPS = Published(
    file="vgg.pth",
    url="https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/vgg.pth",
    sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    place="lpips-v0.1-vgg.pth",
)
VGG_LAYERS = (3, 8, 15, 22, 29)  # the ReLUs before each pooling: relu1_2, 2_2, 3_3, 4_3, 5_3
VGG_MEAN, VGG_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's, of images in [-1, 1]
VGG_SMALLEST = 16  # pixels that four poolings leave one of


@dataclass(frozen=True, kw_only=True)
class PerceptualDistance:
    """A distance of images and how it is made.

    Attributes:
        name: as the user chose it.
        weights_hash: SHA-256 of the weights, hexadecimal.
        preprocessing: what happens to images before the network sees them.
        between: images, images float [n, c, h, w] in [-1, 1] -> [n], squared.
    """

    name: str
    weights_hash: str
    preprocessing: str
    between: Distance

    @property
    def stamp(self) -> dict[str, Any]:
        """What a protocol says of it."""
        return {"distance": self.name, "distance_hash": self.weights_hash, "distance_preprocessing": self.preprocessing}


def distance_of_extractor(extractor: str) -> str:
    """The distance that belongs to an extractor, for users who name none.

    Raises:
        UsageError: if it has none.

    >>> distance_of_extractor("quick:fashion"), distance_of_extractor("lite0@128")
    ('quick', 'lite0@128')
    """
    base = extractor.partition(":")[0].partition("@")[0]
    if base not in ("quick", "lite0", "vgg16"):
        raise UsageError(f"The extractor {extractor} has no distance of its own. Choose --distance {', '.join(NAMES)} or module:attribute.")
    return extractor if base == "lite0" else base


def open_distance(name: str, *, device: torch.device | str = "cpu") -> PerceptualDistance:
    """A distance by name, ready to use.

    Args:
        name: quick, lite0 (lite0@128 looks at 128 pixels), vgg16, lpips, or module:attribute of your own: a network or function of two batches of
            images float [n, c, h, w] in [-1, 1] that gives [n].
        device: where it computes.
    Raises:
        UsageError: for an unknown name, or weights that are not at hand or not the right ones.
    """
    if name == "quick":
        return _quick(device)
    if name.partition("@")[0] == "lite0":
        return _lite0(name, device)
    if name in ("vgg16", "lpips"):
        return _vgg16(name, device)
    if ":" not in name:
        raise UsageError(f"There is no distance {name!r}. {nearest(name, NAMES)} One of your own is written module:attribute.")
    own, digest = find_own(name, "distance", device=device)

    def between(x: Tensor, y: Tensor) -> Tensor:
        return torch.as_tensor(own(x.to(device), y.to(device)))

    words = str(getattr(own, "preprocessing", "float in [-1, 1], own size"))
    return PerceptualDistance(name=name, weights_hash=digest, preprocessing=words, between=between)


def _from_maps(maps: Callable[[Tensor], Sequence[Tensor]], device: torch.device | str, weights: Sequence[Tensor] | None = None) -> Distance:
    inner = feature_distance(maps, weights)
    return lambda x, y: inner(x.to(device).float(), y.to(device).float())


def _to_rgb(x: Tensor, who: str) -> Tensor:
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise UsageError(f"The distance {who} compares images of 1 or 3 channels; {list(x.shape[1:])} came. Name a distance of your own.")
    return x.expand(-1, 3, -1, -1)


def _resized(x: Tensor, side: int) -> Tensor:
    return x if x.shape[2:] == (side, side) else F.interpolate(x, (side, side), mode="bilinear", antialias=True)


def _quick(device: torch.device | str) -> PerceptualDistance:
    from saddlepoint.evaluation.classifier import RESOLUTION, QuickFeatures

    quick = QuickFeatures(device)

    def maps(x: Tensor) -> list[Tensor]:
        x, found = _resized(_to_rgb(x, "quick"), RESOLUTION), []
        for conv in quick.net.convs:
            x = F.relu(conv(x))
            found.append(x)
        return found

    words = f"grey replicated, bilinear antialiased to {RESOLUTION}x{RESOLUTION}; five layers"
    return PerceptualDistance(name="quick", weights_hash=quick.card["weights_sha256"], preprocessing=words, between=_from_maps(maps, device))


def _lite0(name: str, device: torch.device | str) -> PerceptualDistance:
    from saddlepoint.evaluation.lite0 import MEAN, SCALE, SHA256, STAGES, load_lite0, side_of

    side, net = side_of(name), load_lite0().to(device)
    ends = {sum(stage[0] for stage in STAGES[: i + 1]) - 1 for i in range(len(STAGES))}  # last block of each stage

    def maps(x: Tensor) -> list[Tensor]:
        x = (_resized(_to_rgb(x, name), side) * 127.5 + 127.5 - MEAN) / SCALE
        x, found = F.relu6(net._bn0(net._conv_stem(x))), []
        for index, block in enumerate(net._blocks):
            x = block(x)
            found += [x] if index in ends else []
        return found

    words = f"grey replicated, bilinear antialiased to {side}x{side}; the last block of each of seven stages"
    return PerceptualDistance(name=name, weights_hash=SHA256, preprocessing=words, between=_from_maps(maps, device))


def _vgg16(name: str, device: torch.device | str) -> PerceptualDistance:
    """VGG16's five layers, with weights of one or LPIPS's."""
    state, digest = read_weights(find_weights(PUBLISHED["vgg16"]), PUBLISHED["vgg16"])
    features = vgg16_features(state).to(device)
    weights = None
    if name == "lpips":
        learnt, own = read_weights(find_weights(LPIPS), LPIPS)
        weights, digest = [learnt[f"lin{i}.model.1.weight"].flatten().to(device) for i in range(5)], f"{digest} {own}"
    mean, scale = (torch.tensor(values, device=device).view(3, 1, 1) for values in (VGG_MEAN, VGG_SCALE))

    def maps(x: Tensor) -> list[Tensor]:
        if min(x.shape[2:]) < VGG_SMALLEST:
            raise UsageError(f"The distance {name} needs images of {VGG_SMALLEST} pixels or more; {list(x.shape[2:])} came. Choose quick or lite0.")
        x, found = (_to_rgb(x, name) - mean) / scale, []
        for index, layer in enumerate(features):
            x = layer(x)
            found += [x] if index in VGG_LAYERS else []
        return found

    words = "grey replicated, own size, normalised by ImageNet's mean and deviation; relu1_2, 2_2, 3_3, 4_3, 5_3"
    return PerceptualDistance(name=name, weights_hash=digest, preprocessing=words, between=_from_maps(maps, device, weights))


def vgg16_features(state: dict[str, Tensor]) -> nn.Sequential:
    """VGG16's convolutions up to the last that is looked at, with weights of a file of torchvision's; the classifier is left unread."""
    import torchvision

    with torch.device("meta"):
        layers = torchvision.models.vgg16(init_weights=False).features[: VGG_LAYERS[-1] + 1]
    own = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
    layers.load_state_dict(own, assign=True)
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # what was looked at stays
    features: nn.Sequential = layers.eval().requires_grad_(False)
    return features
