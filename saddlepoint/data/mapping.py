"""Tensors that stay in a file until they are read, whatever its size."""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch
from torch import Tensor


def mapped(path: Path, dtype: torch.dtype, shape: Sequence[int], offset: int = 0) -> Tensor:
    """A file's values as a tensor that must not be written to.

    The mapping is private: what is written to it all the same changes nothing in the file. The system refuses one that is larger than memory, since
    all of it might be written; that is mapped for reading only. Of a file larger than half of the memory nothing is read ahead.

    Args:
        path: of the file, not empty.
        dtype: of the values, in this machine's byte order.
        shape: of the tensor.
        offset: bytes before the first value.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "x").write_bytes(bytes(range(10)))
    ...     mapped(Path(folder) / "x", torch.uint8, (2, 3), offset=4).tolist()
    [[4, 5, 6], [7, 8, 9]]
    """
    with path.open("rb") as file:
        try:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except OSError:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(view) > psutil.virtual_memory().total // 2 and hasattr(mmap, "MADV_RANDOM"):
        view.madvise(mmap.MADV_RANDOM)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given buffer is not writable")
        return torch.frombuffer(view, dtype=dtype, count=torch.Size(shape).numel(), offset=offset).view(*shape)
