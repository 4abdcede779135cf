"""The 4x4 convolution of stride 2 with 9 multiplications in place of 16: Winograd's F(2x2, 2x2) over blocks of pixels.

Read in blocks of 2x2 pixels (the image padded by one), a 4x4 convolution of stride 2 is a 2x2 convolution of stride 1 over four times the channels.
Along one axis, two neighbouring outputs of a filter of two taps need three products in place of four (Winograd 1980; Lavin & Gray 2016,
arXiv:1509.09308, section 4.1):

    y0 = d0 g0 + d1 g1 = (d0 - d1) g0 + d1 (g0 + g1)
    y1 = d1 g0 + d2 g1 =                d1 (g0 + g1) + (d2 - d1) g1

Nested over both axes that is nine matrix products over tiles of 2x2 outputs, between factors of the image (differences), of the kernel (sums) and of
the result, each made by additions alone. The adjoint and the kernel's gradient run the same maps backwards. It pays on a CPU where kernels are large
beside their images; ``python -m saddlepoint.studies.op_speed`` measures by how much.

Axes: n batch, c channels in, o channels out, h w result, a b place in a block, t tiles = n h/2 w/2; 3 3 the products along h and w.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.networks.kept import Kept

KERNEL_FROM = 2**15  # channels in x out from which the kernel's gradient is faster so
IMAGE_FROM = 2**17  # the same of the convolution and its adjoint
LEAST_PIXELS = 256  # of all small images of a batch together, from which the convolution and its adjoint are faster so
_kept = Kept()


def fits(small: Tensor, weight: tuple[int, ...], stride: int, padding: int, groups: int, least: int, pixels: int = 0) -> bool:
    """Whether a convolution is of this kind, on a CPU, and large enough to gain.

    Args:
        small: the smaller of its two images, [n, o, h, w].
        weight: shape of its kernel, [o, c, k, k].
        stride: of the convolution.
        padding: of its larger image.
        groups: of its channels.
        least: product of the kernel's channels from which it gains.
        pixels: of ``small``, over the batch, from which it gains.
    """
    if weight[0] * weight[1] < least or not halves(small, weight, stride, padding, groups):
        return False
    if small.shape[0] * small.shape[2] * small.shape[3] < pixels:
        return False
    return small.shape[2] % 2 == 0 and small.shape[3] % 2 == 0


def halves(small: Tensor, weight: tuple[int, ...], stride: int, padding: int, groups: int) -> bool:
    """Whether a convolution has a 4x4 kernel, stride 2 and padding 1, on a CPU in float32 or float64; arguments as of :func:`fits`."""
    if torch.compiler.is_exporting():  # other programs choose for themselves
        return False
    kind = tuple(weight[2:]) == (4, 4) and (stride, padding, groups) == (2, 1, 1)
    return kind and small.device.type == "cpu" and small.dtype in (torch.float32, torch.float64)


def factors(kernel: Tensor) -> Tensor:
    """What is made of a kernel [o, c, 4, 4]: [9, o, 4 c]; the same tensor again while it is held elsewhere and the kernel has not moved."""
    return _kept.of(kernel, _spread_kernel)


def convolve(x: Tensor, kernel: Tensor, made: Tensor | None = None) -> Tensor:
    """Convolution of x [n, c, 2h, 2w] with a kernel [o, c, 4, 4], stride 2, padding 1: [n, o, h, w], channels_last; h and w even.

    ``made``: the kernel's factors.

    >>> x, kernel = torch.arange(32.0).view(1, 2, 4, 4), torch.arange(96.0).view(3, 2, 4, 4)
    >>> torch.equal(convolve(x, kernel), torch.nn.functional.conv2d(x, kernel, stride=2, padding=1))
    True
    """
    n, o, h, w = x.shape[0], kernel.shape[0], x.shape[2] // 2, x.shape[3] // 2
    made = factors(kernel) if made is None else made
    products = _products(_spread_image(x), made.transpose(1, 2))  # 33 t o
    y = _empty_like(x, n, o, h, w)
    tiles = y.permute(0, 2, 3, 1).view(n, h // 2, 2, w // 2, 2, o)
    _gather(products.view(3, 3, n, h // 2, w // 2, o), tiles.permute(2, 4, 0, 1, 3, 5))
    return y


def adjoint(y: Tensor, kernel: Tensor, made: Tensor | None = None) -> Tensor:
    """Transposed convolution of y [n, o, h, w] with a kernel [o, c, 4, 4], stride 2, padding 1: [n, c, 2h, 2w], channels_last; h and w even."""
    n, _, h, w = y.shape
    made = factors(kernel) if made is None else made
    products = _products(_spread_result(y), made)  # 33 t (a b c)
    return _gather_image(products.view(3, 3, n, h // 2, w // 2, 2, -1))


def kernel_gradient(x: Tensor, y: Tensor) -> Tensor:
    """Derivative of <conv(x, kernel), y> by the kernel: x [n, c, 2h, 2w] and y [n, o, h, w] to [o, c, 4, 4], channels_last; h and w even."""
    o, c = y.shape[1], x.shape[1]
    products = _products(_spread_result(y).transpose(1, 2), _spread_image(x))  # 33 o (a b c)
    kernel = _empty_like(y, o, c, 4, 4)
    taps = kernel.permute(0, 2, 3, 1).view(o, 2, 2, 2, 2 * c)  # o tap_h a tap_w (b c)
    _gather(products.view(3, 3, o, 2, 2 * c), taps.permute(1, 3, 0, 2, 4))
    return kernel


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Nine products of matrices, [9, p, q] and [9, q, r] to [9, p, r]: eight for the threads to share out evenly, and one that they do together."""
    products = a.new_empty(9, a.shape[1], b.shape[2])
    torch.bmm(a[:8], b[:8], out=products[:8])
    torch.mm(a[8], b[8], out=products[8])
    return products


