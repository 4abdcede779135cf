"""The 3x3 convolution with 36 multiplications for 16 pixels in place of 144: Winograd's F(4x4, 3x3) over tiles (Lavin & Gray 2016, arXiv:1509.09308).

    Y = A' [sum_c (B' d B) (G g G')] A          d 6x6 pixels of the image, g kernel, Y 4x4 pixels of the result; 3x3 pixels for a 4x4 kernel

Along one axis the matrices evaluate d and g, read as polynomials, at 0, 1, -1, 2, -2 and infinity, and interpolate their product; with the same
points a 4x4 kernel takes 36 in place of 144 for 9 pixels. Each step is one matrix product over all tiles; the products over channels are 36. The
image is worked off in strips of tiles that stay in the cache. The adjoint and the kernel's gradient run the same maps backwards. Rounding errors are
about five times those of the direct way (at most 5e-5 against 1e-5 of the result's deviation, at 128 channels).

What is made of a kernel, G g G', is kept as long as a graph needs it, and serves every convolution by the same kernel until the kernel moves.

Two threads work on half of the images each, from the first step to the last. A line of memory that the other thread wrote is slow to come where their
processors share no cache: with steps cut in different ways, two distant processors took as long as one. A product of many matrices is cut by
its first axis, and so are sums and copies in memory; a step's results lie around the middle of their memory, where the second half begins.

Axes: s halves or the whole, n batch of each, c channels in, o channels out, h w image, k kernel's side, m = 7 - k side of a tile's result, t tiles of
a strip, r q their rows and columns.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks.kept import Kept

LEAST_CHANNELS = 2**14  # channels in x out from which it is faster
MANY_CHANNELS = 2**16  # the same where tiles are few
LEAST_TILES, FEW_TILES, LEAST_TILES_4 = 128, 64, 24  # tiles of a batch from which it is faster: 3x3, with many channels or by the kernel; 4x4
LEAST_SHARE = 4  # factors of an image for one of the kernel from which each thread takes a half of the images
STRIP = 256  # tiles that are worked on together, at most
B = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
POINTS = (0, 1, -1, 2, -2)  # and infinity
SCALES = (6, -4, -4, 1, 1)  # of 24
_kept = {s: Kept() for s in (1, 2)}


class Maps(NamedTuple):
    """The maps of the image [6, 6] and to the result [m, 6] along one axis, and that of the kernel along both [36, k k]."""

    image: Tensor
    kernel: Tensor
    result: Tensor


@functools.cache
def maps(dtype: torch.dtype, k: int = 3) -> Maps:
    """The maps in a floating type for kernels of side 3 or 4, rounded once."""
    g = [[scale * point**power for power in range(k)] for point, scale in zip(POINTS, SCALES, strict=True)] + [[0] * (k - 1) + [24]]
    a = [[*(point**power for point in POINTS), int(power == 6 - k)] for power in range(7 - k)]
    image, kernel, result = (torch.tensor(rows, dtype=torch.float64) for rows in (B, g, a))
    return Maps(image.to(dtype), torch.kron(kernel / 24, kernel / 24).to(dtype), result.to(dtype))


def both(map: Tensor, values: Tensor, once: Tensor, twice: Tensor) -> Tensor:
    """A map [p, q] along two axes of values [s, q, q, ...]: [s, p p, the rest]; worked out in two flat tensors."""
    (p, q), s = map.shape, len(values)
    rest = values.numel() // (s * q * q)
    once, twice = _middle(once, s * p * q * rest), _middle(twice, s * p * p * rest)
    torch.bmm(map.expand(s, p, q), values.reshape(s, q, q * rest), out=once.view(s, p, q * rest))
    torch.bmm(map.expand(s * p, p, q), once.view(s * p, q, rest), out=twice.view(s * p, p, rest))
    return twice.view(s, p * p, rest)


def shares(n: int, rows: int, columns: int, channels: tuple[int, int]) -> int:
    """How many parts n images of so many tiles are cut into: two for two threads, if n is even and the kernel's factors, read by both, are few."""
    halved = n % 2 == 0 and n * rows * columns * sum(channels) >= LEAST_SHARE * channels[0] * channels[1]
    return 2 if halved and torch.get_num_threads() == 2 else 1


