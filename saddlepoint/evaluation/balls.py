r"""Balls around samples, exactly and fast: radii to the k-th neighbour, and which samples lie in which balls.

Every product of all pairs is made in float32, and only decides what its rounding cannot change. For centred rows the computed
|x|^2 + |y|^2 - 2 x.y is off by at most gamma (|x|^2 + |y|^2), gamma = (d + 16) 2^-24 (Higham 2002, Eq. 3.7, for any order of summation); what lies
nearer than that to a decision is computed again from the rows themselves in float64. So the results are those of float64 throughout.

Distances within a set are made for pairs once; memory is the rows in float32 and a tile of 4096 x 4096, whatever the number of samples. What is done
with a tile is done for a few of its rows at a time, which then stay near the processor.

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
_ROWS = 128  # rows of a tile at a time, and pairs of rows in float64
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
        self.single = np.empty(rows.shape, np.float32)  # n d
        for i in range(0, len(rows), _ROWS):
            self.single[i : i + _ROWS] = (rows[i : i + _ROWS] - mean) * scale
        self.half_norms = np.einsum("nd,nd->n", self.single, self.single, dtype=np.float64) / 2  # n

    def double(self, at: slice | Ints) -> tuple[Tensor, Float64]:
        """Rows and half norms in float64."""
        centred = (self.rows[at] - self.mean) * self.scale
        return torch.from_numpy(centred), np.square(centred).sum(1) / 2


class _Tiles:
    """Half squared distances of two sets, a tile at a time, in memory that is used again; the rows' own norms are added later, in :meth:`half`."""

    def __init__(self, x: _Centred, y: _Centred) -> None:
        self.x, self.y = x, y
        self._double: tuple[int, tuple[Tensor, Float64]] | None = None
        self._memory = np.empty(min(_TILE, len(x.rows)) * min(_TILE, len(y.rows)), np.float32)
        self._x_norms, self._y_norms = (torch.from_numpy(side.half_norms).float() for side in (x, y))

    def products(self, start: int, other: int) -> Tensor:
        """x.y [a, b] of a tile; of one with itself in half the time."""
        x, y = self.x.single[start : start + _TILE], self.y.single[other : other + _TILE]
        tile = self._memory[: len(x) * len(y)].reshape(len(x), len(y))
        return torch.from_numpy(np.matmul(x, y.T, out=tile))

    def half(self, tile: Tensor, start: int, other: int, i: int) -> Tensor:
        """|x - y|^2 / 2 in place of the products in the rows of a tile from its i-th."""
        block = tile[i : i + _ROWS].neg_()
        return block.add_(self._x_norms[start + i : start + i + len(block), None]).add_(self._y_norms[other : other + tile.shape[1]])

    def columns_in_double(self, there: slice) -> tuple[Tensor, Float64]:
        """Rows of y and half norms in float64, kept for the next rows of the same tile."""
        if self._double is None or self._double[0] != there.start:
            self._double = there.start, self.y.double(there)
        return self._double[1]


class _Nearest:
    """The nearest others found so far of each row.

    Attributes:
        half: half squared distances, [n, keep], rounded.
        index: of the others, [n, keep].
    """

    def __init__(self, n: int, keep: int, dtype: torch.dtype = torch.float32) -> None:
        self.half = torch.full((n, keep), torch.inf, dtype=dtype)
        self.index = torch.zeros((n, keep), dtype=torch.int64)

    def add(self, start: int, half: Tensor, others: int | Tensor) -> None:
        """Merge the distances [a, c] of the rows from ``start`` to consecutive rows from ``others``, or to the rows ``others`` [a, c]."""
        here, keep = slice(start, start + len(half)), self.half.shape[1]
        values, chosen = torch.topk(half, min(keep, half.shape[1]), dim=1, largest=False, sorted=False)
        which = chosen + others if isinstance(others, int) else others.gather(1, chosen)
        both = torch.cat([self.half[here], values], 1)
        self.half[here], chosen = torch.topk(both, keep, dim=1, largest=False, sorted=False)
        self.index[here] = torch.cat([self.index[here], which], 1).gather(1, chosen)

    def add_few(self, start: int, rows: Ints, others: Ints, values: NDArray[np.float32]) -> None:
        """Merge single distances [c] of the rows ``start + rows``, which come in order."""
        if not len(rows):
            return
        counts = np.bincount(rows)
        place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        half, which = np.full((len(counts), counts.max()), np.inf, np.float32), np.zeros((len(counts), counts.max()), np.int64)
        half[rows, place], which[rows, place] = values, others
        self.add(start, torch.from_numpy(half), torch.from_numpy(which))


