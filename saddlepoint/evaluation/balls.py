r"""Balls around samples, exactly and fast: radii to the k-th neighbour, and which samples lie in which balls.

Every product of all pairs is made in float32, and only decides what its rounding cannot change. For centred rows the computed
|x|^2 + |y|^2 - 2 x.y is off by at most gamma (|x|^2 + |y|^2), gamma = (d + 16) 2^-24 (Higham 2002, Eq. 3.7, for any order of summation); what lies
nearer than that to a decision is computed again from the rows themselves in float64. So the results are those of float64 throughout.

Distances within a set are made for pairs once; memory is a tile of 4096 x 4096, whatever the number of samples.

Axes: n real, m generated, a b rows of a tile, d features, k neighbours, c candidates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.evaluation.arrays import Float64

_TILE = 4096
_SPARE = 12  # candidates kept beyond the k-th neighbour
_PAIRS = 4096  # pairs of rows in float64 at a time
_MANY = 100  # a share of 1 / this in doubt is better settled by a product in float64

Ints = NDArray[np.int64]


class Crossing(NamedTuple):
    """How two sets lie in the balls of one another.

    Attributes:
        fake_in_real: in how many real balls each generated sample lies, [m].
        real_in_fake: in how many generated balls each real sample lies, [n]; zeros without generated radii.
        real_holds: how many generated samples each real ball holds, [n].
    """

    fake_in_real: Ints
    real_in_fake: Ints
    real_holds: Ints


class _Centred:
    """Rows less a mean and scaled into the range of float32; in float64 a tile at a time, where asked."""

    def __init__(self, rows: NDArray[Any], mean: Float64, scale: float) -> None:
        self.rows, self.mean, self.scale = rows, mean, scale
        centred = np.empty(rows.shape, np.float32)
        for i in range(0, len(rows), _TILE):
            centred[i : i + _TILE] = (rows[i : i + _TILE] - mean) * scale
        self.single = torch.from_numpy(centred)  # n d
        self.half_norms = np.einsum("nd,nd->n", centred, centred, dtype=np.float64) / 2  # n

    def double(self, at: slice | Ints) -> tuple[Tensor, Float64]:
        """Rows and half norms in float64."""
        centred = (self.rows[at] - self.mean) * self.scale
        return torch.from_numpy(centred), np.square(centred).sum(1) / 2


def kth_radii(rows: NDArray[Any], k: int) -> Float64:
    """Distance of each row [n, d] to its k-th nearest other row, [n]; 1 <= k < n."""
    n, keep = len(rows), min(k + _SPARE, len(rows) - 1)
    (centred,) = _centre(rows)
    near = torch.full((n, keep), torch.inf)  # half squared distances, rounded
    index = torch.zeros((n, keep), dtype=torch.int64)
    for start in range(0, n, _TILE):
        for other in range(start, n, _TILE):
            half = _half_squared(centred, start, centred, other)  # a b
            if start == other:
                half.fill_diagonal_(torch.inf)
            _keep_nearest(near, index, start, half, other)
            if start != other:
                _keep_nearest(near, index, other, half.T.contiguous(), start)
    return np.sqrt(_settle(centred, near.numpy(), index.numpy(), k))


def cross(real: NDArray[Any], fake: NDArray[Any], real_radii: Float64, fake_radii: Float64 | None = None) -> Crossing:
    """Count, for rows [n, d] and [m, d], the balls that hold each sample; a sample on a ball's surface is inside it."""
    reals, fakes = _centre(real, fake)
    result = Crossing(np.zeros(len(fake), np.int64), np.zeros(len(real), np.int64), np.zeros(len(real), np.int64))
    for start in range(0, len(real), _TILE):
        for other in range(0, len(fake), _TILE):
            here, there = slice(start, start + _TILE), slice(other, other + _TILE)
            product = reals.single[here] @ fakes.single[there].T  # a b
            inside = _inside(product, reals, fakes, here, there, real_radii[here, None])
            result.fake_in_real[there] += inside.sum(0).numpy()
            result.real_holds[here] += inside.sum(1).numpy()
            if fake_radii is not None:
                inside = _inside(product, reals, fakes, here, there, fake_radii[None, there])
                result.real_in_fake[here] += inside.sum(1).numpy()
    return result


def pair_distances(x: NDArray[Any], y: NDArray[Any], at: Ints, to: Ints) -> Float64:
    """Squared distances of x[at] to y[to], float64 [c], from the rows themselves."""
    squared = np.empty(len(at))
    for i in range(0, len(at), _PAIRS):
        part = slice(i, i + _PAIRS)
        squared[part] = np.square(np.subtract(x[at[part]], y[to[part]], dtype=np.float64)).sum(1)
    return squared


def _inside(product: Tensor, reals: _Centred, fakes: _Centred, here: slice, there: slice, radii: Float64) -> Tensor:
    """Which pairs of a tile are no farther apart than the radius ([a, 1] or [1, b]): [a, b] of bool."""
    d = reals.rows.shape[1]
    inside, doubt = _decide(product, reals.half_norms[here], fakes.half_norms[there], radii * reals.scale, d)
    if int(doubt.sum()) * _MANY > doubt.numel():  # tight clusters: ask float64 before the rows themselves
        (x, a), (y, b) = reals.double(here), fakes.double(there)
        inside, doubt = _decide(x @ y.T, a, b, radii * reals.scale, d)
    limits = np.broadcast_to(radii, tuple(doubt.shape))
    pairs = torch.nonzero(doubt).numpy()
    for i in range(0, len(pairs), _PAIRS):
        at, to = pairs[i : i + _PAIRS, 0], pairs[i : i + _PAIRS, 1]
        exact = np.sqrt(pair_distances(reals.rows[here], fakes.rows[there], at, to)) <= limits[at, to]
        inside[torch.from_numpy(at), torch.from_numpy(to)] = torch.from_numpy(exact)
    return inside


