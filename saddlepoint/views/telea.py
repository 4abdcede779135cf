"""Telea's inpainting: Telea 2004, "An image inpainting technique based on the fast marching method", Journal of Graphics Tools 9(1).

Hidden pixels are filled from the border of what was seen inwards, in the order of their distance T from it. A pixel is the weighted mean of what the
pixels around it that are seen, or filled already, foretell of it:

    I(p) = sum_q w(p, q) (I(q) + grad I(q) . (p - q)) / sum_q w(p, q)                        Eq. 2
    w(p, q) = dir dst lev,  dir = |(p - q) . N(p)| / |p - q|,  dst = d0^2 / |p - q|^2,  lev = T0 / (T0 + |T(p) - T(q)|)      section 2.2

with N = grad T and d0 = T0 = 1. The weights know the mask alone: what is filled is a linear map of what is seen. The map of a mask is made once and
kept for the masks that come again (squares have few places). As in section 2.3, T is found within the seen part as well, where it is negative.

We differ from the paper's code in one thing: T is whole before the first pixel is filled, and pixels are filled in its order; there a pixel is filled
when the front first touches it.

Axes: n batch, c channels, h w image, p q pixels, m hidden pixels, s seen pixels near them.
"""

from __future__ import annotations

import functools
import heapq
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

RADIUS = 3  # of the neighbourhood, as in the code of AmbientGAN
LEAST = 1e-6  # of dir: neighbours at right angles to the front still count
KEPT = 256  # maps of masks
SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))

Distances = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Filling(NamedTuple):
    """What a mask's hidden pixels are of its seen ones.

    Attributes:
        hidden: flat places of the hidden pixels, int64 [m].
        used: flat places of the seen pixels that count, int64 [s].
        shares: float64 [m, s], rows of sum 1.
    """

    hidden: Tensor
    used: Tensor
    shares: Tensor


def inpaint_telea(u: Tensor, mask: Tensor, radius: int = RADIUS) -> Tensor:
    """Fill the hidden pixels of images.

    Args:
        u: [n, c, h, w], anything where it is hidden.
        mask: [n, 1, h, w], 1 where it is seen; an image of which nothing is seen stays as it is.
        radius: of the neighbourhood, in pixels.
    Returns:
        [n, c, h, w]; values may leave the range of what is seen, as a slope is continued.

    >>> seen = torch.tensor([[1.0, 0.0, 1.0]]).expand(3, 3)[None, None]
    >>> inpaint_telea(torch.tensor([[0.2, 9.0, 0.4]]).expand(3, 3)[None, None] * 1.0, seen)[0, 0, :, 1].mul(10).round().tolist()     # half-way
    [3.0, 3.0, 3.0]
    """
    filled, known = u.clone().flatten(2), mask.detach().cpu().numpy()[:, 0] > 0
    for row, each in enumerate(known):
        if each.all() or not each.any():
            continue
        plan = filling(each.tobytes(), each.shape, radius)
        shares = plan.shares.to(u)
        filled[row, :, plan.hidden] = filled[row, :, plan.used] @ shares.T
    return filled.view_as(u)


@functools.lru_cache(maxsize=KEPT)
def filling(mask: bytes, shape: tuple[int, int], radius: int = RADIUS) -> Filling:
    """The linear map of a mask (bool [h, w], as bytes), some of it seen and some hidden."""
    seen = np.frombuffer(mask, dtype=np.bool_).reshape(shape)
    height, width = shape
    distance, order = signed_distance(seen, radius)
    normal = np.zeros((*shape, 2))
    for axis in (0, 1):
        if shape[axis] > 1:
            normal[..., axis] = np.gradient(distance, axis=axis)
    hidden = np.flatnonzero(~seen)
    known, rows = seen.copy(), np.zeros((height * width, height * width))
    rows[seen.ravel(), seen.ravel()] = 1.0
    around = [(y, x) for y in range(-radius, radius + 1) for x in range(-radius, radius + 1) if 0 < y * y + x * x <= radius * radius]
    for y, x in order:
        near = np.array([(y + i, x + j) for i, j in around if 0 <= y + i < height and 0 <= x + j < width and known[y + i, x + j]])
        weights = _weights(np.array([y, x]), near, distance, normal)
        shares = _foretold(np.array([y, x]), near, weights, known)
        counts = np.flatnonzero(shares)
        rows[y * width + x] = shares[counts] @ rows[counts]
        known[y, x] = True
    used = np.flatnonzero(rows[hidden].any(0))
    return Filling(torch.from_numpy(hidden), torch.from_numpy(used), torch.from_numpy(rows[np.ix_(hidden, used)]))