def _empty_like(x: Tensor, *shape: int) -> Tensor:
    """Memory of a shape in channels_last order; what is returned to autograd must not be a view."""
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _spread(pairs: Tensor) -> Tensor:
    """(first, sum, second) along both leading axes: [2, 2, ...] to [3, 3, ...]."""
    factors = pairs.new_empty(3, 3, *pairs.shape[2:])
    for p, row in ((0, pairs[0]), (2, pairs[1])):
        factors[p, 0].copy_(row[0])
        torch.add(row[0], row[1], out=factors[p, 1])
        factors[p, 2].copy_(row[1])
    torch.add(factors[0], factors[2], out=factors[1])
    return factors


def _gather(factors: Tensor, pairs: Tensor) -> None:
    """The adjoint of :func:`_spread`: (0 + 1, 1 + 2) along both leading axes of ``factors``, which is overwritten, into ``pairs``."""
    factors[0] += factors[1]
    factors[2] += factors[1]
    for i, p in ((0, 0), (1, 2)):
        torch.add(factors[p, 0], factors[p, 1], out=pairs[i, 0])
        torch.add(factors[p, 2], factors[p, 1], out=pairs[i, 1])


@torch.no_grad()
def _spread_kernel(kernel: Tensor) -> Tensor:
    """Factors of a kernel [o, c, 4, 4]: [9, o, (a b c)]."""
    o, c = kernel.shape[:2]
    taps = kernel.detach().permute(0, 2, 3, 1).reshape(o, 2, 2, 2, 2 * c)  # o tap_h a tap_w (b c)
    return _spread(taps.permute(1, 3, 0, 2, 4)).view(9, o, 4 * c)


def _spread_result(y: Tensor) -> Tensor:
    """Factors of y [n, o, h, w] in the adjoint maps: [9, t, o]."""
    n, o, h, w = y.shape
    tiles = y.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, o)
    return _spread(tiles.permute(2, 4, 0, 1, 3, 5)).view(9, n * h * w // 4, o)


def _spread_image(x: Tensor) -> Tensor:
    """Factors of x [n, c, 2h, 2w]: [9, t, (a b c)]; (d0 - d1, d1, d2 - d1) along both axes of its blocks."""
    n, c, height, width = x.shape
    h, w = height // 2, width // 2
    padded = x.new_empty(n, height + 2, width + 2, c)
    for border in (padded[:, 0], padded[:, -1], padded[:, :, 0], padded[:, :, -1]):
        border.zero_()
    padded[:, 1:-1, 1:-1].copy_(x.permute(0, 2, 3, 1))
    blocks = padded.view(n, h + 1, 2, w + 1, 2 * c).transpose(2, 3)  # n h+1 w+1 a (b c)
    factors = x.new_empty(3, 3, n, h // 2, w // 2, 2, 2 * c)
    middle = blocks[:, 1::2]
    for p in range(3):
        rows = middle if p == 1 else blocks[:, p : p + h - 1 : 2] - middle
        column = rows[:, :, 1::2]
        torch.sub(rows[:, :, 0 : w - 1 : 2], column, out=factors[p, 0])
        factors[p, 1].copy_(column)
        torch.sub(rows[:, :, 2 : w + 1 : 2], column, out=factors[p, 2])
    return factors.view(9, n * h * w // 4, 4 * c)


def _gather_image(factors: Tensor) -> Tensor:
    """The adjoint of :func:`_spread_image`: [3, 3, n, h/2, w/2, a, (b c)], which is overwritten, to [n, c, 2h, 2w]."""
    n, h, w, c = factors.shape[2], factors.shape[3] * 2, factors.shape[4] * 2, factors.shape[-1] // 2
    factors[1] -= factors[0] + factors[2]
    factors[:, 1] -= factors[:, 0] + factors[:, 2]
    blocks = factors.new_empty(n, h + 1, 2, w + 1, 2 * c).transpose(2, 3)  # n h+1 w+1 a (b c)
    factors[0, :, :, 1:] += factors[2, :, :, :-1]  # a row between two tiles belongs to both
    _gather_columns(factors[0], blocks[:, 0:-1:2])
    _gather_columns(factors[1], blocks[:, 1::2])
    _gather_columns(factors[2, :, :, -1:], blocks[:, -1:])
    padded = blocks.transpose(2, 3).reshape(n, 2 * h + 2, 2 * w + 2, c)
    image = _empty_like(factors, n, c, 2 * h, 2 * w)
    image.permute(0, 2, 3, 1).copy_(padded[:, 1:-1, 1:-1])
    return image


def _gather_columns(factors: Tensor, blocks: Tensor) -> None:
    """One row of tiles: factors [3, n, rows, w/2, a, (b c)] into blocks [n, rows, w+1, a, (b c)]."""
    first, middle, second = factors
    blocks[:, :, 1::2] = middle
    blocks[:, :, 0], blocks[:, :, -1] = first[:, :, 0], second[:, :, -1]
    torch.add(first[:, :, 1:], second[:, :, :-1], out=blocks[:, :, 2:-1:2])
