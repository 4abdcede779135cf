"""Colour augmentation: brightness, contrast, luma flip, hue and saturation as one affine map of the channels.

Karras et al. 2020 (arXiv:2006.06676), Appendix B. Each of the five maps scales or mirrors the luma axis v = (1, ..., 1) / sqrt(c), or scales the
plane perpendicular to it, or turns that plane. So their product in the paper's order has the closed form

    C = a v v' + b (cos t (1 - v v') + sin t [v]x),      offset = o v,

a the luma's gain, b the chroma's, t the hue's angle, [v]x the cross product with v.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.views.chance import Chance

BRIGHTNESS_STD, CONTRAST_STD, SATURATION_STD = 0.2, 0.5, 1.0  # of the paper; the last two are log2


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Strengths of the colour transformations: each happens with probability strength * p. 0 is off.

    Attributes:
        brightness: 0.2 N is added to every channel.
        contrast: everything is scaled by 2^(0.5 N).
        lumaflip: the luma is mirrored, the chroma kept, with probability a half.
        hue: the chroma is turned by any angle; three channels only, others have no hue.
        saturation: the chroma is scaled by 2^N; one channel has none.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    lumaflip: float = 0.0
    hue: float = 0.0
    saturation: float = 0.0

    @property
    def on(self) -> bool:
        """Whether anything can happen."""
        return any(vars(self).values())


def draw_colour(colour: Colour, chance: Chance, channels: int) -> tuple[Tensor, Tensor]:
    """Draw each sample's map of the channels.

    Returns:
        Matrices [n, c, c] and offsets [n, c]: x_out = matrix x_in + offset.
    """
    zero = chance.zeros
    luma, chroma, offset = zero + 1, zero + 1, zero
    cos, sin = luma, zero
    if colour.brightness:
        offset = torch.where(chance.happens(colour.brightness), BRIGHTNESS_STD * chance.normal(), zero)
    if colour.contrast:
        luma = torch.where(chance.happens(colour.contrast), (CONTRAST_STD * chance.normal()).exp2(), zero + 1)
        chroma, offset = luma, luma * offset
    if colour.lumaflip:
        flipped = chance.happens(colour.lumaflip) & (chance.uniform() >= 0.5)
        luma, offset = (torch.where(flipped, -value, value) for value in (luma, offset))
    if colour.hue and channels == 3:
        angle = torch.where(chance.happens(colour.hue), math.pi * (2 * chance.uniform() - 1), zero)
        cos, sin = angle.cos(), angle.sin()
    if colour.saturation and channels > 1:
        chroma = chroma * torch.where(chance.happens(colour.saturation), (SATURATION_STD * chance.normal()).exp2(), zero + 1)
    return _matrix(channels, luma, chroma * cos, chroma * sin), offset.unsqueeze(1).expand(-1, channels)


def _matrix(channels: int, luma: Tensor, along: Tensor, across: Tensor) -> Tensor:
    """The matrix C from a, b cos t and b sin t, shape [n, c, c]."""
    grey = torch.full((channels, channels), 1 / channels, dtype=luma.dtype, device=luma.device)
    plane = torch.eye(channels, dtype=luma.dtype, device=luma.device) - grey
    luma, along, across = (value.view(-1, 1, 1) for value in (luma, along, across))
    matrix = luma * grey + along * plane
    if channels == 3:
        cross = luma.new_tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / 3**0.5
        matrix = matrix + across * cross
    return matrix


def recolour(x: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """Apply each sample's map to images [n, c, h, w]; the same shape.

    >>> recolour(torch.tensor([[[[1.0]], [[0.0]]]]), torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]), torch.tensor([[0.5, 0.0]])).flatten().tolist()
    [0.5, 1.0]
    """
    return torch.baddbmm(offset.unsqueeze(2), matrix, x.flatten(2)).view(x.shape)
