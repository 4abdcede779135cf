"""How images come to the side that Inception looks at: a choice that moves an FID by whole points (Parmar et al. 2022, arXiv:2104.11222).

Axes: n images, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Resizing:
    """Images uint8 [n, c, h, w] and a side to what the network takes, float32 [n, c, side, side]; and what that is, in words."""

    run: Callable[[Tensor, int], Tensor]
    words: str


def clean(images: Tensor, side: int) -> Tensor:
    """As clean-fid: bicubic as PIL's, antialiased, each channel in float32, clipped and not rounded after; then (x - 128) / 128."""
    return F.interpolate(images.float(), (side, side), mode="bicubic", antialias=True).clamp(0, 255).sub(128).div(128)


def pytorch(images: Tensor, side: int) -> Tensor:
    """As pytorch-fid and clean-fid's legacy_pytorch: bilinear without antialiasing; then 2 x / 255 - 1."""
    return F.interpolate(images.float(), (side, side), mode="bilinear", align_corners=False).div(127.5).sub(1)


RESIZINGS = {
    "clean": Resizing(clean, "bicubic antialiased in float32 as clean-fid to 299x299, (x - 128) / 128"),
    "pytorch": Resizing(pytorch, "bilinear without antialiasing as pytorch-fid to 299x299, 2 x / 255 - 1"),
}  #: beside torch-fidelity's own, that of TensorFlow 1
