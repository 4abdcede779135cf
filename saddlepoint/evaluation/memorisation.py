"""Is a sample new? The nearest real image to each, in features and in pixels.

A Frechet distance cannot see copying: a generator that replays the training images is perfect by it. So look at the neighbours, and compare a
sample's distance to the data with that of a real image to the others.

Axes: n samples, m records, c channels, h w image.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.data.records import Dataset
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_rows
from saddlepoint.evaluation.classifier import QuickFeatures, seen_as
from saddlepoint.evaluation.grid import to_uint8
from saddlepoint.evaluation.neighbours import nearest

_CHUNK = 1000  # real images in memory at a time


def copy_ratio(train: Rows, held_out: Rows, fake: Rows) -> float:
    """Median distance of generated samples to their nearest training sample over that of held-out real ones; well below 1 means copying.

    Args:
        train: [m, d].
        held_out: [k, d], real and not in ``train``.
        fake: [n, d].

    >>> import numpy as np
    >>> train = np.array([[0.0], [10.0]])
    >>> copy_ratio(train, train + 2, train + 1), copy_ratio(train, train + 2, train)
    (0.5, 0.0)
    """
    usual = float(np.median(nearest(train, held_out)[1]))
    if usual == 0:
        raise UsageError("Copying cannot be judged: half of the held-out samples are in the training set themselves. Remove the duplicates.")
    return float(np.median(nearest(train, fake)[1])) / usual


def nearest_reals(
    samples: NDArray[np.generic] | Tensor, dataset: Dataset, *, max_real: int = 10_000, seed: int = 0
) -> dict[str, NDArray[np.generic]]:
    """The nearest real image to each generated one, by quick features and by pixels, with what is usual among real images themselves.

    Args:
        samples: [n, c, h, w], uint8 or float in [-1, 1], of the data's shape.
        dataset: of images.
        max_real: at most so many records are searched, chosen at random by ``seed``; memory does not grow with them.
    Returns:
        samples, nearest_feature, nearest_pixel: uint8 [n, c, h, w]; index_feature, index_pixel: records, int64 [n]; distance_feature [n], Euclidean
        between features; distance_pixel [n], root mean square difference of pixels in levels of 0..255; usual_feature, usual_pixel: the same
        distances from each of at most 200 searched real images to its nearest other one; searched: how many records.
    """
    pixels = to_uint8(samples)
    if dataset.spec.kind != "image" or pixels.shape[1:] != dataset.spec.shape:
        raise UsageError(
            f"Neighbours need samples of the data's shape {list(dataset.spec.shape)}; {list(pixels.shape[1:])} came. Use the run's own data."
        )
    rng = torch.Generator().manual_seed(derive_seed("nearest", seed))
    chosen = torch.randperm(len(dataset), generator=rng)[:max_real]
    extract = QuickFeatures()
    probes = to_uint8(dataset.records(chosen[:200])["image"])
    own = np.concatenate([np.full(len(pixels), -1), chosen[:200].numpy()])  # a probe is not its own neighbour
    queries = np.concatenate([pixels, probes])
    found = {"feature": _Search(extract(seen_as(queries)), own), "pixel": _Search(_flat(queries), own)}
    for part in torch.split(chosen, _CHUNK):
        images = to_uint8(dataset.records(part)["image"])
        found["feature"].look(extract(seen_as(images)), part.numpy())
        found["pixel"].look(_flat(images), part.numpy())
    n = len(pixels)
    result: dict[str, NDArray[np.generic]] = {"samples": pixels, "searched": np.array(len(chosen))}
    for space, search in found.items():
        result[f"index_{space}"] = search.indices[:n]
        result[f"nearest_{space}"] = to_uint8(dataset.records(torch.from_numpy(search.indices[:n]))["image"])
        result[f"distance_{space}"], result[f"usual_{space}"] = search.distances[:n], search.distances[n:]
    return result


def write_nearest(run_folder: Path, samples: NDArray[np.generic] | Tensor, dataset: Dataset, **options: int) -> Path:
    """Write :func:`nearest_reals` where the report looks for it, samples/nearest.npz of the run; whole or not at all."""
    path = run_folder / "samples" / "nearest.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name("nearest.tmp.npz")
    np.savez_compressed(aside, **nearest_reals(samples, dataset, **options))  # type: ignore[arg-type]
    os.replace(aside, path)
    return path


class _Search:
    """Nearest record to each query so far; ``own`` names the record that a query is itself, -1 for none."""

    def __init__(self, queries: Rows, own: NDArray[np.int64]) -> None:
        self.queries, self.own = as_rows(queries, "generated"), own
        self.indices, self.distances = np.full(len(own), -1), np.full(len(own), np.inf)

    def look(self, rows: Rows, indices: NDArray[np.int64]) -> None:
        """Compare with more records, rows [m, d] at ``indices`` [m]."""
        records = as_rows(rows, "real")
        others = ~np.isin(self.own, indices)
        self._improve(np.flatnonzero(others), records, indices)
        for query in np.flatnonzero(~others):
            rest = indices != self.own[query]
            if rest.any():
                self._improve(np.array([query]), records[rest], indices[rest])

    def _improve(self, queries: NDArray[np.intp], records: Float64, indices: NDArray[np.int64]) -> None:
        if not len(queries):
            return
        at, distances = nearest(records, self.queries[queries])
        better = distances < self.distances[queries]
        self.indices[queries[better]], self.distances[queries[better]] = indices[at[better]], distances[better]


def _flat(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels [n, c h w], scaled so that the Euclidean distance is the root mean square difference in levels."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    return flat / np.float32(np.sqrt(flat.shape[1]))
