r"""Log-likelihood of images under a pyramid of generators, by a Parzen window a level. Do not choose a model by it (see :mod:`.parzen`).

.. math:: \log p(I) = \log q_0(h_0 \mid I_1) + \log q_1(h_1 \mid I_2) + \dots + \log q_K(I_K) - \log 2 \textstyle\sum_{k \ge 1} \dim I_k

Denton et al. 2015 (arXiv:1506.05751), appendix A. I_0 = I; I_k+1 = d(I_k), the mean over each disjoint block of 2x2 pixels; h_k, what block means
lose, in an orthonormal basis (Haar). I_k -> (2 I_k+1, h_k) is unitary, hence the last term: one log 2 for each value of each coarser image. Every q
is a Parzen window with a width of its own, chosen on validation images. That of h_k stands on the details of images which the level's generator makes
from the *true* low pass I_k+1 of the very test image; that of I_K on samples of the coarsest generator. p integrates to 1, as each q does.

A level's share of the sum is the log-density of its coefficients in the orthonormal basis of the whole image: log q_k - k log 2 dim.

Axes: n images, c channels, h w image, m samples, v validation images, q test images, t candidates of a width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, as_rows
from saddlepoint.evaluation.parzen import WARNING, parzen_log_likelihoods
from saddlepoint.networks.lapgan import LapganGenerator, resize

SIGMAS = np.logspace(-2, 0.5, 26)  # for pixels in [-1, 1]
Band = Callable[[Tensor], Tensor]  # the low pass of an image, [c, h, w] -> m images of twice its sides, [m, c, 2h, 2w]


class PyramidEstimate(NamedTuple):
    """Mean log-likelihood in nats and its standard error over the test images; what is beneath it.

    Attributes:
        value: mean over the test images.
        error: its standard error.
        each: of every test image, [q].
        levels: shares of ``value``, the coarsest level first; they add up to it.
        sigmas: chosen widths, the coarsest level first, in the units of the pixels that the windows stand on.
        warning: what to know of it.
    """

    value: float
    error: float
    each: Float64
    levels: tuple[float, ...]
    sigmas: tuple[float, ...]
    warning: str


def haar_split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Images to twice the means of their 2x2 blocks and what these lose: a unitary map.

    Of a block (a b / c d): (a+b+c+d)/2; (a-b+c-d)/2, (a+b-c-d)/2, (a-b-c+d)/2.

    Args:
        x: [n, c, h, w], both sides even.
    Returns:
        Low pass [n, c, h/2, w/2] and details [n, 3c, h/2, w/2].
    Raises:
        UsageError: if a side is odd.

    >>> low, details = haar_split(torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]]))
    >>> low.flatten().tolist(), details.flatten().tolist()
    ([6.0], [-2.0, -3.0, 1.0])
    """
    if x.ndim != 4 or x.shape[2] % 2 or x.shape[3] % 2 or not x.numel():
        raise UsageError(f"A level of the pyramid halves both sides of images [n, c, h, w]; they came as {list(x.shape)}. Choose even sizes.")
    a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    details = torch.stack([a - b + c - d, a + b - c - d, a - b - c + d], dim=2).flatten(1, 2)
    return (a + b + c + d) / 2, details / 2


def haar_join(low: Tensor, details: Tensor) -> Tensor:
    """The images [n, c, h, w] of a low pass [n, c, h/2, w/2] and details [n, 3c, h/2, w/2]: the inverse of :func:`haar_split`."""
    n, c, h, w = low.shape
    across, down, both = details.reshape(n, c, 3, h, w).unbind(2)
    corners = [low + across + down + both, low - across + down - both, low + across - down - both, low - across - down + both]
    return rearrange(torch.stack(corners) / 2, "(p q) n c h w -> n c (h p) (w q)", p=2)


def pyramid_log_likelihood(
    coarsest: Tensor, bands: Sequence[Band], validation: Tensor, test: Tensor, *, sigmas: Sequence[float] | None = None
) -> PyramidEstimate:
    """Log-likelihood of test images, with the width of every level the best on the validation images.

    Args:
        coarsest: samples of the coarsest generator, [m, c, h, w].
        bands: a function a level, the coarsest first; each makes images from a true low pass.
        validation: real images, [v, c, H, W], where H and W are h and w doubled once a band.
        test: real images, [q, c, H, W], in the same units; a density is per unit of these.
        sigmas: candidates for every level; None: 26 from .01 to 3.2, evenly in the logarithm.
    Raises:
        UsageError: if sides do not halve once a band, or samples do not have the size of their level.
    """
    if validation.shape[1:] != test.shape[1:]:
        raise UsageError(f"Validation and test images need one size; {list(validation.shape)} and {list(test.shape)} came. Resize one of them.")
    candidates = SIGMAS if sigmas is None else np.asarray(sigmas, dtype=np.float64)
    images, split = torch.cat([validation, test]).double(), len(validation)
    found: list[tuple[Float64, float]] = []
    for depth, band in enumerate(reversed(bands)):
        low, details = haar_split(images)
        fine, images = images, low / 2
        logs, sigma = _conditional(band, fine, images, details, split, candidates)
        found.insert(0, (logs - depth * math.log(2) * details[0].numel(), sigma))
    if coarsest.shape[1:] != images.shape[1:]:
        raise UsageError(f"The coarsest samples have the size of the coarsest images, {list(images.shape[1:])}; {list(coarsest.shape)} came.")
    rows = as_rows(images, "real")
    sigma = _best(parzen_log_likelihoods(coarsest, rows[:split], candidates), candidates)
    logs = parzen_log_likelihoods(coarsest, rows[split:], [sigma])[0] - len(bands) * math.log(2) * images[0].numel()
    found.insert(0, (logs, sigma))
    shares = np.stack([logs for logs, _ in found])
    return _estimate(shares, tuple(sigma for _, sigma in found))