def _decide(product: Tensor, a: Float64, b: Float64, radii: Float64, d: int) -> tuple[Tensor, Tensor]:
    """Pairs certainly within the radius, and pairs that rounding leaves open: x.y >= (|x|^2 + |y|^2 - r^2) / 2, off by at most the slack."""
    gamma = _gamma(product.dtype, d)

    def reach(slack: float) -> Tensor:
        left = a[:, None] * (1 + slack) - (np.square(radii) / 2 if radii.shape[1] == 1 else 0.0)
        right = b[None, :] * (1 + slack) - (np.square(radii) / 2 if radii.shape[1] != 1 else 0.0)
        return torch.from_numpy(left).to(product.dtype) + torch.from_numpy(right).to(product.dtype)

    inside = product >= reach(gamma)
    return inside, (product >= reach(-gamma)) & ~inside


def _settle(centred: _Centred, near: NDArray[np.float32], index: Ints, k: int) -> Float64:
    """Exact squared distance to the k-th neighbour from the candidates; searched for again in float64 where they may not hold it."""
    rows, squared, open_rows = centred.rows, np.empty(len(centred.rows)), []
    gamma, largest = _gamma(torch.float32, rows.shape[1]), float(centred.half_norms.max(initial=0.0))
    for start in range(0, len(rows), _PAIRS):
        here = slice(start, start + _PAIRS)
        slack = gamma * (centred.half_norms[here] + largest)  # each of ``near`` is off by less
        about = np.partition(near[here], k - 1, axis=1)[:, k - 1]  # so the k-th neighbour lies within this and one slack
        found = np.where(near[here] < (about - 2 * slack)[:, None], -1.0, np.inf)  # certainly nearer, certainly farther, or to be computed
        at, column = np.nonzero(np.abs(near[here] - about[:, None]) <= 2 * slack[:, None])
        found[at, column] = pair_distances(rows, rows, at + start, index[here][at, column])
        squared[here] = np.partition(found, k - 1, axis=1)[:, k - 1]
        beyond = near[here].max(1) - slack  # nothing left out is nearer than this
        half = squared[here] * centred.scale**2 / 2
        open_rows.append(start + np.flatnonzero((half > 0) & (beyond <= half)))
    again = np.concatenate(open_rows) if index.shape[1] < len(rows) - 1 else np.zeros(0, np.int64)
    for start in range(0, len(again), _TILE):
        which = again[start : start + _TILE]
        squared[which] = _kth_of(rows, which, _candidates(centred, which, index.shape[1]), k)
    return squared


def _candidates(centred: _Centred, which: Ints, keep: int) -> Ints:
    """The nearest others of the rows ``which``, by products in float64, [a, keep]."""
    near, index = torch.full((len(which), keep), torch.inf, dtype=torch.float64), torch.zeros((len(which), keep), dtype=torch.int64)
    x, a = centred.double(which)
    for other in range(0, len(centred.rows), _TILE):
        y, b = centred.double(slice(other, other + _TILE))
        half = (x @ y.T).neg_().add_(torch.from_numpy(a)[:, None]).add_(torch.from_numpy(b)[None, :])
        own = np.flatnonzero((which >= other) & (which < other + len(y)))
        half[torch.from_numpy(own), torch.from_numpy(which[own] - other)] = torch.inf
        _keep_nearest(near, index, 0, half, other)
    return index.numpy()


def _kth_of(rows: NDArray[Any], which: Ints, index: Ints, k: int) -> Float64:
    """The k-th smallest exact squared distance of the rows ``which`` to those of ``index`` [a, c]."""
    found = np.stack([pair_distances(rows, rows, which, index[:, c]) for c in range(index.shape[1])], axis=1)
    return np.asarray(np.partition(found, k - 1, axis=1)[:, k - 1])


def _keep_nearest(near: Tensor, index: Tensor, start: int, half: Tensor, other: int) -> None:
    """Merge the nearest of a tile [a, b] into those kept for the rows from ``start``."""
    values, columns = torch.topk(half, min(near.shape[1], half.shape[1]), dim=1, largest=False, sorted=False)
    here = slice(start, start + len(half))
    both = torch.cat([near[here], values], 1)
    near[here], chosen = torch.topk(both, near.shape[1], dim=1, largest=False, sorted=False)
    index[here] = torch.cat([index[here], columns + other], 1).gather(1, chosen)


def _half_squared(x: _Centred, start: int, y: _Centred, other: int) -> Tensor:
    """|x - y|^2 / 2 of a tile [a, b], rounded."""
    half = x.single[start : start + _TILE] @ y.single[other : other + _TILE].T
    half.neg_().add_(torch.from_numpy(x.half_norms[start : start + _TILE]).float()[:, None])
    return half.add_(torch.from_numpy(y.half_norms[other : other + _TILE]).float()[None, :])


def _centre(*sets: NDArray[Any]) -> list[_Centred]:
    """Every set less the first one's mean, times a power of two that brings the largest number near 1: exact, and no square overflows."""
    mean = sets[0].mean(0, dtype=np.float64)
    largest = max(float(max(rows.max(initial=0.0), -rows.min(initial=0.0))) for rows in sets)
    scale = float(2.0 ** -np.clip(np.floor(np.log2(largest)), -1000, 1000)) if largest > 0 else 1.0
    return [_Centred(rows, mean, scale) for rows in sets]


def _gamma(dtype: torch.dtype, d: int) -> float:
    """Relative bound of a rounded product of d terms."""
    return (d + 16) * torch.finfo(dtype).eps / 2
