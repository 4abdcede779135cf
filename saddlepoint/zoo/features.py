"""Feature maps of trained classifiers as a game compares images by them."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.classifier import QuickFeatures, QuickNet
from saddlepoint.evaluation.lite0 import MEAN, SCALE, Lite0, load_lite0
from saddlepoint.networks.frozen import Frozen
from saddlepoint.networks.vgg import VGG19Features

FACTORS = {"vgg54": 1 / 12.75, "vgg22": 1 / 12.75, "lite0": 0.03197, "quick": 1.977, "quick2": 1.846}
FILE = "vgg19-dcbb9e9d.pth"


class _Scaled(nn.Module):
    """Maps times a factor, which brings their squared error to the size of the pixels'."""

    def __init__(self, maps: nn.Module, factor: float) -> None:
        super().__init__()
        self.maps, self.factor = maps, factor

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, 1 or 3, h, w] in [-1, 1] -> maps [n, c, h', w']."""
        maps: Tensor = self.maps(x)
        return self.factor * maps


class _Quick(nn.Module):
    """The shipped classifier up to its fourth convolution, 96 maps at a quarter of the size, or to its second, 48 maps at half of it."""

    def __init__(self, net: QuickNet, depth: int) -> None:
        super().__init__()
        self.convs = net.convs[:depth]

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(-1, 3, -1, -1)
        for conv in self.convs:
            x = F.relu(conv(x))
        return x


class _Lite(nn.Module):
    """EfficientNet-Lite0 up to its third stage: 40 maps at an eighth of the size."""

    def __init__(self, net: Lite0) -> None:
        super().__init__()
        self.stem, self.norm, self.blocks = net._conv_stem, net._bn0, net._blocks[:5]

    def forward(self, x: Tensor) -> Tensor:
        x = ((x.expand(-1, 3, -1, -1) + 1) * 127.5 - MEAN) / SCALE
        maps: Tensor = self.blocks(F.relu6(self.norm(self.stem(x))))
        return maps


def feature_maps(name: str, weights: str = "") -> Frozen:
    """Maps by name, differentiable in the images.

    Args:
        name: "vgg54" or "vgg22" (Ledig et al. 2017, divided by 12.75 as there), "lite0", "quick" or "quick2", scaled so that for the
            shipped emoji of 32 pixels against their bicubic enlargements from 8 the squared error is that of the pixels (measured: .0845).
        weights: file of VGG-19.
    Raises:
        UsageError: for weights that are missing, of another network, or given where none are taken.
    """
    if not name.startswith("vgg"):
        if weights:
            raise UsageError(f"The features {name} bring their own weights; {weights} came. Leave weights empty.")
        maps = _Lite(load_lite0()) if name == "lite0" else _Quick(QuickFeatures("cpu").net, 2 if name == "quick2" else 4)
        return Frozen(_Scaled(maps, FACTORS[name]))
    network = VGG19Features(name)  # type: ignore[arg-type]
    if not weights:
        raise UsageError(
            f"The features {name} need the weights of VGG-19: --weights {FILE} (torchvision's). Without it choose --features lite0, quick or quick2."
        )
    _load(network, Path(weights).expanduser())
    return Frozen(_Scaled(network, FACTORS[name]))


def _load(network: VGG19Features, path: Path) -> None:
    """Take the layers that are needed from a file of the whole network."""
    if not path.is_file():
        raise UsageError(f"There is no file {path}. VGG-19's weights are torchvision's {FILE}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({key: found[key] for key in network.state_dict()})
    except Exception as error:
        raise UsageError(f"{path} does not hold the weights of VGG-19: {error}. Give torchvision's {FILE}.") from error
