"""Geometric augmentation: pixel blitting and general affine maps, executed without aliasing.

Karras et al. 2020 (arXiv:2006.06676), Appendix B. All maps of a sample are one affine map; the image is reflected at its border, upsampled twofold
by sym6, sampled bilinearly along the map and downsampled by sym6. Each of these steps is linear in the image, and all of them act along one axis at
a time unless the sample is turned by an arbitrary angle. So

- a sample that nothing happens to is not touched,
- one that is flipped, turned by right angles, moved or scaled is multiplied by one matrix an axis,
- one that is turned by another angle is upsampled where its map looks, sampled, and downsampled.

Axes: n batch, c channels, h w image, s one axis, j places along an axis, g k places of the finer image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from saddlepoint.views.chance import Chance
from saddlepoint.views.warp import warp, warp_reference
from saddlepoint.views.wavelets import SYM6, downsampling, padded_size, reflected, upsampling

INTEGER_MAX, SCALE_STD, ANISOTROPY_STD, FRACTION_STD = 0.125, 0.2, 0.2, 0.125  # of the paper; translations are shares of the image, scales log2


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Strengths of the geometric transformations: each happens with probability strength * p. 0 is off.

    Attributes:
        xflip: mirrored left to right with probability a half.
        rotate90: turned by 0, 90, 180 or 270 degrees.
        integer: moved by whole pixels, up to an eighth of the image either way.
        scale: both axes scaled by 2^(0.2 N).
        rotate: turned by any angle, half of it before and half after ``aniso``.
        aniso: one axis scaled by 2^(0.2 N), the other by its inverse.
        fraction: moved by 0.125 N of the image.
    """

    xflip: float = 0.0
    rotate90: float = 0.0
    integer: float = 0.0
    scale: float = 0.0
    rotate: float = 0.0
    aniso: float = 0.0
    fraction: float = 0.0

    @property
    def on(self) -> bool:
        """Whether anything can happen."""
        return any(vars(self).values())


class Affine:
    """Where each sample's output pixels come from: x_in = linear x_out + shift, in pixels from the middle of the image, x right and y down.

    Every method adds a map that happens to the sample after those before it, and so comes first on the way back.

    Attributes:
        linear: shape [n, 2, 2].
        shift: shape [n, 2].
    """

    def __init__(self, n: int, like: Tensor) -> None:
        self.linear = torch.eye(2, dtype=like.dtype, device=like.device).expand(n, 2, 2)
        self.shift = torch.zeros(n, 2, dtype=like.dtype, device=like.device)

    def scale(self, x: Tensor, y: Tensor) -> None:
        """Scale by factors [n] along the axes."""
        self.linear = self.linear / torch.stack([x, y], 1).unsqueeze(1)

    def turn(self, cos: Tensor, sin: Tensor) -> None:
        """Turn by an angle, given by its cosine and sine [n]."""
        self.linear = self.linear @ torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)

    def move(self, x: Tensor, y: Tensor) -> None:
        """Move by pixels [n]."""
        self.shift = self.shift - (self.linear @ torch.stack([x, y], 1).unsqueeze(2)).squeeze(2)


def draw_affine(geometry: Geometry, chance: Chance, height: int, width: int) -> Affine:
    """Draw each sample's map, in the paper's order."""
    nothing = chance.zeros
    affine = Affine(len(nothing), nothing)
    if geometry.xflip:
        flipped = chance.happens(geometry.xflip) & (chance.uniform() >= 0.5)
        affine.scale(1 - 2 * flipped.to(nothing), nothing + 1)
    if geometry.rotate90:
        quarter = torch.where(chance.happens(geometry.rotate90), (chance.uniform() * 4).floor(), nothing)
        cos, sin = ((quarter == at).to(nothing) - (quarter == at + 2).to(nothing) for at in (0, 1))
        affine.turn(cos, sin)
    if geometry.integer:
        moved = chance.happens(geometry.integer)
        x, y = (torch.where(moved, (INTEGER_MAX * (2 * chance.uniform() - 1) * size).round(), nothing) for size in (width, height))
        affine.move(x, y)
    if geometry.scale:
        size = torch.where(chance.happens(geometry.scale), (SCALE_STD * chance.normal()).exp2(), nothing + 1)
        affine.scale(size, size)
    if geometry.rotate:
        _turn_by_any_angle(affine, torch.where(chance.happens_in_halves(geometry.rotate), _angle(chance), nothing))
    if geometry.aniso:
        size = torch.where(chance.happens(geometry.aniso), (ANISOTROPY_STD * chance.normal()).exp2(), nothing + 1)
        affine.scale(size, 1 / size)
    if geometry.rotate:
        after = torch.where(chance.happens_in_halves(geometry.rotate), _angle(chance), nothing)
        _turn_by_any_angle(affine, after if chance.percentile is None else nothing)
    if geometry.fraction:
        moved = chance.happens(geometry.fraction)
        x, y = (torch.where(moved, FRACTION_STD * chance.normal() * size, nothing) for size in (width, height))
        affine.move(x, y)
    return affine


