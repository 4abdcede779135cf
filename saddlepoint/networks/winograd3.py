"""The 3x3 convolution with 36 multiplications for 16 pixels in place of 144: Winograd's F(4x4, 3x3) over tiles (Lavin & Gray 2016, arXiv:1509.09308).

    Y = A' [sum_c (B' d B) (G g G')] A          d 6x6 pixels of the image, g 3x3 kernel, Y 4x4 pixels of the result

Along one axis the matrices evaluate d and g, read as polynomials, at 0, 1, -1, 2, -2 and infinity, and interpolate their product. Each step is one
matrix product over all tiles; the products over channels are 36. The image is worked off in strips of tiles that stay in the cache. The adjoint is
the convolution with the kernel turned around; the kernel's gradient runs the same maps backwards. Rounding errors are about five times those of the
direct way (at most 5e-5 against 1e-5 of the result's deviation, at 128 channels).

Axes: n batch, c channels in, o channels out, h w image, t tiles of a strip.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

LEAST_CHANNELS = 2**14  # channels in x out from which it is faster
LEAST_TILES, LEAST_TILES_KERNEL = 128, 64  # tiles of a batch from which it is faster: the convolution and its adjoint, the kernel's gradient
STRIP = 256  # tiles that are worked on together, at most
B = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
G = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]  # of 24
A = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


class Maps(NamedTuple):
    """The three maps along one axis: of the image [6, 6], of the kernel [6, 3], to the result [4, 6]."""

    image: Tensor
    kernel: Tensor
    result: Tensor


@functools.cache
def maps(dtype: torch.dtype) -> Maps:
    """The maps in a floating type, rounded once."""
    b, g, a = (torch.tensor(rows, dtype=torch.float64) for rows in (B, G, A))
    return Maps(b.to(dtype), (g / 24).to(dtype), a.to(dtype))


def _both(map: Tensor, values: Tensor, spare: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """A map [p, q] along both leading axes of values [q, q, ...]: [p p, the rest]; worked out in the two flat tensors where they are given."""
    p, q = map.shape
    rest = values.numel() // (q * q)
    once, twice = (torch.empty(p * p * q * rest, dtype=map.dtype) for _ in range(2)) if spare is None else spare
    once, twice = once[: p * q * rest].view(p, q, rest), twice[: p * p * rest].view(p, p, rest)
    torch.mm(map, values.reshape(q, q * rest), out=once.view(p, q * rest))
    torch.bmm(map.expand(p, p, q), once, out=twice)
    return twice.view(p * p, rest)


def fits(x: Tensor, weight: tuple[int, ...], stride: int, padding: int, groups: int, *, result: bool = False, least: int = LEAST_TILES) -> bool:
    """Whether a convolution of x, or its adjoint, is of this kind, on a CPU in float32, and large enough to gain.

    Args:
        x: [n, c, h, w].
        weight: shape of the kernel, [o, c, k, k].
        stride: of the convolution.
        padding: of it, 0 or 1.
        groups: of it.
        result: x is a result of the convolution, whose adjoint is asked for.
        least: tiles.
    """
    if torch.compiler.is_exporting():  # other programs choose for themselves
        return False
    if weight[0] * weight[1] < LEAST_CHANNELS or tuple(weight[2:]) != (3, 3) or (stride, groups) != (1, 1) or padding not in (0, 1):
        return False
    n, _, h, w = x.shape
    h, w = (h, w) if result else (h + 2 * padding - 2, w + 2 * padding - 2)
    return h % 4 == 0 == w % 4 and n * h * w >= 16 * least and x.device.type == "cpu" and x.dtype == torch.float32


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None, padding: int = 1) -> Tensor:
    """Convolution of x [n, c, h, w] with a kernel [o, c, 3, 3] and a bias [o]: [n, o, h', w'], h' = h + 2 padding - 2, w' likewise; channels_last.

    Sides of the result that 4 does not divide are made larger and cut.

    >>> x, kernel = torch.arange(32.0).view(1, 2, 4, 4), torch.arange(54.0).view(3, 2, 3, 3)
    >>> torch.allclose(convolve(x, kernel), torch.nn.functional.conv2d(x, kernel, padding=1))
    True
    """
    (n, c), size, (h, w) = x.shape[:2], _result(x, padding), _whole(x, padding)
    o, to = kernel.shape[0], maps(x.dtype)
    factors = _both(to.kernel, kernel.permute(2, 3, 1, 0)).view(36, c, o)
    shift = x.new_zeros(()) if bias is None else bias
    y = torch.empty((n, o, h, w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    pixels = y.permute(0, 2, 3, 1).view(n, h // 4, 4, w // 4, 4, o)
    one, two = (x.new_empty(36 * _tiles(n, h, w) * max(c, o)) for _ in range(2))  # in turn: what the cache holds stays small
    for images, rows, tiles in _strips(x, one, padding):
        image = _both(to.image, tiles, (two, one)).view(36, -1, c)  # 36 t c
        products = two[: 36 * image.shape[1] * o].view(36, -1, o)
        torch.bmm(image, factors, out=products)
        result = _both(to.result, products.view(6, 6, -1), (one, two))  # 16 (t o)
        strip = pixels[images, rows].permute(2, 4, 0, 1, 3, 5)  # 4 4 n h/4 w/4 o
        torch.add(result.view(strip.shape), shift, out=strip)
    return y if (h, w) == size else y[:, :, : size[0], : size[1]]


def adjoint(y: Tensor, kernel: Tensor, bias: Tensor | None = None, padding: int = 1) -> Tensor:
    """The adjoint of :func:`convolve`, for y [n, o, h', w'] and a kernel [o, c, 3, 3], plus a bias [c]: [n, c, h, w], channels_last."""
    return convolve(y, kernel.flip(2, 3).transpose(0, 1), bias, 2 - padding)


def kernel_gradient(x: Tensor, y: Tensor, padding: int = 1) -> Tensor:
    """Derivative of <conv(x, kernel), y> by the kernel: x [n, c, h, w] and y [n, o, h', w'] to [o, c, 3, 3]; h' and w' divisible by 4."""
    n, o, h, w = y.shape
    c, to = x.shape[1], maps(x.dtype)
    pixels = y.permute(0, 2, 3, 1).contiguous().view(n, h // 4, 4, w // 4, 4, o)
    factors = x.new_zeros(36, c, o)
    one, two, three = (x.new_empty(36 * _tiles(n, h, w) * max(c, o)) for _ in range(3))
    for images, rows, tiles in _strips(x, one, padding):
        image = _both(to.image, tiles, (two, one)).view(36, -1, c)  # 36 t c
        result = pixels[images, rows].permute(2, 4, 0, 1, 3, 5)  # 4 4 n h/4 w/4 o
        products = _both(to.result.T, result, (two, three)).view(36, -1, o)  # 36 t o
        factors.baddbmm_(image.transpose(1, 2), products)
    kernel = _both(to.kernel.T, factors.view(6, 6, -1))  # 9 (c o)
    return kernel.view(3, 3, c, o).permute(3, 2, 0, 1)


def _result(x: Tensor, padding: int) -> tuple[int, int]:
    """Height and width of the result of a convolution of x."""
    return x.shape[2] + 2 * padding - 2, x.shape[3] + 2 * padding - 2


def _whole(x: Tensor, padding: int) -> tuple[int, int]:
    """The same, of whole tiles."""
    h, w = _result(x, padding)
    return -(-h // 4) * 4, -(-w // 4) * 4


def _cut(n: int, h: int, w: int) -> tuple[int, int]:
    """How many images of n results [h, w], and how many rows of tiles, make a strip."""
    return max(1, min(n, STRIP * 16 // (2 * h * w))), max(1, min(h // 4, STRIP * 4 // w))


def _tiles(n: int, h: int, w: int) -> int:
    """Tiles of a strip."""
    images, rows = _cut(n, h, w)
    return images * rows * (w // 4)


def _strips(x: Tensor, spare: Tensor, padding: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Cut x [n, c, h, w] into strips: the images and rows of tiles that each covers, and its tiles' pixels [6, 6, ..., c], laid into ``spare``."""
    (n, c), (h, w) = x.shape[:2], _whole(x, padding)
    images, rows = _cut(n, h, w)
    padded = x.new_zeros(images, 4 * rows + 2, w + 2, c)
    pixels = x.permute(0, 2, 3, 1)  # n h w c
    step, line = padded.stride(0), padded.stride(1)
    for first in range(0, n, images):
        for top in range(0, h // 4, rows):
            count, some = min(rows, h // 4 - top), min(images, n - first)
            _window(pixels[first : first + some], 4 * top - padding, padding, padded[:some, : 4 * count + 2])
            shape, strides = (6, 6, some, count, w // 4, c), (line, c, step, 4 * line, 4 * c, 1)
            tiles = spare[: math.prod(shape)].view(shape)
            tiles.copy_(padded.as_strided(shape, strides))
            yield slice(first, first + some), slice(top, top + count), tiles


def _window(pixels: Tensor, start: int, left: int, padded: Tensor) -> None:
    """Copy the rows of an image [n, h, w, c] from ``start`` on into ``padded`` [n, rows, w', c], from column ``left`` on; zeros where it has none."""
    h, rows, w = pixels.shape[1], padded.shape[1], pixels.shape[2]
    above, below = max(-start, 0), max(start + rows - h, 0)
    padded[:, :above] = 0
    padded[:, rows - below :] = 0
    padded[:, above : rows - below, left : left + w].copy_(pixels[:, start + above : start + rows - below])
