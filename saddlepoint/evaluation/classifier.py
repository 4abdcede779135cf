"""The quick extractor: a small classifier that this project trains and ships, for a Frechet distance that costs a second.

It knows clothes (Fashion-MNIST), digits and emoji at 32x32 pixels and nothing else; its distance is no FID and is never called so. What it was
trained on and how well it classifies held-out images stands in ``files/quick_classifier.json``; ``tools/train_quick_classifier.py`` makes both files.

Axes: n images, c channels, h w image, d features (64), k classes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.grid import to_uint8

RESOLUTION = 32
NUM_FEATURES = 64
WEIGHTS, CARD = "quick_classifier.safetensors", "quick_classifier.json"


class QuickNet(nn.Module):
    """Five convolutions with ReLU, their means over the image at 16x16, 8x8 and 4x4 (texture counts, not only the class), and 64 features of these.

    Args:
        heads: number of classes for each set.
        norm: batch norm after each convolution and on the features, as in training; the shipped net has it folded into the weights.
    """

    def __init__(self, heads: Mapping[str, int], *, norm: bool = False) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=not norm)
            for in_channels, out_channels, kernel, stride in ((3, 32, 5, 2), (32, 48, 3, 1), (48, 96, 3, 2), (96, 96, 3, 1), (96, 64, 3, 2))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(_out_channels(conv)) if norm else nn.Identity() for conv in self.convs)
        self.embed = nn.Linear(48 + 96 + 64, NUM_FEATURES, bias=not norm)
        self.embed_norm = nn.BatchNorm1d(NUM_FEATURES, affine=False) if norm else nn.Identity()
        self.heads = nn.ModuleDict({name: nn.Linear(NUM_FEATURES, num_classes) for name, num_classes in heads.items()})

    def forward(self, images: Tensor) -> Tensor:
        """Features [n, 64] of images [n, 3, 32, 32] in [-1, 1]; over the training images each has mean 0 and variance 1."""
        x, means = images, []
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(x)), inplace=True)
            if i in (1, 3, 4):
                means.append(x.mean((2, 3)))  # 16x16, 8x8, 4x4 -> 1
        features: Tensor = self.embed_norm(self.embed(torch.cat(means, 1)))
        return features

    def logits(self, features: Tensor, head: str) -> Tensor:
        """Class logits [n, k] of one set from features [n, 64]."""
        logits: Tensor = self.heads[head](features)
        return logits


def _out_channels(conv: nn.Module) -> int:
    assert isinstance(conv, nn.Conv2d)
    return conv.out_channels


def seen_as(images: NDArray[np.generic] | Tensor) -> NDArray[np.generic] | Tensor:
    """Images of 1 or 3 channels as they are; of others the mean of their channels, uint8 [n, 1, h, w], which is what the quick features are of."""
    if images.shape[1] in (1, 3):
        return images
    mean: NDArray[np.float32] = to_uint8(images).mean(1, keepdims=True, dtype=np.float32)
    return np.rint(mean).astype(np.uint8)


def prepare(images: NDArray[np.generic] | Tensor) -> Tensor:
    """Images as the net sees them: rounded to bytes, grey replicated, resized to 32x32 (bilinear, antialiased), float32 in [-1, 1], [n, 3, 32, 32].

    Args:
        images: [n, c, h, w], c of 1 or 3, uint8 or float in [-1, 1].
    """
    pixels = torch.from_numpy(to_uint8(images).astype(np.float32)).div_(127.5).sub_(1)
    n, c, h, w = pixels.shape
    if c not in (1, 3):
        raise UsageError(f"The quick classifier reads images of 1 or 3 channels; {c} came. Score these images with features of your own.")
    if (h, w) != (RESOLUTION, RESOLUTION):
        pixels = F.interpolate(pixels, (RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
    return pixels.expand(n, 3, RESOLUTION, RESOLUTION).contiguous(memory_format=torch.channels_last)


class QuickFeatures:
    """The shipped extractor, ready to use.

    Attributes:
        name: "quick-" and the first eight hexadecimal digits of the SHA-256 of the weights; numbers with different names are not comparable.
        resize: how images come to 32x32, for the protocol.
        card: what it was trained on, its held-out accuracy for each set, its class names.
    """

    resize = "bilinear antialiased to 32x32, rounded to 8 bits before, grey replicated"

    def __init__(self, device: torch.device | str = "cpu", *, batch: int = 250) -> None:
        files = resources.files("saddlepoint.evaluation") / "files"
        weights = (files / WEIGHTS).read_bytes()
        digest = hashlib.sha256(weights).hexdigest()
        self.card: dict[str, Any] = json.loads((files / CARD).read_text())
        assert self.card["weights_sha256"] == digest, f"{CARD} describes other weights than {WEIGHTS}: run tools/train_quick_classifier.py"
        self.name = f"quick-{digest[:8]}"
        self.device, self.batch = torch.device(device), batch
        self.net = QuickNet({head: len(entry["classes"]) for head, entry in self.card["heads"].items()})
        self.net.load_state_dict({key: tensor.float() for key, tensor in load(weights).items()})
        self.net.to(self.device).to(memory_format=torch.channels_last).eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, images: NDArray[np.generic] | Tensor) -> NDArray[np.float32]:
        """Features float32 [n, 64] of images [n, c, h, w], uint8 or float in [-1, 1], of any size, with 1 or 3 channels."""
        parts = [self.net(prepare(images[i : i + self.batch]).to(self.device)).cpu().numpy() for i in range(0, len(images), self.batch)]
        return np.concatenate(parts) if parts else np.zeros((0, NUM_FEATURES), dtype=np.float32)

    @torch.no_grad()
    def class_probabilities(self, images: NDArray[np.generic] | Tensor, head: str) -> NDArray[np.float32]:
        """Probability of each class of one set, float32 [n, k], rows summing to 1; the class names are ``card["heads"][head]["classes"]``."""
        if head not in self.net.heads:
            raise UsageError(f"The quick classifier has the heads {', '.join(self.net.heads)}; {head!r} came. Choose one of these.")
        logits = self.net.logits(torch.from_numpy(self(images)).to(self.device), head)
        return np.asarray(logits.softmax(1).cpu().numpy())
