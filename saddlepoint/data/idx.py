"""The file format of MNIST: a header of big-endian sizes, then bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saddlepoint.errors import DataError

UNSIGNED_BYTE = 0x08


def read_idx(raw: bytes, name: str = "the file") -> Tensor:
    """Array of unsigned bytes in IDX format, any number of axes.

    Args:
        raw: 0, 0, type (8), number of axes, one 32-bit size an axis, then the values, the last axis fastest.
        name: for the error line.

    >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9])).tolist()
    [7, 9]
    """
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != UNSIGNED_BYTE or len(raw) < 4 + 4 * raw[3]:
        raise DataError(f"{name} is no IDX file of unsigned bytes. Get the original file again.")
    shape = struct.unpack(f">{raw[3]}I", raw[4 : 4 + 4 * raw[3]])
    start = 4 + 4 * len(shape)
    if len(raw) - start != math.prod(shape):
        raise DataError(
            f"{name} should hold {math.prod(shape)} values ({'x'.join(map(str, shape))}), it holds {len(raw) - start}. Get the original file again."
        )
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy())


def read_idx_file(path: Path) -> Tensor:
    """The array of an IDX file, gzipped if its name ends with .gz."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is a damaged gzip file ({error}). Get the original file again.") from error
    return read_idx(raw, str(path))