def fits(x: Tensor, weight: tuple[int, ...], stride: int, padding: int, groups: int, *, result: bool = False, by_kernel: bool = False) -> bool:
    """Whether a convolution of x, or its adjoint, is of this kind, on a CPU in float32, and large enough to gain.

    Args:
        x: [n, c, h, w].
        weight: shape of the kernel, [o, c, k, k].
        stride: of the convolution.
        padding: of it, 0 or 1.
        groups: of it.
        result: x is a result of the convolution, whose adjoint is asked for.
        by_kernel: the kernel's gradient is asked for.
    """
    if torch.compiler.is_exporting():  # other programs choose for themselves
        return False
    channels, k = weight[0] * weight[1], weight[2]
    if channels < LEAST_CHANNELS or tuple(weight[2:]) not in ((3, 3), (4, 4)) or (stride, groups) != (1, 1) or padding not in (0, 1):
        return False
    n, _, h, w = x.shape
    h, w = (h, w) if result else (h + 2 * padding - k + 1, w + 2 * padding - k + 1)
    least = LEAST_TILES_4 if k == 4 else FEW_TILES if by_kernel or channels >= MANY_CHANNELS else LEAST_TILES
    whole = h % (7 - k) == 0 == w % (7 - k) or (k == 4 and min(h, w) > 15)
    many = channels >= MANY_CHANNELS or k == 3
    return whole and many and n * _count(h, k) * _count(w, k) >= least and x.device.type == "cpu" and x.dtype == torch.float32


def factors(kernel: Tensor, x: Tensor, padding: int = 1) -> Tensor:
    """What is made of a kernel [o, c, k, k] for x, [s 36, o, c]; the same tensor again while it is held elsewhere and the kernel has not moved."""
    k = kernel.shape[2]
    rows, columns = (_count(side + 2 * padding - k + 1, k) for side in x.shape[2:])
    return _factors_of(kernel, shares(len(x), rows, columns, (kernel.shape[0], kernel.shape[1])))


def _factors_of(kernel: Tensor, s: int) -> Tensor:
    return _kept[s].of(kernel, functools.partial(_factors, s=s))


