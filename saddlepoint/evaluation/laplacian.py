r"""Sliced Wasserstein distance on the Laplacian pyramid, level by level: which scales of the images are right.

Karras et al. 2018 (arXiv:1710.10196), Section 5 and Table 1. Each level of the pyramid (Burt and Adelson 1983, the 5 x 5 binomial filter) gives 128
random 7 x 7 patches an image; patches are normalised to mean 0 and deviation 1 a colour channel over the whole set, real and generated apart; the
distance is the mean over 4 x 128 random directions of the Wasserstein-1 distance of the projections. The coarsest level is 16 pixels and holds the
blurred image itself, the others hold differences. Printed times 1,000.

Axes: n images, c channels, h w image, p patches, f = c 7 7 numbers of a patch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.sliced import wasserstein_of_sorted

_BINOMIAL = np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16
_BATCH = 256  # images at a time

Images = NDArray[Any] | Tensor


class PyramidDistance(NamedTuple):
    """Distances times 1,000.

    Attributes:
        levels: a distance a level, by its side in pixels, finest first.
        average: over the levels.
    """

    levels: dict[int, float]
    average: float


class PyramidDescriptors:
    """Patches of every level of images that come in batches; only the patches are kept.

    Memory: patches x f x 4 bytes a level: the paper's 16,384 images of 128 patches are 1.2 GB a level.

    Args:
        patches_per_image: 128 in the paper.
        patch: side of a patch in pixels, odd, 7 in the paper.
        smallest: side of the coarsest level, 16 in the paper.
        seed: of the places; give real and generated images different ones.
    """

    def __init__(self, *, patches_per_image: int = 128, patch: int = 7, smallest: int = 16, seed: int = 0) -> None:
        if patches_per_image < 1 or patch < 1 or patch % 2 == 0 or smallest < patch:
            raise UsageError(f"Patches need an odd side no longer than the coarsest level; {patches_per_image} of {patch} on {smallest} came.")
        self.patches_per_image, self.patch, self.smallest = patches_per_image, patch, smallest
        self._rng = np.random.default_rng(seed)
        self._kept: dict[int, list[NDArray[np.float32]]] = {}

    def update(self, images: Images) -> PyramidDescriptors:
        """Add images [n, c, h, w], square, of one size; any range, for the patches are normalised. Returns itself."""
        array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
        if array.ndim != 4 or not len(array) or array.shape[2] != array.shape[3] or array.shape[2] < self.smallest:
            raise UsageError(
                f"The pyramid needs square images [n, c, h, w] of {self.smallest} pixels or more; {list(array.shape)} came. Resize them."
            )
        for start in range(0, len(array), _BATCH):
            batch = array[start : start + _BATCH].astype(np.float32)
            if not np.isfinite(batch).all():
                raise UsageError("The pyramid needs finite images; NaN or infinity came. Look at the images' generator.")
            levels = laplacian_pyramid(batch, self.smallest)
            sides = [level.shape[-1] for level in levels]
            if self._kept and sides != list(self._kept):
                raise UsageError(f"The pyramid needs images of one size; {next(iter(self._kept))} and then {sides[0]} pixels came. Resize them.")
            for side, level in zip(sides, levels, strict=True):
                self._kept.setdefault(side, []).append(self._cut(level))
        return self

    def normalised(self) -> dict[int, NDArray[np.float32]]:
        """Patches [p, f] a level, each channel with mean 0 and deviation 1 over all of them (a constant channel stays 0)."""
        if not self._kept:
            raise UsageError("The pyramid needs at least one image; none came.")
        return {side: _normalise(np.concatenate(parts)) for side, parts in self._kept.items()}

    def _cut(self, level: NDArray[np.float32]) -> NDArray[np.float32]:
        """Random patches [n patches_per_image, c, patch, patch]."""
        windows = np.lib.stride_tricks.sliding_window_view(level, (self.patch, self.patch), axis=(2, 3))  # n c y x patch patch
        image = np.repeat(np.arange(len(level)), self.patches_per_image)
        y, x = self._rng.integers(windows.shape[2], size=len(image)), self._rng.integers(windows.shape[3], size=len(image))
        return np.asarray(windows[image, :, y, x])


def pyramid_distance(
    real: PyramidDescriptors, fake: PyramidDescriptors, *, repeats: int = 4, directions: int = 128, seed: int = 0
) -> PyramidDistance:
    """Sliced Wasserstein distance of two sets of patches, a level at a time.

    Projections are made in float32, as in the paper's own program; their differences are averaged in float64.

    Args:
        real: patches of real images.
        fake: patches of as many generated images.
        repeats: 4 in the paper.
        directions: a repeat, 128 in the paper.
        seed: of the directions.
    """
    reals, fakes, rng = real.normalised(), fake.normalised(), np.random.default_rng(seed)
    if list(reals) != list(fakes) or any(reals[side].shape[1] != fakes[side].shape[1] for side in reals):
        raise UsageError(f"Real and generated images need one size and as many channels; levels {list(reals)} and {list(fakes)} came.")
    levels = {}
    for side in reals:
        values = []
        for _ in range(repeats):
            lines = rng.standard_normal((reals[side].shape[1], directions))
            lines = (lines / np.linalg.norm(lines, axis=0)).astype(np.float32)  # f directions
            values.append(wasserstein_of_sorted(*(np.sort(rows @ lines, axis=0).astype(np.float64) for rows in (reals[side], fakes[side]))).mean())
        levels[side] = 1000 * float(np.mean(values))
    return PyramidDistance(levels, float(np.mean(list(levels.values()))))


def laplacian_sliced_wasserstein(real: Images, fake: Images, *, patches_per_image: int = 128, seed: int = 0) -> PyramidDistance:
    """The paper's distance of two sets of images [n, c, h, w] in memory; stream with :class:`PyramidDescriptors` where they are too many.

    Args:
        real: square, a power of two of 16 pixels or more.
        fake: of the same size, as many.
        patches_per_image: 128 in the paper.
        seed: of places and directions.
    """
    sides = [PyramidDescriptors(patches_per_image=patches_per_image, seed=2 * seed + i).update(x) for i, x in enumerate((real, fake))]
    return pyramid_distance(*sides, seed=seed)


def laplacian_pyramid(images: NDArray[np.float32], smallest: int = 16) -> list[NDArray[np.float32]]:
    """Differences of [n, c, h, w] from the next coarser level, finest first, and last the coarsest level itself, of ``smallest`` pixels or more."""
    levels = [images]
    while levels[-1].shape[-1] // 2 >= smallest:
        if levels[-1].shape[-1] % 2:
            raise UsageError(f"The pyramid halves its images down to {smallest} pixels; a side of {levels[-1].shape[-1]} is odd. Resize to 2^k.")
        levels.append(_blur(levels[-1])[:, :, ::2, ::2])
        levels[-2] = levels[-2] - _enlarge(levels[-1])
    return levels


def _enlarge(images: NDArray[np.float32]) -> NDArray[np.float32]:
    n, c, h, w = images.shape
    spread = np.zeros((n, c, 2 * h, 2 * w), images.dtype)
    spread[:, :, ::2, ::2] = images
    return 4 * _blur(spread)


def _blur(images: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(correlate1d(correlate1d(images, _BINOMIAL, axis=2, mode="mirror"), _BINOMIAL, axis=3, mode="mirror"))


def _normalise(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = patches.mean((0, 2, 3), keepdims=True, dtype=np.float64)
    patches -= mean.astype(np.float32)
    deviation = patches.std((0, 2, 3), keepdims=True, dtype=np.float64)
    patches /= np.where(deviation > 0, deviation, 1).astype(np.float32)
    return patches.reshape(len(patches), -1)
