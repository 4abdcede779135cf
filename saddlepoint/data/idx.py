"""The file format of MNIST: a header of big-endian sizes, then bytes."""

from __future__ import annotations

import gzip
import itertools
import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saddlepoint.errors import DataError

UNSIGNED_BYTE = 0x08
IMAGES = re.compile(r"^.*images[-.]idx3-ubyte(\.gz)?$|^.*\.idx3?(-ubyte)?(\.gz)?$")
PARTS = {"train": "train", "t10k": "test", "test": "test"}


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


def images_of(path: Path) -> list[Path]:
    """The IDX files of images that a path means: itself, or those of a folder named as MNIST's, train before t10k; empty where it is none."""
    if path.is_file():
        return [path] if IMAGES.match(path.name) else []
    there = {part: [path / f"{part}-images-idx3-ubyte{end}" for end in ("", ".gz")] for part in PARTS}
    return [found for names in there.values() for found in [next((name for name in names if name.is_file()), None)] if found]


def read_images(path: Path) -> dict[str, Tensor]:
    """The images of one or two IDX files, uint8 [n, h, w], and the labels beside them (the same name with labels and idx1), int64 [n], if any.

    Raises:
        DataError: if a file is damaged, or images and labels are not as many.
    """
    images, labels = [], []
    for file in images_of(path):
        images.append(read_idx_file(file))
        beside = _labels_beside(file)
        if beside is not None:
            labels.append(read_idx_file(beside).to(torch.int64))
            if len(labels[-1]) != len(images[-1]):
                raise DataError(f"{file} holds {len(images[-1])} images and {beside} {len(labels[-1])} labels. Get the original files again.")
    if len({each.shape[1:] for each in images}) > 1:
        raise DataError(f"The images of {path} are of different sizes. Name one of its files.")
    return {"images": torch.cat(images)} | ({"labels": torch.cat(labels)} if len(labels) == len(images) else {})


def splits_of(path: Path) -> dict[str, Tensor]:
    """Rows of "train" and "test" of a folder with both of MNIST's files; empty for anything else."""
    files = images_of(path) if path.is_dir() else []
    if len(files) != 2:
        return {}
    starts = [0, *itertools.accumulate(_count(file) for file in files)]
    return {PARTS[file.name.partition("-")[0]]: torch.arange(*starts[i : i + 2]) for i, file in enumerate(files)}


def _labels_beside(file: Path) -> Path | None:
    name = file.name.replace("images", "labels").replace("idx3", "idx1")
    plain = name.removesuffix(".gz")
    return next((file.with_name(each) for each in (name, plain, f"{plain}.gz") if each != file.name and file.with_name(each).is_file()), None)


def _count(file: Path) -> int:
    """Records, as the header says."""
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
        return int.from_bytes(opened.read(8)[4:], "big")
