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

from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.weights.names import refusal
from saddlepoint.weights.pickles import Machine
from saddlepoint.weights.tensors import Storage, storage_dtype, table

MAGIC = 0x1950A86A20F9469CFC6C  # first value of torch's older files
PROTOCOL = 1001


def read_file(path: Path) -> Any:
    """Everything in a file of weights, as plain values, tensors and :class:`~saddlepoint.weights.names.Thing`; nothing in it is run.

    Raises:
        UsageError: if there is no such file.
        CheckpointError: if it is damaged, of another kind, or asks for anything but values.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file. Give a checkpoint that was downloaded: .pkl, .pt, .pth or .safetensors.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{path} is damaged: {error}.") from None
    with path.open("rb") as stream:
        head = stream.read(4)
        stream.seek(0)
        if head == b"PK\x03\x04":
            return _read_archive(stream, str(path))
        if not head or head[:1] not in (b"\x80", b"(", b"}", b"]", b"c"):
            raise CheckpointError(f"{path} is no file of weights: it begins with {head!r}. Give a .pkl, .pt, .pth or .safetensors file.")
        return _read_stream(stream, str(path), nested=True)


def _read_archive(stream: BinaryIO, where: str) -> Any:
    """torch.save since 1.6: NAME/data.pkl, and each storage's bytes as NAME/data/KEY."""
    try:
        archive = zipfile.ZipFile(stream)
        names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise CheckpointError(f"{where} is damaged: {error}.") from None
    with archive:
        pickles = [name for name in names if name.endswith(".pkl")]
        roots = [name for name in pickles if name.count("/") == 1 and name.endswith("/data.pkl")]
        others = sorted(set(pickles) - set(roots)) + [name for name in names if "/code/" in f"/{name}"]
        if others:
            raise refusal(where, f"it holds {others[0]}, a program or a second pickle")
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
                    raise CheckpointError(f"{where} is damaged: {root}data/{name} has {len(content)} bytes, not {count} values of {dtype}.")
                storages[name] = Storage(content, dtype)
            return storages[name]

        return Machine(table(None), where, persistent).run(io.BytesIO(_member(archive, roots[0], where)))


def _member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    try:
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise refusal(where, f"{name} in it is compressed")
        return archive.read(name)
    except (KeyError, ValueError, zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:  # NotImplementedError is a RuntimeError
        raise CheckpointError(f"{where} is damaged: {name}: {error}.") from None


def _storage_key(key: Any) -> tuple[torch.dtype, str, int]:
    """Type, name and number of values of ("storage", class, name, device, count, ...)."""
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[2], str) or type(key[4]) is not int:
        raise ValueError(f"a persistent id {str(key)[:80]}")
    if len(key) > 5 and key[5] is not None:
        raise ValueError("a view of a storage")
    return storage_dtype(key[1]), key[2], key[4]


def _read_stream(stream: BinaryIO, where: str, *, nested: bool) -> Any:
    """A plain pickle, or torch's older file: magic number, protocol, system, value, keys, then the storages' bytes."""
    reader: Callable[[bytes], Any] | None = (lambda content: _read_stream(io.BytesIO(content), where, nested=False)) if nested else None
    names = table(reader)
    first = Machine(names, where).run(stream)
    if not (type(first) is int and first == MAGIC):
        return first
    plain = table(None)
    protocol, _ = Machine(plain, where).run(stream), Machine(plain, where).run(stream)
    if protocol != PROTOCOL:
        raise CheckpointError(f"{where} is damaged: protocol {protocol}, not {PROTOCOL}.")
    storages: dict[str, Storage] = {}

    def persistent(key: Any) -> Storage:
        dtype, name, count = _storage_key(key)
        if count < 0 or count * dtype.itemsize > _left(stream):
            raise CheckpointError(f"{where} is damaged: it names a storage of {count} values and ends before.")
        return storages.setdefault(name, Storage(torch.zeros(count, dtype=dtype), dtype))

    value = Machine(plain, where, persistent).run(stream)
    keys = Machine(plain, where).run(stream)
    if not isinstance(keys, list) or set(keys) != set(storages):
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


def _left(stream: BinaryIO) -> int:
    place = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(place)
    return end - place