def kth_radii(rows: NDArray[Any], k: int) -> Float64:
    """Distance of each row [n, d] to its k-th nearest other row, [n]; 1 <= k < n."""
    n = len(rows)
    (centred,) = _centre(rows)
    tiles, near = _Tiles(centred, centred), _Nearest(n, min(k + _SPARE, n - 1))
    for start in range(0, n, _TILE):  # first the tiles that give every row a limit
        tile = tiles.products(start, start)
        for i in range(0, len(tile), _ROWS):
            half = tiles.half(tile, start, start, i)
            half.as_strided((len(half),), (tile.shape[1] + 1,), half.storage_offset() + i).fill_(torch.inf)  # with itself
            near.add(start + i, half, start)
    for start in range(0, n, _TILE):
        for other in range(start + _TILE, n, _TILE):
            _add_below(near, tiles, start, other)
    return np.sqrt(_settle(centred, near.half.numpy(), near.index.numpy(), k))


def _add_below(near: _Nearest, tiles: _Tiles, start: int, other: int) -> None:
    """Merge a tile off the diagonal, for its rows and for its columns: only what is below the farthest that each has kept."""
    tile = tiles.products(start, other)  # a b
    found: tuple[list[Ints], list[Ints]] = ([], [])
    limits = near.half[start : start + _TILE].amax(1)[:, None], near.half[other : other + _TILE].amax(1)[None, :]
    for i in range(0, len(tile), _ROWS):
        half = tiles.half(tile, start, other, i)
        found[0].append(i * tile.shape[1] + np.flatnonzero((half < limits[0][i : i + _ROWS]).numpy()))
        found[1].append(i * tile.shape[1] + np.flatnonzero((half < limits[1]).numpy()))
    flat = tile.numpy().reshape(-1)
    at = np.concatenate(found[0])
    rows, columns = np.divmod(at, tile.shape[1])
    near.add_few(start, rows, other + columns, flat[at])
    at = np.concatenate(found[1])
    at = at[np.argsort(at % tile.shape[1], kind="stable")]
    rows, columns = np.divmod(at, tile.shape[1])
    near.add_few(other, columns, start + rows, flat[at])


def cross(real: NDArray[Any], fake: NDArray[Any], real_radii: Float64, fake_radii: Float64 | None = None) -> Crossing:
    """Count, for rows [n, d] and [m, d], the balls that hold each sample; a sample on a ball's surface is inside it."""
    reals, fakes = _centre(real, fake)
    tiles = _Tiles(reals, fakes)
    result = Crossing(np.zeros(len(fake), np.int64), np.zeros(len(real), np.int64), np.zeros(len(real), np.int64))
    for start in range(0, len(real), _TILE):
        for other in range(0, len(fake), _TILE):
            tile = tiles.products(start, other)  # a b
            there = slice(other, other + tile.shape[1])
            for i in range(0, len(tile), _ROWS):
                half = tiles.half(tile, start, other, i)
                here = slice(start + i, start + i + len(half))
                in_rows, in_columns = _count_inside(half, tiles, here, there, real_radii[here, None])
                result.real_holds[here] += in_rows
                result.fake_in_real[there] += in_columns
                if fake_radii is not None:
                    result.real_in_fake[here] += _count_inside(half, tiles, here, there, fake_radii[None, there])[0]
    return result


def pair_distances(x: NDArray[Any], y: NDArray[Any], at: Ints, to: Ints) -> Float64:
    """Squared distances of x[at] to y[to], float64 [c], from the rows themselves."""
    squared = np.empty(len(at))
    for i in range(0, len(at), _ROWS):
        apart = np.subtract(x[at[i : i + _ROWS]], y[to[i : i + _ROWS]], dtype=np.float64)
        squared[i : i + _ROWS] = np.square(apart, out=apart).sum(1)
    return squared


