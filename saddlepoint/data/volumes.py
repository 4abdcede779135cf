"""Voxel grids: occupancies of cubes, read from arrays.

    voxels:FILE.npy     bool, uint8 or floats [n, d, h, w] or [n, 1, d, h, w]
    voxels:FILE.npz     the same under ``volumes`` (or alone), with ``labels`` [n] and, beside each volume, ``images`` [n, h, w], [n, h, w, 3] or
                        [n, 3, h, w] (uint8) where there are any

A record has "volume", float32 [1, s, s, s] in [0, 1], axes depth, height, width; height is up and its first plane the floor. Grids that are no cubes
get empty voxels around them.

Axes: n records, c channels, d h w depth height width, s side.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool3d, pad

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.folder import MIN_IMAGES
from saddlepoint.data.images import size_of
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import Request
from saddlepoint.errors import DataError, UsageError

NAMES = ("volumes", "volume", "voxels", "arr_0")
EXPECTED = "bool, uint8 or floats in [0, 1], [n, d, h, w] or [n, 1, d, h, w]"


class Grids:
    """Volumes float32 [n, 1, s, s, s] in [0, 1] that are made when they are asked for.

    Args:
        count: n.
        side: s.
        read: int64 [m] -> float32 [m, 1, s, s, s].
    """

    def __init__(self, count: int, side: int, read: Callable[[Tensor], Tensor]) -> None:
        self.shape = torch.Size((count, 1, side, side, side))
        self.read = read

    def __len__(self) -> int:
        """Number of volumes."""
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Tensor:
        return self.read(torch.as_tensor(rows))


def side_of(request: Request) -> int | None:
    """The side of the cubes that were asked for; None: the data's own.

    Raises:
        UsageError: for sides that differ, or channels.
    """
    if request.channels is not None:
        raise UsageError(f"{request.name} holds volumes, which have no channels. Leave that setting out.")
    if request.resolution is None:
        return None
    height, width = size_of(request.resolution)
    if height != width:
        raise UsageError(f"{request.name} holds volumes, which are cubes; {height}x{width} was asked for. Give one side: --resolution 32.")
    return height


def volume_dataset(request: Request, grids: Grids, digest: str, *, images: Tensor | None = None, **about: Any) -> ArrayDataset:
    """A data set of volumes.

    Args:
        request: what was asked.
        grids: the volumes.
        digest: hash of their content.
        images: uint8 [n, c, h, w], a picture of each, or None.
        about: ``labels`` (int64 [n] or None), ``class_names``, ``names``, ``notes``.
    """
    labels, class_names = about.pop("labels", None), tuple(about.pop("class_names", ()))
    fields: dict[str, Any] = {"volume": grids}
    if labels is not None:
        fields["label"] = labels
    if images is not None:
        fields["image"] = images
    spec = DataSpec(
        name=request.name,
        kind="volume",
        shape=tuple(grids.shape[1:]),
        num_records=len(grids),
        num_classes=len(class_names) if labels is not None else None,
        class_names=class_names if labels is not None else (),
        content_hash=digest,
        fields=tuple(fields),
        shapes={} if images is None else {"image": tuple(images.shape[1:])},
    )
    return ArrayDataset(fields, spec, **about)


def fitted_grids(volumes: Tensor, side: int | None) -> Grids:
    """Volumes in memory or mapped (bool, uint8 levels or floats, [n, d, h, w]), brought to cubes of a side when they are read.

    A side that divides theirs keeps a block that holds anything; a multiple repeats; between once and twice theirs they get empty voxels around them.

    Raises:
        DataError: for another side.
    """
    n, *sizes = volumes.shape
    own = max(sizes)
    side = side or own
    shrunk, grown = own // side, side // own
    if not (own == shrunk * side or side == grown * own or own < side < 2 * own):
        raise DataError(f"Volumes of side {own} cannot be brought to {side}. Choose {own}, or a divisor or multiple of it: --resolution {own}.")

    def read(rows: Tensor) -> Tensor:
        x = volumes[rows]
        x = (x.to(torch.float32) / 255 if x.dtype == torch.uint8 else x.to(torch.float32)).unsqueeze(1)
        if side == grown * own:
            return _padded(x, own).repeat_interleave(grown, 2).repeat_interleave(grown, 3).repeat_interleave(grown, 4)
        return _padded(x, side) if own < side else max_pool3d(_padded(x, own), shrunk)

    return Grids(n, side, read)


def _padded(x: Tensor, side: int) -> Tensor:
    """Volumes [m, 1, d, h, w] in the middle of empty cubes."""
    room = [side - size for size in x.shape[2:]]
    around = [amount for gap in reversed(room) for amount in (gap // 2, gap - gap // 2)]
    return pad(x, around) if any(room) else x


def open_voxels(place: str, request: Request) -> ArrayDataset:
    """Voxels of an array file, see the module.

    Args:
        place: what stands behind "voxels:".
        request: side of the cubes.
    Raises:
        DataError: if the file is missing, damaged, or holds something else.
    """
    path = Path(place).expanduser()
    arrays = _load(path)
    label_name = "labels" if "labels" in arrays else None
    picture_name = "images" if "images" in arrays else None
    others = [name for name in arrays if name not in (label_name, picture_name)]
    name = others[0] if len(others) == 1 else next((name for name in NAMES if name in others), None)
    if name is None:
        raise DataError(f"{path} holds the arrays {', '.join(arrays) or 'none'}; expected one, or one named volumes, and labels and images.")
    volumes = _volumes(arrays[name], path)
    labels = None if label_name is None else _labels(arrays[label_name], len(volumes), path)
    images = None if picture_name is None else _images(arrays[picture_name], len(volumes), path)
    classes = () if labels is None else tuple(str(k) for k in range(int(labels.max()) + 1))
    digest = digest_of(volumes, labels, images, side_of(request))
    return volume_dataset(request, fitted_grids(volumes, side_of(request)), digest, images=images, labels=labels, class_names=classes)


def digest_of(*parts: Tensor | int | None) -> str:
    """First 16 hexadecimal digits of the SHA-256 of tensors and numbers."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{getattr(part, 'dtype', part)} {tuple(getattr(part, 'shape', ()))}\n".encode())
        for rows in torch.split(part, 256) if isinstance(part, Tensor) else ():
            digest.update(np.ascontiguousarray(rows.numpy()).data)
    return digest.hexdigest()[:16]


