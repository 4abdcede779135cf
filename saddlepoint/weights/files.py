"""The files that weights come in: torch's zip archives, torch's older streams, plain pickles (NVIDIA, R3GAN), safetensors."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.weights.names import brief, refusal
from saddlepoint.weights.pickles import Machine, left
from saddlepoint.weights.tensors import Storage, storage_dtype, table

MAGIC = 0x1950A86A20F9469CFC6C  # first value of torch's older files
PROTOCOL = 1001
KINDS = {
    b"<": "it is a web page, in which a link to the file may stand",
    b"vers": "it is the pointer of a large file of git, which `git lfs pull` fetches",
    b"\x1f\x8b": "it is compressed by gzip; unpack it first",
    b"\x89HDF": "it is HDF5, of Keras perhaps",
}


def read_file(path: Path) -> Any:
    """Everything in a file of weights, as plain values, tensors and :class:`~saddlepoint.weights.names.Thing`; nothing in it is run.

    Raises:
        UsageError: if there is no such file.
        CheckpointError: if it is damaged, of another kind, or asks for anything but values.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file. Give a checkpoint that was downloaded: .pkl, .pt, .pth or .safetensors.")
    if path.suffix == ".safetensors":
        return read_tensors(path)
    with path.open("rb") as stream:
        head = stream.read(4)
        stream.seek(0)
        if head == b"PK\x03\x04":
            return _read_archive(stream, str(path))
        if not head or head[:1] not in (b"\x80", b"(", b"}", b"]", b"c"):
            kind = next((kind for start, kind in KINDS.items() if head.startswith(start)), f"it begins with {head!r}")
            raise CheckpointError(f"{path} is no file of weights: {kind}. Give a .pkl, .pt, .pth or .safetensors file.")
        return _read_stream(stream, str(path), nested=True)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        CheckpointError: if it is damaged, or its numbers are of a type that is not known here.
    """
    try:
        return load_file(path)
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        raise CheckpointError(f"{path} is damaged: {brief(str(error), 200)}.") from None


def _read_archive(stream: BinaryIO, where: str) -> Any:
    """torch.save since 1.6: NAME/data.pkl, and each storage's bytes as NAME/data/KEY."""
    try:
        archive = zipfile.ZipFile(stream)
        names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise CheckpointError(f"{where} is damaged: {error}.") from None
    with archive:
        if len({*names}) < len(names) or sum(info.compress_size for info in archive.infolist()) > stream.seek(0, io.SEEK_END):
            raise refusal(where, "its members have one name, or lie upon one another")
        pickles = [name for name in names if name.endswith(".pkl")]
        roots = [name for name in pickles if name.count("/") == 1 and name.endswith("/data.pkl")]
        others = sorted(set(pickles) - set(roots)) + [name for name in names if "/code/" in f"/{name}"]
        if others:
            raise refusal(where, f"it holds {brief(others[0])}, a program or a second pickle")
        if len(roots) != 1:
            raise CheckpointError(f"{where} is no file of torch.save: it holds {len(roots)} data.pkl. Unpack it if it is an archive of files.")
        root = roots[0].removesuffix("data.pkl")
        if f"{root}byteorder" in names and _member(archive, f"{root}byteorder", where) != b"little":
            raise CheckpointError(f"{where} was written by a machine with another byte order. Convert it there to safetensors.")
        storages: dict[str, Storage] = {}

        def persistent(key: Any) -> Storage:
            dtype, name, count = _storage_key(key)
            if name not in storages:
                content = _member(archive, f"{root}data/{name}", where)
                if len(content) != count * dtype.itemsize:
                    sizes = f"{len(content)} bytes, not {brief(count)} values of {dtype}"
                    raise CheckpointError(f"{where} is damaged: {brief(f'{root}data/{name}')} has {sizes}.")
                storages[name] = Storage(content, dtype)
            return _as_named(storages[name], dtype, count)

        return Machine(table(None), where, persistent).run(io.BytesIO(_member(archive, roots[0], where)))


def _member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    try:
        if archive.getinfo(name).compress_type == zipfile.ZIP_STORED:
            return archive.read(name)
    except (KeyError, ValueError, zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:  # NotImplementedError is a RuntimeError
        raise CheckpointError(f"{where} is damaged: {brief(name)}: {brief(str(error))}.") from None
    raise refusal(where, f"{brief(name)} in it is compressed")


def _storage_key(key: Any) -> tuple[torch.dtype, str, int]:
    """Type, name and number of values of ("storage", class, name, device, count, ...)."""
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[2], str) or type(key[4]) is not int:
        raise ValueError(f"a persistent id {brief(key)}")
    if len(key) > 5 and key[5] is not None:
        raise ValueError("a view of a storage")
    return storage_dtype(key[1]), key[2], key[4]


def _as_named(storage: Storage, dtype: torch.dtype, count: int) -> Storage:
    """The storage, if it was named with this type and length before."""
    if (storage.flat.dtype, len(storage.flat)) != (dtype, count):
        raise ValueError(f"a storage that is {len(storage.flat)} values of {storage.flat.dtype} and {brief(count)} of {dtype}")
    return storage


def _read_stream(stream: BinaryIO, where: str, *, nested: bool) -> Any:
    """A plain pickle, or torch's older file: magic number, protocol, system, value, keys, then the storages' bytes."""
    reader: Callable[[bytes], Any] | None = (lambda content: _read_stream(io.BytesIO(content), where, nested=False)) if nested else None
    names = table(reader)
    first = Machine(names, where).run(stream)
    if not (type(first) is int and first == MAGIC):
        return first
    plain = table(None)
    protocol, _ = Machine(plain, where).run(stream), Machine(plain, where).run(stream)
    if type(protocol) is not int or protocol != PROTOCOL:
        raise CheckpointError(f"{where} is damaged: protocol {brief(protocol)}, not {PROTOCOL}.")
    storages: dict[str, Storage] = {}
    room = left(stream)

    def persistent(key: Any) -> Storage:
        nonlocal room
        dtype, name, count = _storage_key(key)
        if name not in storages:
            room -= count * dtype.itemsize
            if count < 0 or room < 0:
                raise CheckpointError(f"{where} is damaged: it names a storage of {brief(count)} values and ends before.")
            storages[name] = Storage(torch.zeros(count, dtype=dtype), dtype)
        return _as_named(storages[name], dtype, count)

    value = Machine(plain, where, persistent).run(stream)
    keys = Machine(plain, where).run(stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(storages):
        raise CheckpointError(f"{where} is damaged: its storages are not those it names.")
    for key in keys:
        _fill(storages[key], stream, where)
    return value


def _fill(storage: Storage, stream: BinaryIO, where: str) -> None:
    """The number of values as int64, then their bytes."""
    size = storage.flat.numel() * storage.flat.itemsize
    head, content = stream.read(8), stream.read(size)
    if len(head) != 8 or struct.unpack("<q", head)[0] != storage.flat.numel() or len(content) != size:
        raise CheckpointError(f"{where} is damaged: a storage of {storage.flat.numel()} values is not whole.")
    if size:
        storage.flat.copy_(torch.frombuffer(bytearray(content), dtype=storage.flat.dtype))