def _count_inside(half: Tensor, tiles: _Tiles, here: slice, there: slice, radii: Float64) -> tuple[Ints, Ints]:
    """How many pairs are no farther apart than the radius ([a, 1] or [1, b]), of each row [a] and of each column [b]."""
    x, y = tiles.x, tiles.y
    limits = np.square(radii * x.scale) / 2
    inside, doubts = _decide(half, x.half_norms[here], y.half_norms[there], limits, x.rows.shape[1])
    if len(doubts) * _MANY > half.numel():  # tight clusters: ask float64 before the rows themselves
        (rows, a), (columns, b) = x.double(here), tiles.columns_in_double(there)
        exact = (rows @ columns.T).neg_().add_(torch.from_numpy(a)[:, None]).add_(torch.from_numpy(b))
        inside, doubts = _decide(exact, a, b, limits, x.rows.shape[1])
    in_rows, in_columns = inside.sum(1).numpy().astype(np.int64), inside.sum(0).numpy().astype(np.int64)
    at, to = np.divmod(doubts, half.shape[1])
    held = np.sqrt(pair_distances(x.rows[here], y.rows[there], at, to)) <= np.broadcast_to(radii, tuple(half.shape))[at, to]
    return in_rows + np.bincount(at[held], minlength=len(in_rows)), in_columns + np.bincount(to[held], minlength=len(in_columns))


def _decide(half: Tensor, a: Float64, b: Float64, limits: Float64, d: int) -> tuple[Tensor, Ints]:
    """Which pairs are certainly within the limit, float [a, b] of 0 and 1, and those that rounding leaves open, as flat indices."""
    gamma, dtype = _gamma(half.dtype, d), np.float32 if half.dtype == torch.float32 else np.float64
    slack = gamma * (a[:, None] + b.max() if limits.shape[1] == 1 else a.max() + b[None, :])  # of whole rows or columns, first
    low, high = np.nextafter((limits - slack).astype(dtype), dtype(-np.inf)), np.nextafter((limits + slack).astype(dtype), dtype(np.inf))
    inside = torch.le(half, torch.from_numpy(low), out=torch.empty(half.shape))
    possible = half <= torch.from_numpy(high)
    if int(torch.count_nonzero(possible)) == int(inside.sum(dtype=torch.float64)):
        return inside, np.zeros(0, np.int64)
    doubts = np.flatnonzero(possible.numpy() & (inside.numpy() == 0))
    at, to = np.divmod(doubts, half.shape[1])
    over = half.numpy().reshape(-1)[doubts] - np.broadcast_to(limits, tuple(half.shape))[at, to]
    slack = gamma * (a[at] + b[to])  # then of each pair
    sure = over < -slack
    inside[torch.from_numpy(at[sure]), torch.from_numpy(to[sure])] = 1.0
    return inside, doubts[np.abs(over) <= slack]


def _settle(centred: _Centred, near: NDArray[np.float32], index: Ints, k: int) -> Float64:
    """Exact squared distance to the k-th neighbour from the candidates; searched for again in float64 where they may not hold it."""
    rows, squared, open_rows = centred.rows, np.empty(len(centred.rows)), []
    gamma, largest = _gamma(torch.float32, rows.shape[1]), float(centred.half_norms.max(initial=0.0))
    for start in range(0, len(rows), _TILE):
        here = slice(start, start + _TILE)
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
    near = _Nearest(len(which), keep, torch.float64)
    x, a = centred.double(which)
    for other in range(0, len(centred.rows), _TILE):
        y, b = centred.double(slice(other, other + _TILE))
        half = (x @ y.T).neg_().add_(torch.from_numpy(a)[:, None]).add_(torch.from_numpy(b)[None, :])
        own = np.flatnonzero((which >= other) & (which < other + len(y)))
        half[torch.from_numpy(own), torch.from_numpy(which[own] - other)] = torch.inf
        near.add(0, half, other)
    return near.index.numpy()


def _kth_of(rows: NDArray[Any], which: Ints, index: Ints, k: int) -> Float64:
    """The k-th smallest exact squared distance of the rows ``which`` to those of ``index`` [a, c]."""
    found = np.stack([pair_distances(rows, rows, which, index[:, c]) for c in range(index.shape[1])], axis=1)
    return np.asarray(np.partition(found, k - 1, axis=1)[:, k - 1])


def _centre(*sets: NDArray[Any]) -> list[_Centred]:
    """Every set less the first one's mean, times a power of two that brings the largest number near 1: exact, and no square overflows."""
    mean = sets[0].mean(0, dtype=np.float64)
    largest = max(float(max(rows.max(initial=0.0), -rows.min(initial=0.0))) for rows in sets)
    scale = float(2.0 ** -np.clip(np.floor(np.log2(largest)), -1000, 1000)) if largest > 0 else 1.0
    return [_Centred(rows, mean, scale) for rows in sets]


def _gamma(dtype: torch.dtype, d: int) -> float:
    """Relative bound of a rounded product of d terms."""
    return (d + 16) * torch.finfo(dtype).eps / 2