def _load(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DataError(f"There is no file {path}. voxels: reads a .npy or .npz file of {EXPECTED}; meshes: reads a folder of meshes.")
    try:
        loaded = np.load(path, allow_pickle=False)
        return {"arr_0": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as an array ({str(error).splitlines()[0]}). Expected {EXPECTED}, saved by numpy.") from error


def _volumes(array: NDArray[Any], path: Path) -> Tensor:
    """[n, d, h, w]; whole numbers that are 0 and 1 alone are bool."""
    array = array[:, 0] if array.ndim == 5 and array.shape[1] == 1 else array
    known = array.dtype in (np.bool_, np.uint8) or np.issubdtype(array.dtype, np.floating)
    if array.ndim != 4 or not known or min(array.shape[1:]) < 2:
        raise DataError(f"{path} holds {array.dtype} of shape {list(array.shape)}; expected {EXPECTED}.")
    if len(array) < MIN_IMAGES:
        raise DataError(f"{path} holds {len(array)} volumes; training needs at least {MIN_IMAGES}.")
    if np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32)
        if not (array.min() >= 0 and array.max() <= 1):  # NaN is neither
            raise DataError(f"{path} holds values from {array.min():g} to {array.max():g}; volumes are occupancies in [0, 1]. Scale them.")
    elif array.dtype == np.uint8 and array.max() <= 1:
        array = array.astype(np.bool_)
    empty = np.flatnonzero(~array.any(axis=(1, 2, 3)))
    if len(empty):
        first = ", ".join(map(str, empty[:3]))
        raise DataError(f"{len(empty)} of the {len(array)} volumes in {path} are empty (the first: number {first}). Remove them.")
    return torch.from_numpy(np.array(array, order="C"))


def _labels(labels: NDArray[Any], count: int, path: Path) -> Tensor:
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (count,) or labels.min() < 0:
        raise DataError(f"{path}: labels must be {count} integers from 0 on, one a volume; found {labels.dtype} of shape {list(labels.shape)}.")
    return torch.from_numpy(labels.astype(np.int64))


def _images(images: NDArray[Any], count: int, path: Path) -> Tensor:
    images = images[:, None] if images.ndim == 3 else images
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != count or not {images.shape[1], images.shape[3]} & {1, 3}:
        expected = f"{count} pictures of uint8, [n, h, w], [n, h, w, 3] or [n, 3, h, w]"
        raise DataError(f"{path}: images must be {expected}; found {images.dtype} of shape {list(images.shape)}.")
    return torch.from_numpy(np.array(images if images.shape[1] in (1, 3) else images.transpose(0, 3, 1, 2), order="C"))