@torch.no_grad()
def _factors(kernel: Tensor, s: int = 1) -> Tensor:
    o, c, k = kernel.shape[:3]
    matrices = kernel.detach().permute(0, 2, 3, 1).reshape(o, k * k, c)  # a view where it lies in channels_last order
    made = torch.bmm(maps(kernel.dtype, k).kernel.expand(o, 36, k * k), matrices).transpose(0, 1)
    return made if s == 1 else made.repeat(s, 1, 1)


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None, padding: int = 1, made: Tensor | None = None) -> Tensor:
    """Convolution of x [n, c, h, w] with a kernel [o, c, k, k] and a bias [o]: [n, o, h', w'], h' = h + 2 padding - k + 1; channels_last.

    Sides of the result that m = 7 - k does not divide are made larger and cut. ``made``: the kernel's factors.

    >>> x, kernel = torch.arange(32.0).view(1, 2, 4, 4), torch.arange(54.0).view(3, 2, 3, 3)
    >>> torch.allclose(convolve(x, kernel), torch.nn.functional.conv2d(x, kernel, padding=1))
    True
    """
    (n, c), (o, k) = x.shape[:2], (kernel.shape[0], kernel.shape[2])
    h, w = (side + 2 * padding - k + 1 for side in x.shape[2:])
    rows, columns, m, to = _count(h, k), _count(w, k), 7 - k, maps(x.dtype, k)
    s = shares(n, rows, columns, (o, c))
    made = _factors_of(kernel, s) if made is None else made
    shift = x.new_zeros(()) if bias is None else bias
    y = torch.empty((n, o, m * rows, m * columns), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    pixels = y.permute(0, 2, 3, 1).view(s, n // s, rows, m, columns, m, o)
    one, two = (x.new_empty(36 * _tiles(n, s, rows, columns) * max(c, o)) for _ in range(2))  # in turn: what the cache holds stays small
    for images, some, tiles in _strips(x, one, k, padding, s):
        image = both(to.image, tiles, two, one).view(36 * s, -1, c)  # (s 36) t c
        products = _middle(two, image.numel() // c * o).view(36 * s, -1, o)
        torch.bmm(image, made.transpose(1, 2), out=products)
        result = both(to.result, products.view(s, 6, 6, -1), one, two)  # s (m m) (t o)
        strip = pixels[:, images, some].permute(0, 3, 5, 1, 2, 4, 6)  # s m m n r q o
        torch.add(result.view(strip.shape), shift, out=strip)
    return y if y.shape[2:] == (h, w) else y[:, :, :h, :w].clone(memory_format=torch.channels_last)  # autograd takes no view


def adjoint(y: Tensor, kernel: Tensor, bias: Tensor | None = None, padding: int = 1, made: Tensor | None = None) -> Tensor:
    """The adjoint of :func:`convolve`, for y [n, o, h', w'] and a kernel [o, c, k, k], plus a bias [c]: [n, c, h, w], channels_last."""
    (n, o), (c, k) = y.shape[:2], kernel.shape[1:3]
    if padding == 1 and k == 3 and o * c < MANY_CHANNELS:  # as many tiles, and no overlaps to add: the convolution with the kernel turned around
        turned = kernel.flip(2, 3).transpose(0, 1)
        return convolve(y, turned, bias, 1, factors(turned, y))
    h, w = (side + k - 1 - 2 * padding for side in y.shape[2:])
    s = shares(n, _count(y.shape[2], k), _count(y.shape[3], k), (o, c))
    pixels, to = _pixels(y, k, s), maps(y.dtype, k)  # s n r m q m o
    rows, m, columns = pixels.shape[2:5]
    made = _factors_of(kernel, s) if made is None else made
    x = y.new_zeros(n, m * rows + k - 1, m * columns + k - 1, c)
    one, two = (y.new_empty(36 * _tiles(n, s, rows, columns) * max(c, o)) for _ in range(2))
    for images, some in _cuts(n, s, rows, columns):
        spread = both(to.result.T, pixels[:, images, some].permute(0, 3, 5, 1, 2, 4, 6), two, one).view(36 * s, -1, o)  # (s 36) t o
        products = _middle(two, spread.numel() // o * c).view(36 * s, -1, c)
        torch.bmm(spread, made, out=products)
        count = some.stop - some.start
        tiles = both(to.image.T, products.view(s, 6, 6, -1), one, two).view(s, 6, 6, -1, count, columns, c)
        strip = x.view(s, n // s, *x.shape[1:])[:, images, m * some.start :]
        for a in range(6):
            for b in range(6):  # neighbouring tiles overlap
                strip[:, :, a : a + m * count : m, b : b + m * columns : m] += tiles[:, a, b]
    image = torch.empty((n, c, h, w), dtype=y.dtype, device=y.device, memory_format=torch.channels_last)
    image.permute(0, 2, 3, 1).copy_(x[:, padding : padding + h, padding : padding + w])
    return image if bias is None else image.add_(bias.view(-1, 1, 1))


def kernel_gradient(x: Tensor, y: Tensor, padding: int = 1) -> Tensor:
    """Derivative of <conv(x, kernel), y> by the kernel: x [n, c, h, w] and y [n, o, h', w'] to [o, c, k, k], channels_last."""
    k = x.shape[2] + 2 * padding - y.shape[2] + 1
    (n, o), c, to = y.shape[:2], x.shape[1], maps(x.dtype, k)
    rows, columns = _count(y.shape[2], k), _count(y.shape[3], k)
    s = shares(n, rows, columns, (o, c))
    pixels = _pixels(y, k, s)  # s n r m q m o
    made, started = x.new_empty(36 * s, o, c), False
    one, two, three = (x.new_empty(36 * _tiles(n, s, rows, columns) * max(c, o)) for _ in range(3))
    for images, some, tiles in _strips(x, one, k, padding, s):
        image = both(to.image, tiles, two, one).view(36 * s, -1, c)  # (s 36) t c
        spread = both(to.result.T, pixels[:, images, some].permute(0, 3, 5, 1, 2, 4, 6), two, three).view(36 * s, -1, o)  # (s 36) t o
        made.baddbmm_(spread.transpose(1, 2), image, beta=int(started))
        started = True
    made = made.view(s, 36, o, c).sum(0) if s > 1 else made
    kernel = torch.empty((o, c, k, k), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    torch.bmm(to.kernel.T.expand(o, k * k, 36), made.transpose(0, 1), out=kernel.permute(0, 2, 3, 1).view(o, k * k, c))
    return kernel


def _middle(flat: Tensor, count: int) -> Tensor:
    """So many numbers around the middle of a flat tensor: its halves stay those of the threads."""
    before = (len(flat) - count) // 2
    return flat[before : before + count]


def _count(side: int, k: int) -> int:
    """Tiles along a side of the result."""
    return -(-side // (7 - k))


def _pixels(y: Tensor, k: int, s: int) -> Tensor:
    """A result [s n, o, h, w] in tiles, [s, n, r, m, q, m, o], zeros behind its borders."""
    (n, o, h, w), m = y.shape, 7 - k
    rows, columns = _count(h, k), _count(w, k)
    if (m * rows, m * columns) != (h, w):
        y = F.pad(y, (0, m * columns - w, 0, m * rows - h))
    return y.permute(0, 2, 3, 1).contiguous().view(s, n // s, rows, m, columns, m, o)


def _cut(n: int, s: int, rows: int, columns: int) -> tuple[int, int]:
    """How many images of each of s parts of n, and how many of their rows of tiles, make a strip."""
    return max(1, min(n // s, STRIP // (2 * s * rows * columns))), max(1, min(rows, STRIP // (s * columns)))


def _tiles(n: int, s: int, rows: int, columns: int) -> int:
    """Tiles of a strip."""
    images, some = _cut(n, s, rows, columns)
    return s * images * some * columns


def _cuts(n: int, s: int, rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """The images of a part and the rows of tiles of every strip."""
    images, some = _cut(n, s, rows, columns)
    for first in range(0, n // s, images):
        for top in range(0, rows, some):
            yield slice(first, min(first + images, n // s)), slice(top, min(top + some, rows))


def _strips(x: Tensor, spare: Tensor, k: int, padding: int, s: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Cut x [s n, c, h, w] into strips: the images and rows of tiles that each covers, and its tiles' pixels [s, 6, 6, ..., c], in ``spare``."""
    (n, c), m = x.shape[:2], 7 - k
    rows, columns = (_count(side + 2 * padding - k + 1, k) for side in x.shape[2:])
    images, some = _cut(n, s, rows, columns)
    padded = x.new_zeros(s, images, m * some + k - 1, max(m * columns + k - 1, x.shape[3] + padding), c)
    pixels = x.permute(0, 2, 3, 1).view(s, n // s, *x.shape[2:], c)  # s n h w c
    half, step, line = padded.stride()[:3]
    for which, lines in _cuts(n, s, rows, columns):
        shown, count = which.stop - which.start, lines.stop - lines.start
        _window(pixels[:, which], m * lines.start - padding, padding, padded[:, :shown, : m * count + k - 1])
        tiles = _middle(spare, 36 * s * shown * count * columns * c).view(s, 6, 6, shown, count, columns, c)
        tiles.copy_(padded.as_strided(tiles.shape, (half, line, c, step, m * line, m * c, 1)))
        yield which, lines, tiles


def _window(pixels: Tensor, start: int, left: int, padded: Tensor) -> None:
    """Copy the rows of images [..., h, w, c] from ``start`` on into ``padded`` [..., rows, w', c], from column ``left`` on; else zeros."""
    (h, w), rows = pixels.shape[-3:-1], padded.shape[-3]
    above, below = max(-start, 0), max(start + rows - h, 0)
    padded[..., :above, :, :] = 0
    padded[..., rows - below :, :, :] = 0
    padded[..., above : rows - below, left : left + w, :].copy_(pixels[..., start + above : start + rows - below, :, :])
