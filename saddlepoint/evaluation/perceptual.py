r"""Perceptual path length, and perceptual distance between pairs of samples.

.. math:: PPL = \mathbb{E} \bigl[ \epsilon^{-2} \, d(G(t), G(t + \epsilon)) \bigr]

Karras et al. 2019 (arXiv:1812.04948), Eq. 2 and 3: the path is spherical in z, straight in w; t is uniform in [0, 1] (full) or 0 (end).

Axes: n pairs, c channels, h w image or feature map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.pairs import error_of_pairs, random_pairs
from saddlepoint.evaluation.walks import Between, Walk, images_of_ends

Distance = Callable[[Tensor, Tensor], Tensor]


class MeanDistance(NamedTuple):
    """A mean over pairs, its standard error, and how many pairs it is of."""

    value: float
    error: float
    pairs: int


def perceptual_path_length(
    generate: Callable[[Tensor], Tensor],
    distance: Distance,
    latent_dim: int,
    *,
    mapping: Callable[[Tensor], Tensor] | None = None,
    between: Between = "unit",
    sampling: Literal["full", "end"] = "full",
    num_samples: int = 50_000,
    epsilon: float = 1e-4,
    crop: bool = False,
    batch_size: int = 32,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> MeanDistance:
    """Path length of a generator: in w with ``mapping``, in z without.

    Distances below the 1st and above the 99th percentile are left out, as in the authors' program; StyleGAN2's "w-end" is ``mapping`` and "end".

    Args:
        generate: latents (z, or what ``mapping`` returns) to images [n, c, h, w]; both ends come in one batch, so fix its noise, and its labels.
        distance: images, images -> squared perceptual distance [n]: LPIPS with VGG in the paper; see :func:`feature_distance`.
        latent_dim: of z, normal.
        mapping: z to w.
        between: how z are joined: "unit" for generators that normalise z, as the paper's; "slerp" for other normal z; "straight" for uniform ones.
        sampling: t uniform, or 0.
        num_samples: 50,000; 100,000 in the first paper.
        epsilon: 1e-4 in the paper.
        crop: to the centre of a face: rows 3/8 to 7/8, columns 2/8 to 6/8. Images above 256 pixels are averaged down to 256 in any case.
        batch_size: pairs at a time.
        seed: of latents and t.
        device: where the latents are made.
        dtype: of the latents; at this epsilon float32 leaves three digits of the difference.
    """
    _check_path(num_samples, epsilon, sampling, batch_size)
    rng = torch.Generator(device=device).manual_seed(seed)
    values = []
    with torch.no_grad():
        for start in range(0, num_samples, batch_size):
            n = min(batch_size, num_samples - start)
            z = torch.randn(2, n, latent_dim, generator=rng, device=device, dtype=dtype)
            t = torch.rand(n, 1, generator=rng, device=device, dtype=dtype) * (sampling == "full")
            w = z if mapping is None else torch.stack(mapping(z.flatten(0, 1)).chunk(2))
            ends = [join(w[0], w[1], t + step, "straight" if mapping else between) for step in (0.0, epsilon)]
            images = _prepare(generate(torch.cat(ends)), crop)
            values.append(distance(*images.chunk(2)).double().cpu() / epsilon**2)
    return _trimmed_mean(torch.cat(values).numpy(), num_samples)


def walk_path_length(
    walk: Walk,
    distance: Distance,
    *,
    space: Literal["z", "w"] = "z",
    sampling: Literal["full", "end"] = "full",
    num_samples: int = 50_000,
    epsilon: float = 1e-4,
    crop: bool = False,
    batch_size: int = 32,
    seed: int = 0,
) -> MeanDistance:
    """:func:`perceptual_path_length` of a trained generator: its own latents, its labels and its noise the same at both ends.

    Args:
        walk: the generator.
        space: "w" for generators with styles only.
        distance: as there; likewise the other arguments.
    Raises:
        UsageError: for w of a generator that has none.
    """
    _check_path(num_samples, epsilon, sampling, batch_size)
    if space == "w" and walk.mapping is None:
        raise UsageError("A path in w needs a generator with styles, such as StyleGAN's; this one has none. Ask for the path in z.")
    values = []
    with torch.no_grad():
        for start in range(0, num_samples, batch_size):
            n = min(batch_size, num_samples - start)
            draws = Draws.seeded(seed, "path", start, device=walk.device, dtype=walk.dtype)
            z, t = walk.latents(2 * n, draws), draws.uniform(n, 1) * (sampling == "full")
            labels = None if walk.num_classes is None else draws.integers(n, high=walk.num_classes)
            if space == "w":
                assert walk.mapping is not None
                z = walk.mapping(z, None if labels is None else labels.repeat(2))
            first, second = z.chunk(2)
            ends = [join(first, second, t + step, "straight" if space == "w" else walk.between) for step in (0.0, epsilon)]
            images = images_of_ends(walk, ends[0], ends[1], labels, (seed, "noise", start), styles=space == "w")
            values.append(distance(*_prepare(images, crop).chunk(2)).double().cpu() / epsilon**2)
    return _trimmed_mean(torch.cat(values).numpy(), num_samples)


def perceptual_diversity(
    samples: NDArray[Any] | Tensor,
    distance: Distance,
    labels: NDArray[Any] | Tensor | None = None,
    *,
    pairs: int = 10_000,
    batch_size: int = 64,
    seed: int = 0,
) -> MeanDistance:
    """Mean distance of random pairs of different samples, of one class (or one input) where there are labels: higher is more varied.

    Zhu et al. 2017 (arXiv:1711.11586), Section 5, with LPIPS as the distance.

    Args:
        samples: [n, ...], n >= 2.
        distance: samples, samples -> [n].
        labels: [n].
        pairs: how many.
        batch_size: pairs at a time.
        seed: of the pairs.
    """
    stack = torch.as_tensor(samples)
    sides = random_pairs(len(stack), labels, pairs, seed)
    with torch.no_grad():
        chunks = zip(*(torch.split(torch.from_numpy(side), batch_size) for side in sides), strict=True)
        found = torch.cat([distance(stack[a], stack[b]).double().cpu() for a, b in chunks]).numpy()
    if found.shape != (pairs,) or not np.isfinite(found).all():
        raise UsageError(f"Diversity needs one finite distance a pair; shape {list(found.shape)} or NaN came. Look at the distance and the samples.")
    return MeanDistance(float(found.mean()), error_of_pairs(found, *sides), pairs)


def feature_distance(features: Callable[[Tensor], Sequence[Tensor]], weights: Sequence[Tensor] | None = None) -> Distance:
    """LPIPS with any network (Zhang et al. 2018, arXiv:1801.03924, Eq. 1): unit channels, squared difference, mean over places, sum over layers.

    Args:
        features: images to feature maps [n, c, h, w], one a layer.
        weights: [c] a layer, not negative; None: ones.
    Returns:
        A function of two batches of images that gives [n].
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        total = torch.zeros(len(x), device=x.device, dtype=x.dtype)
        for layer, (a, b) in enumerate(zip(features(x), features(y), strict=True)):
            squared = (F.normalize(a, dim=1, eps=1e-10) - F.normalize(b, dim=1, eps=1e-10)).square()
            scale = 1 if weights is None else weights[layer].to(squared)[:, None, None]
            total = total + (squared * scale).sum(1).mean((1, 2))
        return total

    return distance


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """Unit vectors on the great circle from a to b, at t of the way: [n, d].

    >>> slerp(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]), 1 / 3).mul(2).square().round().tolist()       # 30 degrees
    [[3.0, 1.0]]
    """
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    cosine = (a * b).sum(-1, keepdim=True)
    angle = t * torch.acos(cosine.clamp(-1, 1))
    return F.normalize(a * torch.cos(angle) + F.normalize(b - cosine * a, dim=-1) * torch.sin(angle), dim=-1)