def _angle(chance: Chance) -> Tensor:
    return math.pi * (2 * chance.uniform() - 1)


def _turn_by_any_angle(affine: Affine, angle: Tensor) -> None:
    affine.turn(angle.cos(), angle.sin())


def transform(x: Tensor, affine: Affine) -> Tensor:
    """Execute each sample's map on images [n, c, h, w]; the same shape."""
    linear = affine.linear
    straight = (linear[:, 0, 1] == 0) & (linear[:, 1, 0] == 0)
    still = straight & (linear[:, 0, 0] == 1) & (linear[:, 1, 1] == 1) & (affine.shift == 0).all(1)
    if x.shape[2] == x.shape[3]:
        straight = straight | ((linear[:, 0, 0] == 0) & (linear[:, 1, 1] == 0))
    kind = torch.where(still, 0, torch.where(straight, 1, 2))
    out = x
    for number, execute in ((1, along_axes), (2, anywhere)):
        rows = (kind == number).nonzero().squeeze(1)
        if len(rows) == len(x):
            return execute(x, linear, affine.shift)
        if len(rows):
            out = out.index_copy(0, rows, execute(x[rows], linear[rows], affine.shift[rows]))
    return out


def along_axes(x: Tensor, linear: Tensor, shift: Tensor) -> Tensor:
    """Samples whose map is diagonal, or off-diagonal and the images square: one matrix an axis.

    Args:
        x: images, shape [n, c, h, w].
        linear: shape [n, 2, 2].
        shift: shape [n, 2].
    """
    turned = linear[:, 0, 0] == 0
    x = torch.where(turned.view(-1, 1, 1, 1), x.transpose(2, 3), x) if x.shape[2] == x.shape[3] else x
    factors = torch.where(turned.unsqueeze(1), torch.stack([linear[:, 1, 0], linear[:, 0, 1]], 1), linear.diagonal(dim1=1, dim2=2))  # n 2
    shift = torch.where(turned.unsqueeze(1), shift.flip(1), shift)
    across, down = (_axis_matrix(x, factors[:, axis], shift[:, axis], x.shape[3 - axis]) for axis in (0, 1))  # n w w, n h h
    n, c, h, w = x.shape
    x = (x.reshape(n, c * h, w) @ across.transpose(1, 2)).view(n, c, h, w)
    return down.unsqueeze(1) @ x


def _axis_matrix(x: Tensor, factor: Tensor, shift: Tensor, size: int) -> Tensor:
    """Upsampling, sampling along a line and downsampling as one matrix a sample, shape [n, s, s]."""
    fine = upsampling(size, x.dtype, x.device)
    place = _fine_place(factor.unsqueeze(1) * _places(x, size) + shift.unsqueeze(1), size)  # n j
    left = place.floor()
    share = (place - left).unsqueeze(2)
    first, second = (fine[(left + step).clamp(0, len(fine) - 1).long()] for step in (1, 2))  # n j s; row 0 of the matrix is outside
    return downsampling(size, x.dtype, x.device) @ torch.lerp(first, second, share.to(x.dtype))


