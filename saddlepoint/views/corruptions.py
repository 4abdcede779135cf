"""Image-space filtering, noise and cutout.

Karras et al. 2020 (arXiv:2006.06676), Appendix B. Axes: n batch, c channels, h w image, b frequency bands, s one axis.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from saddlepoint.draws import draws_like
from saddlepoint.views.chance import Chance
from saddlepoint.views.wavelets import BANDS, band_filters, bands, reflected

FILTER_STD, NOISE_STD, CUTOUT_SIZE = 1.0, 0.1, 0.5  # of the paper; the first is log2
EXPECTED_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # of the bands of a natural image, lowest first


def draw_gains(strength: float, chance: Chance) -> Tensor:
    """Amplification of each band, shape [n, b]: by 2^N with probability strength * p, each time scaled so that a natural image keeps its power."""
    one = chance.zeros + 1
    gains = torch.stack([torch.where(chance.happens(strength), (FILTER_STD * chance.normal()).exp2(), one) for _ in range(BANDS)], 1)
    power = torch.tensor(EXPECTED_POWER, dtype=one.dtype, device=one.device)
    alone = 1 + power * (gains.square() - 1)  # n b: power of a natural image where this band alone is amplified
    return gains * alone.rsqrt().prod(1, keepdim=True)


def amplify(x: Tensor, gains: Tensor) -> Tensor:
    """Scale the frequency bands of images [n, c, h, w] by gains [n, b], along both axes, with reflection at the border; the same shape."""
    n, c, h, w = x.shape
    across, down = (torch.einsum("nb,bij->nij", gains, bands(size, x.dtype, x.device)) for size in (w, h))
    x = (x.reshape(n, c * h, w) @ across.transpose(1, 2)).view(n, c, h, w)
    return down.unsqueeze(1) @ x


def amplify_reference(x: Tensor, gains: Tensor) -> Tensor:
    """The same as :func:`amplify` by its definition: one filter of 43 taps a sample along both axes of the reflected image."""
    n, c, h, w = x.shape
    taps = (gains.double() @ band_filters().to(x.device)).to(x.dtype).repeat_interleave(c, 0)  # n*c t
    reach = taps.shape[1] // 2
    rows, columns = (reflected(torch.arange(-reach, size + reach, device=x.device), size) for size in (h, w))
    x = x[:, :, rows][:, :, :, columns].reshape(1, n * c, h + 2 * reach, w + 2 * reach)
    x = conv2d(conv2d(x, taps[:, None, None, :], groups=n * c), taps[:, None, :, None], groups=n * c)
    return x.view(n, c, h, w)


def add_noise(x: Tensor, strength: float, chance: Chance) -> Tensor:
    """Add Gaussian noise to every value, of standard deviation 0.1 |N| a sample, with probability strength * p."""
    std = torch.where(chance.happens(strength), NOISE_STD * chance.half_normal(), chance.zeros)
    return x + draws_like(x).normal(*x.shape).to(x) * std.view(-1, 1, 1, 1)


def cut_out(x: Tensor, strength: float, chance: Chance) -> Tensor:
    """Set to 0, with probability strength * p, a rectangle of half the height and width, its centre anywhere in the image."""
    happens = chance.happens(strength).view(-1, 1)
    across, down = ((_middles(x, size) - chance.uniform().unsqueeze(1)).abs() < CUTOUT_SIZE / 2 for size in (x.shape[3], x.shape[2]))
    inside = (happens & down).unsqueeze(2) & across.unsqueeze(1)  # n h w
    return x * ~inside.unsqueeze(1)


def _middles(x: Tensor, size: int) -> Tensor:
    """Middles of the pixels along an axis that is 1 long."""
    return (torch.arange(size, device=x.device) + 0.5) / size
