"""HDF5 files: the arrays inside, mapped from the file where they lie in it in one piece, unpacked once into the cache where they do not."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.data.cache import cache_root, storing
from saddlepoint.errors import DataError, UsageError

SUFFIXES = (".h5", ".hdf5", ".he5")
PIECE = 2**24  # bytes unpacked at once


@dataclass(frozen=True)
class Stored:
    """An array inside a file, not read yet."""

    path: Path
    name: str
    ndim: int

    def array(self) -> NDArray[np.generic]:
        """The array where it lies, or, if it is in chunks or compressed, in a file of the cache that it is unpacked to."""
        import h5py

        with h5py.File(self.path, "r") as file:
            item = file[self.name]
            if not item.size:
                return np.empty(item.shape, item.dtype)
            offset = item.id.get_offset()
            if offset is not None and item.external is None:
                return np.memmap(self.path, item.dtype, "r", offset, item.shape)
            stat = self.path.stat()
            about = f"{self.path.resolve()} {stat.st_size} {stat.st_mtime_ns} {self.name}"
            place = cache_root() / "arrays" / f"{hashlib.sha256(about.encode()).hexdigest()[:32]}.npy"
            if not place.exists():
                _unpack(item, place)
        return np.asanyarray(np.load(place, mmap_mode="r", allow_pickle=False))


def arrays_of(path: Path) -> dict[str, Stored]:
    """Every array of numbers with at least one axis, by its name ("images", "train/x").

    Raises:
        DataError: if the file cannot be read.
        UsageError: if h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise UsageError("HDF5 files are read by h5py, which is not installed: pip install 'saddlepoint[hdf5]'.") from None
    found: dict[str, Stored] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim and np.issubdtype(item.dtype, np.number):
            found[name] = Stored(path, name, item.ndim)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)  # follows neither links to other files nor circles
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read as an HDF5 file ({str(error).splitlines()[0]}). Get it again.") from None
    return found


def _unpack(item: Any, place: Path) -> None:
    """Write an array piece by piece, aside, and give it its name when it is whole."""
    with storing(place.parent, "an unpacked array"):
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=place.parent, suffix=".tmp")
        aside = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                header = {"descr": np.lib.format.dtype_to_descr(item.dtype), "fortran_order": False, "shape": item.shape}
                np.lib.format.write_array_header_2_0(file, header)
                rows = max(1, PIECE * len(item) // max(1, item.nbytes))
                for start in range(0, len(item), rows):
                    file.write(np.ascontiguousarray(item[start : start + rows]).tobytes())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)
