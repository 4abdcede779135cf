"""Volumes for the eye and for other programs: shaded pictures, meshes by marching cubes, arrays.

Axes: n volumes, s side, v vertices, f faces.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.grid import image_grid
from saddlepoint.objectives.overlap import THRESHOLD
from saddlepoint.training.storage import write_bytes
from saddlepoint.views.upright import render

MESHES = (".obj", ".stl", ".ply", ".glb")
YAW, TILE, AT_ONCE = math.pi / 5, 96, 16  # of a picture: the angle, pixels of a volume, volumes rendered at once


def largest_part(volume: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """The volume [s, s, s] without the occupied voxels that do not hang together, by faces, with the largest part: what is drawn in the paper.

    >>> largest_part(np.array([[[0.9, 0.8, 0.0, 0.7]]])).tolist()
    [[[0.9, 0.8, 0.0, 0.0]]]
    """
    parts, count = ndimage.label(volume > THRESHOLD)
    if count < 2:
        return volume
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    kept: NDArray[np.floating[Any]] = np.where((parts == largest) | (parts == 0), volume, 0)
    return kept


def connectedness(volumes: Tensor) -> Tensor:
    """Share of each volume's occupied voxels that lie in its largest part: [n] in [0, 1]; 0 for an empty one."""
    shares = []
    for volume in volumes.squeeze(1).cpu().numpy():
        sizes = np.bincount(ndimage.label(volume > THRESHOLD)[0].ravel())[1:]
        shares.append(float(sizes.max() / sizes.sum()) if len(sizes) else 0.0)
    return torch.tensor(shares)


def picture(volumes: Tensor, columns: int | None = None) -> Image.Image:
    """Volumes [n, 1, s, s, s] as shaded pictures in rows."""
    parts = [render(part.float(), torch.full((len(part),), YAW), size=TILE) for part in torch.split(volumes.cpu(), AT_ONCE)]
    return image_grid(torch.cat(parts), columns)


def mesh(volume: NDArray[np.floating[Any]], *, largest: bool = True) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Surface of a volume at .5 by marching cubes, closed where it meets the border; y up, in units of the side, x and z from the middle.

    Args:
        volume: occupancies [s, s, s] (depth, height, width).
        largest: only the largest part.
    Returns:
        Vertices [v, 3] and faces [f, 3], turned outwards.
    Raises:
        UsageError: if nothing is above .5, or scikit-image is missing.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError:
        raise UsageError("Meshes are made by scikit-image, which is not installed: pip install 'saddlepoint[volumes]'.") from None
    volume = largest_part(volume) if largest else volume
    if not (volume > THRESHOLD).any():
        raise UsageError("This volume is empty: no voxel is above .5, so it has no surface. Train longer, or draw with another --seed.")
    cubes: Callable[..., Any] = marching_cubes
    vertices, faces = cubes(np.pad(volume, 1), THRESHOLD, gradient_direction="descent")[:2]
    z, y, x = ((vertices - 0.5) / volume.shape[0]).T  # the middle of voxel i lies at i + 1/2
    return np.stack([x - 0.5, y, z - 0.5], 1).astype(np.float64), faces.astype(np.int64)


def write_volumes(volumes: Tensor, out: Path) -> None:
    """Write volumes as a picture (.png), occupancies (.npy, .npz), or meshes (.obj, .stl, .ply, .glb; several side by side; a folder: an .obj each).

    Args:
        volumes: [n, 1, s, s, s] in [0, 1].
        out: the file, or a folder.
    Raises:
        UsageError: for another ending.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".png":
        _save(lambda buffer: picture(volumes).save(buffer, format="png"), out)
    elif out.suffix == ".npy":
        _save(lambda buffer: np.save(buffer, volumes.numpy()), out)
    elif out.suffix == ".npz":
        _save(lambda buffer: np.savez_compressed(buffer, volumes=volumes.numpy()), out)
    elif out.suffix in MESHES:
        write_bytes(out, _exported([mesh(volume[0].numpy()) for volume in volumes], out.suffix))
    elif not out.suffix:
        out.mkdir(parents=True, exist_ok=True)
        for index, volume in enumerate(volumes):
            write_bytes(out / f"{index:06d}.obj", _exported([mesh(volume[0].numpy())], ".obj"))
    else:
        raise UsageError(f"Volumes are written as .png, .npy, .npz, {', '.join(MESHES)} or a folder; {out} is none of these. Choose another --out.")


def _save(write: Callable[[io.BytesIO], object], out: Path) -> None:
    buffer = io.BytesIO()
    write(buffer)
    write_bytes(out, buffer.getvalue())


def _exported(surfaces: list[tuple[NDArray[np.float64], NDArray[np.int64]]], suffix: str) -> bytes:
    """One file of surfaces in a square, 1.1 sides apart."""
    try:
        import trimesh
    except ImportError:
        raise UsageError("Meshes are written by trimesh, which is not installed: pip install 'saddlepoint[volumes]'.") from None
    columns = math.ceil(math.sqrt(len(surfaces)))
    placed = [
        trimesh.Trimesh(vertices + np.array([1.1 * (index % columns), 0, 1.1 * (index // columns)]), faces, process=False)
        for index, (vertices, faces) in enumerate(surfaces)
    ]
    whole: Any = trimesh.util.concatenate(placed)
    content: str | bytes = whole.export(file_type=suffix[1:])
    return content.encode() if isinstance(content, str) else content
