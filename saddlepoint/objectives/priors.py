"""Priors of codes, and how far codes are from them.

Axes: n codes, m codes of another set, d latent.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from saddlepoint.draws import Draws

Prior = Literal["normal", "mixture", "swiss-roll"]


def draw_prior(kind: Prior, n: int, d: int, draws: Draws, *, std: float = 1.0, parts: int = 10) -> tuple[Tensor, Tensor]:
    """Draws [n, d] of a prior, and the part [n] that each is of.

    "normal": N(0, std^2 I), its parts drawn apart from it. "mixture": ``parts`` normals on a circle of radius ``std`` in each plane of two
    numbers, drawn out towards the centre: deviations .25 std along the radius and .05 std across. "swiss-roll": a spiral of two turns that
    ends at ``std``, cut into ``parts`` pieces along its angle, deviation .02 std. Makhzani et al. 2015 (arXiv:1511.05644), Figures 2 and 4;
    the sizes are ours, the paper gives none.

    Args:
        kind: of the prior.
        n: how many.
        d: numbers of a code; even, but for "normal".
        draws: where chance comes from.
        std: scale.
        parts: components, or pieces of the roll.
    """
    part = draws.integers(n, high=parts)
    z = draws.normal(n, d)
    if kind == "normal":
        return std * z, part
    pairs = z.view(n, d // 2, 2)
    if kind == "mixture":
        angle = (2 * math.pi / parts * part.to(z.dtype))[:, None]
        along, across = std * (1 + 0.25 * pairs[..., 0]), 0.05 * std * pairs[..., 1]
        x, y = along * angle.cos() - across * angle.sin(), along * angle.sin() + across * angle.cos()
        return torch.stack([x, y], 2).flatten(1), part
    share = ((part.to(z.dtype) + draws.uniform(n)) / parts)[:, None]
    radius, angle = std * share.sqrt(), 4 * math.pi * share.sqrt()
    roll = torch.stack([radius * angle.cos(), radius * angle.sin()], 2)  # n 1 2, the same in each plane
    return (roll + 0.02 * std * pairs).flatten(1), part


def mean_discrepancy(a: Tensor, b: Tensor, scale: float = 1.0) -> Tensor:
    """Squared maximum mean discrepancy of two sets of codes, unbiased, so that it may fall under 0.

    Kernel C / (C + |x - y|^2) with C = 2 d scale^2, the expected squared distance of two draws of N(0, scale^2 I): Gretton et al. 2012, Eq. 3.

    Args:
        a: [n, d], n of 2 or more.
        b: [m, d], m of 2 or more.
        scale: of the prior.
    """
    c = 2 * a.shape[1] * scale**2

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return c / (c + (x[:, None] - y[None]).square().sum(2))

    n, m = len(a), len(b)
    within_a, within_b = (kernel(a, a).sum() - n) / max(n * (n - 1), 1), (kernel(b, b).sum() - m) / max(m * (m - 1), 1)
    return within_a + within_b - 2 * kernel(a, b).mean()
