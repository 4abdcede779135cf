"""Arrays in .npy, .npz, HDF5 and IDX files: images of bytes, 16-bit levels or floats, or points of floats, with labels where they are beside.

Axes: n records, c channels, h w image, d point dimension.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from saddlepoint.data import hdf5, idx
from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.data.folder import MIN_IMAGES
from saddlepoint.data.images import check_square
from saddlepoint.data.mapping import mapped
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import Request
from saddlepoint.data.shipped import image_dataset
from saddlepoint.errors import DataError, SaddlepointError, UsageError, nearest

SUFFIXES = (".npy", ".npz")
SAMPLE_NAMES = ("images", "image", "x", "data", "points", "point", "arr_0")
LABEL_NAMES = ("labels", "label", "y", "arr_1")
MOST_CHANNELS = 8
DARK = 16384  # 16-bit levels that all lie below a quarter of white are probably of fewer bits
EXPECTED = "images [n, h, w], [n, h, w, c] or [n, c, h, w] of uint8, uint16 or floats with 1 to 8 channels, or floating-point points [n, d]"

log = logging.getLogger("saddlepoint")


def holds_arrays(path: Path) -> bool:
    """Whether a path is of a kind that :func:`open_array_file` reads."""
    return path.suffix in (*SUFFIXES, *hdf5.SUFFIXES) or bool(idx.images_of(path))


def open_array_file(path: Path, request: Request, key: str | None = None) -> ArrayDataset:
    """The samples of a file of arrays, and the labels beside them.

    Points of any floating type become float32; labels may be any integers from 0 on.

    Args:
        path: a .npy file; an .npz or HDF5 file with one array, or with one named as in ``SAMPLE_NAMES``, and labels named as in ``LABEL_NAMES``; an
            IDX file of images, with its file of labels beside it, or a folder of both; of MNIST's train and t10k both are read, and are its parts.
        request: what was asked.
        key: name of the array; None chooses.
    """
    samples, labels = _read(path, key)
    if len(samples) < MIN_IMAGES:
        raise DataError(f"{path} holds {len(samples)} records; training needs at least {MIN_IMAGES}.")
    classes = _check_labels(labels, len(samples), path) if labels is not None else None
    class_names = tuple(str(k) for k in range(int(classes.max()) + 1)) if classes is not None else ()
    if np.issubdtype(samples.dtype, np.floating) and samples.ndim == 2:
        if request.resolution is not None or request.channels is not None:
            raise UsageError(f"{path} holds points, which have no resolution and no channels. Leave those settings out.")
        return _points(samples.astype(np.float32), classes, class_names, path, request)
    images = _images(samples, path)
    check_square(images, str(path), request.resolution)
    dataset = image_dataset(request, images, classes, class_names)
    dataset.splits = idx.splits_of(path)
    dataset.sizes = {(images.shape[3], images.shape[2]): len(images)}
    return dataset


def _points(samples: NDArray[np.float32], labels: torch.Tensor | None, class_names: tuple[str, ...], path: Path, request: Request) -> ArrayDataset:
    if not np.isfinite(samples).all():
        raise DataError(
            f"{path} holds {int((~np.isfinite(samples)).sum())} values that are not finite; points must be finite numbers. Remove those rows."
        )
    fields = {"point": torch.from_numpy(samples)} | ({} if labels is None else {"label": labels})
    spec = DataSpec(
        name=request.name,
        kind="points",
        shape=(samples.shape[1],),
        num_records=len(samples),
        num_classes=len(class_names) or None,
        class_names=class_names,
        content_hash=content_hash(fields),
        fields=tuple(fields),
    )
    return ArrayDataset(fields, spec)


def _read(path: Path, key: str | None) -> tuple[NDArray[np.generic], NDArray[np.generic] | None]:
    try:
        arrays = _load(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, SaddlepointError):
            raise
        raise DataError(
            f"{path} cannot be read as {path.suffix} ({str(error).splitlines()[0]}). Expected {EXPECTED}, saved by numpy.save or numpy.savez."
        ) from error
    if key is not None and key not in arrays:
        raise UsageError(f"{path} holds no array {key!r}. {nearest(key, arrays)}")
    group = key.rpartition("/")[0] if key else None
    labels = [name for name in arrays if _last(name) in LABEL_NAMES and name != key and group in (None, name.rpartition("/")[0])]
    candidates = [key] if key else [name for name in arrays if name not in labels]
    named = [name for wanted in SAMPLE_NAMES for name in candidates if _last(name) == wanted]
    chosen = candidates[0] if len(candidates) == 1 else named[0] if len({_last(name) for name in named}) == len(named) and named else None
    if chosen is None or arrays[chosen].ndim == 0:
        hint = f" Name one behind the path: {path.name}:{candidates[0]}." if path.suffix in hdf5.SUFFIXES and candidates else ""
        raise DataError(
            f"{path} holds the arrays {', '.join(arrays) or 'none'}; expected one, or one named {', '.join(SAMPLE_NAMES[:4])}, and labels.{hint}"
        )
    beside = [name for name in labels if name.rpartition("/")[0] == chosen.rpartition("/")[0]] or labels
    return _taken(arrays[chosen]), _taken(arrays[beside[0]]) if beside else None


def _taken(array: NDArray[np.generic] | hdf5.Stored) -> NDArray[np.generic]:
    return array.array() if isinstance(array, hdf5.Stored) else array


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _load(path: Path) -> Mapping[str, NDArray[np.generic] | hdf5.Stored]:
    if path.suffix in hdf5.SUFFIXES:
        return hdf5.arrays_of(path)
    if idx.images_of(path):
        return {name: values.numpy() for name, values in idx.read_images(path).items()}
    with path.open("rb") as file:
        if file.read(6) == b"\x93NUMPY":  # the content decides, not the suffix
            return {"arr_0": np.load(path, mmap_mode="r", allow_pickle=False)}
        file.seek(0)
        with np.load(file, allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}


def _check_labels(labels: NDArray[np.generic], num_records: int, path: Path) -> torch.Tensor:
    labels = labels[:, 0] if labels.shape == (num_records, 1) else labels
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (num_records,) or labels.min() < 0:
        raise DataError(f"{path}: labels must be {num_records} integers from 0 on, one a record; found {labels.dtype} of shape {labels.shape}.")
    return torch.from_numpy(labels.astype(np.int64))


def _images(samples: NDArray[np.generic], path: Path) -> torch.Tensor:
    """Images [n, c, h, w]: bytes as they are (mapped from the file where they lie in it so), deeper ones as float32 in [-1, 1]."""
    layout = _layout(samples.shape, path) if _is_image(samples) else None
    if layout is None:
        volumes = (
            ". Volumes are read behind a prefix: voxels:PATH" if samples.ndim == 5 or (samples.ndim == 4 and len({*samples.shape[1:]}) == 1) else ""
        )
        raise DataError(f"{path} holds {samples.dtype} of shape {samples.shape}; expected {EXPECTED}{volumes}.")
    if samples.dtype != np.uint8:
        tensor = torch.from_numpy(_deep(samples, path))
    elif isinstance(samples, np.memmap) and samples.flags.c_contiguous:
        tensor = _mapped(samples)
    else:
        tensor = torch.from_numpy(np.array(samples, np.uint8, order="C"))
    return (tensor[..., None] if tensor.ndim == 3 else tensor).permute(layout)


def _is_image(samples: NDArray[np.generic]) -> bool:
    deep = samples.dtype == np.uint16 or np.issubdtype(samples.dtype, np.floating)
    return samples.ndim in (3, 4) and (samples.dtype == np.uint8 or bool(deep))


def _layout(shape: tuple[int, ...], path: Path) -> tuple[int, ...] | None:
    """Order of the axes that gives n c h w; None where neither the second nor the last axis can be channels."""
    first, last = (0, 1, 2, 3), (0, 3, 1, 2)
    if len(shape) == 3 or (shape[1] not in (1, 3) and shape[3] in (1, 3)):
        return last  # n h w (1), n h w c
    if shape[1] in (1, 3):
        return first
    fits = [layout for layout, axis in ((first, 1), (last, 3)) if shape[axis] <= MOST_CHANNELS]
    if len(fits) == 2:
        raise DataError(
            f"{path} of shape {list(shape)} can be read as {shape[1]} or as {shape[3]} channels. Save it as [n, c, h, w] with larger images."
        )
    return fits[0] if fits else None


def _deep(samples: NDArray[np.generic], path: Path) -> NDArray[np.float32]:
    """16-bit levels, or floats of one of the two usual ranges, as float32 in [-1, 1]."""
    if samples.dtype == np.uint16:
        if 0 < (highest := int(samples.max())) < DARK:
            log.warning("%s holds levels up to %d, and white is 65535: it is read as dark. Scale it if its white is another.", path, highest)
        return (samples.astype(np.float32) / 32767.5 - 1).astype(np.float32)
    values = samples.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if broken := int((~np.isfinite(values)).sum()):
        raise DataError(f"{path} holds {broken} values that are not finite; images need finite numbers. Replace them, or remove those images.")
    if not (low >= -1 and high <= 1):
        raise DataError(f"{path} holds floating-point images with values from {low:g} to {high:g}; expected [0, 1] or [-1, 1]. Scale them.")
    if low >= 0:
        log.warning("%s holds images from %g to %g: read as [0, 1].", path, low, high)
        values = 2 * values - 1
    return values


def _mapped(samples: np.memmap) -> torch.Tensor:
    """The same bytes as a tensor that leaves them in the file until they are read."""
    return mapped(Path(str(samples.filename)), torch.uint8, samples.shape, samples.offset)