def lapgan_log_likelihood(
    generator: LapganGenerator,
    validation: Tensor,
    test: Tensor,
    *,
    num: int = 200,
    num_coarsest: int = 10_000,
    seed: int = 0,
    sigmas: Sequence[float] | None = None,
) -> PyramidEstimate:
    """Log-likelihood of test images under a LAPGAN, per unit of their pixels.

    Each level is given the enlarged block means of the test image; in training it is given those of a triangle filter, a little more blurred (the
    paper too takes other u and d here than in its pictures). Samples are not cut off at the ends of the pixels' range. Standardised pixels
    y = (x - mean) / std enter by their Jacobian, log p(x) = log p(y) - sum log std, of which a level has a share in proportion to its coefficients.

    Args:
        generator: all levels, each twice the size of the one before.
        validation: real images in [-1, 1], [v, c, h, w].
        test: real images in [-1, 1], [q, c, h, w].
        num: samples of a band for a test image.
        num_coarsest: samples of the coarsest level.
        seed: of the latents.
        sigmas: candidates of the widths, for pixels as the levels know them.
    Raises:
        UsageError: if the levels do not double, or are told labels.
    """
    if getattr(generator.levels[0], "num_classes", None) is not None:
        raise UsageError("The pyramid's likelihood is for a LAPGAN that is told no labels; this one is. Train it without --conditional.")
    sizes = generator.sizes
    if any((h, w) != (2 * low[0], 2 * low[1]) for low, (h, w) in zip(sizes[:-1], sizes[1:], strict=True)):
        raise UsageError(f"The pyramid's likelihood is for levels that double; this LAPGAN's are {list(sizes)}. Train it with other --sizes.")
    draws = Draws.seeded(seed, "likelihood", device=generator.mean.device, dtype=generator.mean.dtype)
    was_training = generator.training
    generator.eval()  # the LSUN networks' norms and dropout
    with torch.no_grad(), use(draws):
        z = draws.uniform(num_coarsest, generator.latent_dim, low=-1.0, high=1.0)
        coarsest = generator.levels[0](z)
        bands = [_band(generator, index, num) for index in range(1, len(sizes))]
        real = [generator.standardise(x.to(generator.mean)) for x in (validation, test)]
        found = pyramid_log_likelihood(coarsest, bands, *real, sigmas=sigmas)
    generator.train(was_training)
    return in_units(found, sizes, float(generator.std.double().log().mean()), len(generator.mean))


def in_units(found: PyramidEstimate, sizes: Sequence[tuple[int, int]], log_scale: float, channels: int) -> PyramidEstimate:
    """The same densities per another unit of the pixels.

    Args:
        found: per unit of y.
        sizes: heights and widths of the levels, the coarsest first.
        log_scale: log of how many of the new units one of y is, in the mean over pixels: for y in [-1, 1] and new pixels in [0, 1], log 1/2.
        channels: of the images.
    """
    pixels = [channels * h * w for h, w in sizes]
    own = np.diff([0, *pixels])  # coefficients of a level
    levels = tuple(float(share - log_scale * count) for share, count in zip(found.levels, own, strict=True))
    shift = log_scale * pixels[-1]
    return found._replace(value=found.value - shift, each=found.each - shift, levels=levels)


def _band(generator: LapganGenerator, index: int, num: int) -> Band:
    """A level of LAPGAN: ``num`` images on one low pass."""
    level, size = generator.levels[index], generator.sizes[index]

    def images(low: Tensor) -> Tensor:
        enlarged = resize(low[None].to(generator.mean), size).expand(num, -1, -1, -1)
        return enlarged + level(enlarged)  # type: ignore[no-any-return]

    return images


def _conditional(band: Band, fine: Tensor, low: Tensor, details: Tensor, split: int, candidates: Float64) -> tuple[Float64, float]:
    """log q(h | l) of the images from ``split`` on, [q], and the width that is best for those before it."""

    def logs(index: int, sigmas: Float64) -> Float64:
        samples = band(low[index])
        if samples.shape[1:] != fine.shape[1:]:
            came = list(samples.shape)
            raise UsageError(f"A band's samples have the size of their level, {list(fine.shape[1:])}; {came} came. Let each level double the sides.")
        return parzen_log_likelihoods(haar_split(samples.double())[1], details[index : index + 1], sigmas)[:, 0]

    sigma = _best(np.stack([logs(index, candidates) for index in range(split)], axis=1), candidates)
    return np.stack([logs(index, np.array([sigma]))[0] for index in range(split, len(low))]), sigma


def _best(logs: Float64, candidates: Float64) -> float:
    """Of the candidates [t] the one with the largest mean of log-likelihoods [t, v]."""
    return float(candidates[np.argmax(logs.mean(1))])


def _estimate(shares: Float64, sigmas: tuple[float, ...]) -> PyramidEstimate:
    """Shares of the levels, [levels, q], as an estimate."""
    each = shares.sum(0)
    error = float(each.std() / np.sqrt(len(each)))
    return PyramidEstimate(float(each.mean()), error, each, tuple(map(float, shares.mean(1))), sigmas, WARNING)