def _weights(p: NDArray[np.int64], near: NDArray[np.int64], distance: Distances, normal: Distances) -> Distances:
    """w(p, q) of the pixels ``near`` [k, 2], of sum 1."""
    step = (p - near).astype(np.float64)
    length = np.sqrt((step**2).sum(1))
    along = np.maximum(np.abs(step @ normal[p[0], p[1]]) / length, LEAST)
    level = 1 / (1 + np.abs(distance[p[0], p[1]] - distance[near[:, 0], near[:, 1]]))
    weights: Distances = along * level / length**2
    return weights / float(weights.sum())


def _foretold(p: NDArray[np.int64], near: NDArray[np.int64], weights: Distances, known: Mask) -> Distances:
    """The share [h w] of every known pixel in p: the neighbours' values, and their slopes times the way to p."""
    height, width = known.shape
    shares = np.zeros(height * width)
    np.add.at(shares, near @ [width, 1], weights)
    for axis, stride in ((0, width), (1, 1)):
        one = np.array([1 - axis, axis])
        ahead, behind = (_is_known(near + sign * one, known) for sign in (1, -1))
        gaps = ahead.astype(np.float64) + behind  # pixels between the two that the slope is taken of; 0: no slope is known
        slope = np.divide(weights * (p - near)[:, axis], gaps, out=np.zeros(len(near)), where=gaps > 0)
        middle = near @ [width, 1]
        np.add.at(shares, np.where(ahead, middle + stride, middle), slope)
        np.add.at(shares, np.where(behind, middle - stride, middle), -slope)
    return shares


def _is_known(places: NDArray[np.int64], known: Mask) -> Mask:
    height, width = known.shape
    inside = (places >= 0).all(1) & (places[:, 0] < height) & (places[:, 1] < width)
    found: Mask = inside & known[places[:, 0].clip(0, height - 1), places[:, 1].clip(0, width - 1)]
    return found


def signed_distance(seen: Mask, reach: int = RADIUS) -> tuple[Distances, list[tuple[int, int]]]:
    """T, and the order in which hidden pixels are reached.

    Args:
        seen: [h, w], not all alike.
        reach: how far T is found among the seen, where it is negative; beyond it is -``reach``.
    Returns:
        T [h, w]: 0 on the seen pixels beside hidden ones; and the hidden pixels (y, x), the nearest first.
    """
    inwards, order = march(seen)
    border = seen & ndimage.binary_dilation(~seen)
    outwards, _ = march(~seen | border)
    return np.where(seen, -np.minimum(outwards, float(reach)), inwards), order


def march(known: Mask) -> tuple[Distances, list[tuple[int, int]]]:
    """Distances of all pixels from the known ones: |grad T| = 1 by fast marching (Sethian 1996), and the others in their order.

    >>> march(np.array([[True, False, False]]))
    (array([[0., 1., 2.]]), [(0, 1), (0, 2)])
    """
    height, width = known.shape
    distance, done = np.where(known, 0.0, np.inf), known.copy()
    front: list[tuple[float, int, int]] = [(0.0, int(y), int(x)) for y, x in np.argwhere(known)]
    order: list[tuple[int, int]] = []
    while front:
        _, y, x = heapq.heappop(front)
        if not known[y, x]:
            if done[y, x]:
                continue
            order.append((y, x))
            done[y, x] = True
        for i, j in SIDES:
            a, b = y + i, x + j
            if 0 <= a < height and 0 <= b < width and not done[a, b]:
                new = _arrival(distance, done, a, b)
                if new < distance[a, b]:
                    distance[a, b] = new
                    heapq.heappush(front, (new, a, b))
    return distance, order


def _arrival(distance: Distances, done: Mask, y: int, x: int) -> float:
    """The least T that the four quarters around a pixel allow."""
    height, width = distance.shape

    def reached(i: int, j: int) -> float:
        return float(distance[i, j]) if 0 <= i < height and 0 <= j < width and done[i, j] else np.inf

    vertical, across = min(reached(y - 1, x), reached(y + 1, x)), min(reached(y, x - 1), reached(y, x + 1))
    low, high = min(vertical, across), max(vertical, across)
    if high - low >= 1:
        return low + 1
    return (low + high + float(np.sqrt(2 - (high - low) ** 2))) / 2