def anywhere(x: Tensor, linear: Tensor, shift: Tensor) -> Tensor:
    """Samples with any map: upsample the part that the map looks at, sample, downsample.

    Args:
        x: images, shape [n, c, h, w].
        linear: shape [n, 2, 2].
        shift: shape [n, 2].
    """
    height, width = x.shape[2:]
    columns, rows = _places(linear, width), _places(linear, height)  # k, g
    corners = torch.stack([torch.cartesian_prod(columns[[0, -1]], rows[[0, -1]])])  # 1 4 2
    reach = corners @ linear.transpose(1, 2) + shift.unsqueeze(1)  # n 4 2
    parts, lows, sizes = [], [], []
    for axis, size in enumerate((width, height)):
        low, length = _window(_fine_place(reach[:, :, axis], size), 2 * padded_size(size))
        parts.append(upsampling(size, x.dtype, x.device)[low.unsqueeze(1) + torch.arange(1, length + 1, device=x.device)])  # n length s
        lows.append(low)
        sizes.append(length)
    n, c, _, _ = x.shape
    across, down = parts
    fine = (x.reshape(n, c * height, width) @ across.transpose(1, 2)).view(n, c, height, -1)
    fine = down.unsqueeze(1) @ fine  # n c lengths
    offset = torch.stack([padded_size(size) - low - 0.5 for low, size in zip(lows, (width, height), strict=True)], 1)
    scale = 2 / linear.new_tensor(sizes)
    linear, shift = 2 * scale.unsqueeze(1) * linear, scale * (2 * shift + offset) - 1
    by_column = columns.view(1, 1, -1, 1) * linear[:, None, None, :, 0]  # n 1 k 2
    by_row = rows.view(1, -1, 1, 1) * linear[:, None, None, :, 1] + shift.view(-1, 1, 1, 2)  # n g 1 2
    fine = warp(fine, (by_column + by_row).to(x.dtype))
    return downsampling(height, x.dtype, x.device) @ (fine @ downsampling(width, x.dtype, x.device).T)


def transform_reference(x: Tensor, affine: Affine) -> Tensor:
    """The same as :func:`transform` by its definition, step by step: reflect, zeros between pixels, filter, sample, filter, every second pixel."""
    n, c, height, width = x.shape
    taps = torch.tensor(SYM6, dtype=x.dtype, device=x.device) / 2**0.5
    margins = [(padded_size(size) - size) // 2 for size in (height, width)]
    rows, columns = (reflected(torch.arange(-m, size + m, device=x.device), size) for m, size in zip(margins, (height, width), strict=True))
    x = x[:, :, rows][:, :, :, columns]
    fine = x.new_zeros(n, c, 2 * x.shape[2], 2 * x.shape[3])
    fine[:, :, ::2, ::2] = 4 * x
    fine = _filtered(pad(fine, [6, 5, 6, 5]), taps.flip(0))
    below, right = torch.meshgrid(_places(x, height), _places(x, width), indexing="ij")
    source = torch.einsum("nij,ghj->nghi", affine.linear, torch.stack([right, below], 2)) + affine.shift.view(n, 1, 1, 2)  # n g k 2
    sizes = source.new_tensor([fine.shape[3], fine.shape[2]])
    fine = warp_reference(fine, (2 * source - 0.5) / (sizes / 2))
    return _filtered(fine, taps)[:, :, ::2, ::2]


def _filtered(x: Tensor, taps: Tensor) -> Tensor:
    c, across = x.shape[1], taps.expand(x.shape[1], 1, 1, -1)
    return conv2d(conv2d(x, across, groups=c), across.transpose(2, 3), groups=c)


def _places(like: Tensor, size: int) -> Tensor:
    """Where the finer output pixels that the downsampling reads lie, in pixels from the middle, shape [2s + 10]."""
    return (torch.arange(2 * size + 10, dtype=like.dtype, device=like.device) - (size + 4)) / 2


def _fine_place(place: Tensor, size: int) -> Tensor:
    """Index among the finer pixels of the reflected image, of a place in pixels from the middle."""
    return 2 * place + (padded_size(size) - 1)


def _window(places: Tensor, limit: int) -> tuple[Tensor, int]:
    """First index [n] and common length of the stretches of [0, limit) that hold each sample's places [n, m] and their neighbours."""
    low = places.amin(1).floor().clamp(0, limit - 2)
    high = (places.amax(1).floor() + 1).clamp(1, limit - 1)
    length = int((high - low).max()) + 1
    return low.clamp(max=limit - length).long(), length