def join(a: Tensor, b: Tensor, t: Tensor, between: Between) -> Tensor:
    """Points at t of the way from a to b, [n, ...]; see :class:`saddlepoint.evaluation.walks.Walk`.

    >>> ends = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    >>> [join(*ends, torch.tensor([[0.5]]), how).square().round(decimals=4).tolist() for how in ("unit", "slerp", "straight")]
    [[[0.5, 0.5]], [[2.0, 2.0]], [[1.0, 1.0]]]
    """
    t = t.reshape(-1, *[1] * (a.ndim - 1)).to(a)
    if between == "straight":
        return a.lerp(b, t)
    if between == "unit":
        return slerp(a, b, t)
    cosine = (F.normalize(a, dim=-1) * F.normalize(b, dim=-1)).sum(-1, keepdim=True).clamp(-1, 1)
    angle = torch.acos(cosine)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def _check_path(num_samples: int, epsilon: float, sampling: str, batch_size: int) -> None:
    if num_samples < 2 or not epsilon > 0 or batch_size < 1 or sampling not in ("full", "end"):
        raise UsageError(f"Path length needs 2 samples or more, epsilon > 0 and full or end; {num_samples}, {epsilon} and {sampling!r} came.")


def _trimmed_mean(found: NDArray[np.float64], num: int) -> MeanDistance:
    """Mean without the first and the last hundredth; its error from the winsorised deviation (Tukey and McLaughlin 1963)."""
    if found.shape != (num,) or not np.isfinite(found).all():
        raise UsageError(
            f"Path length needs one finite distance a pair; shape {list(found.shape)} or NaN came. Look at the distance and the generator."
        )
    low, high = np.percentile(found, 1, method="lower"), np.percentile(found, 99, method="higher")
    kept = found[(found >= low) & (found <= high)]
    error = np.clip(found, low, high).std(ddof=1) / (len(kept) / num * np.sqrt(num))
    return MeanDistance(float(kept.mean()), float(error), len(kept))


def _prepare(images: Tensor, crop: bool) -> Tensor:
    factor = images.shape[-1] // 256
    if crop:
        eighth = images.shape[2] // 8
        images = images[:, :, 3 * eighth : 7 * eighth, 2 * eighth : 6 * eighth]
    return F.avg_pool2d(images, factor) if factor > 1 else images
