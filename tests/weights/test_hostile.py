"""Files that were made to fill the memory, to take forever, to end the process or to write on the terminal end in one short line."""

from __future__ import annotations

import copy
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from saddlepoint.errors import CheckpointError
from saddlepoint.weights.files import read_file
from saddlepoint.weights.importing import fill, understand
from saddlepoint.weights.names import brief
from saddlepoint.weights.tensors import as_tensor

HEAD = b"\x80\x04"
MAGIC = [0x1950A86A20F9469CFC6C, 1001, {}]
DOUBLED = b")" + b"2\x86" * 60  # tuples of 2^60 empty ones, by reference
DEEP = b")" + b"\x85" * 1_000_000  # a tuple in a tuple in ...
LONG = b"\x8b" + struct.pack("<i", 4000) + b"\x7f" * 4000  # more digits than Python writes


def text(said: str) -> bytes:
    return b"X" + struct.pack("<I", len(said.encode())) + said.encode()


def storage(kind: bytes, name: str, count: int) -> bytes:
    return b"(" + text("storage") + b"ctorch\n" + kind + b"Storage\n" + text(name) + text("cpu") + b"J" + struct.pack("<i", count) + b"tQ"


def tensor(of: bytes, size: bytes) -> bytes:
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + of + b"K\x00" + size + b"K\x01\x85\x89ccollections\nOrderedDict\n)RtR"


def old(value: bytes, keys: bytes = b"].", protocol: bytes = b"M\xe9\x03.") -> bytes:
    return pickle.dumps(MAGIC[0], 2) + HEAD + protocol + HEAD + b"}." + HEAD + value + HEAD + keys


def archive(file: Path, members: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members:
            made.writestr(name, content)


def refused(file: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        understand(file)
    said = str(caught.value)
    assert len(said) < 600
    assert said.isprintable(), said
    return said


PLAIN = {
    "a key that cannot be hashed in time": (b"}" + DOUBLED + b"Ns.", "a key (tuple, tuple)"),
    "a key that is deeper than the stack": (b"}" + DEEP + b"Ns.", "a key (tuple)"),
    "a set of such": (b"\x8f(" + DEEP + b"\x90.", "a key (tuple)"),
    "a frozen set of such": (b"(" + DOUBLED + b"\x91.", "a key (tuple, tuple)"),
    "a mapping of such": (b"(" + DOUBLED + b"Nd.", "a key (tuple, tuple)"),
    "a set that is called": (b"cbuiltins\nset\n]" + DOUBLED + b"a\x85R.", "a key (tuple, tuple)"),
    "an ordered mapping": (b"ccollections\nOrderedDict\n]" + DOUBLED + b"N\x86a\x85R.", "a key (tuple, tuple)"),
    "a key of many digits": (b"}" + LONG + b"Ns.", "a number of 31999 bits"),
    "a type that cannot be written": (b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n" + DOUBLED + b"\x85RC\x01a\x86R.", "an array of (tuple)"),
    "a class that cannot be written": (
        b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n}(" + text("class_name") + DOUBLED + text("state") + b"}u\x85R.",
        "without a name",
    ),
    "a name that cannot be written": (DOUBLED + b"2\x93.", "a name (tuple, tuple)"),
    "copies of bytes": (
        b"cbuiltins\nbytes\nq\x00B" + struct.pack("<I", 10**6) + bytes(10**6) + b"\x85q\x01" + b"h\x00h\x01R" * 10_000 + b".",
        "copies",
    ),
    "copies of lists": (b"ctorch\nSize\nq\x00(" + b"N" * 10**6 + b"l\x85q\x01" + b"h\x00h\x01R" * 10_000 + b".", "copies"),
    "a file in it, again and again": (
        b"ctorch.storage\n_load_from_bytes\nq\x00B"
        + struct.pack("<I", 10**6 + 2)
        + b"N0" * (5 * 10**5)
        + b"N."
        + b"\x85q\x01"
        + b"h\x00h\x01R" * 10_000,
        "copies",
    ),
    "letters that move the cursor": (b"\x8c\x08a\x1b[2J\r\nb\x8c\x03abc\x93.", r"a\x1b[2J\r\nb.abc"),
    "letters that turn the line": (text("\u202ea") + text("b") + b"\x93.", r"\u202ea.b"),
    "a long name": (b"c" + b"a" * 10**6 + b"\nb\n.", "aaa..., which no weights need"),
    "keys with letters of control": (b"}" + text("a\x1b[2J\nb") + b"Ns.", r"known here (a\x1b[2J\nb, ...)"),
    "instructions without end": (b"N0" * 3_000_000 + b"N.", "more than 5000000 instructions"),
    "nothing": (b"}.", "known here (it is empty, ...)"),
    "TensorFlow": (b"cdnnlib.tflib.network\nNetwork\n)\x81.", "NVIDIA's older TensorFlow code"),
    "a program": (b"ctorch.jit._script\nRecursiveScriptModule\n)\x81.", "a program; only weights are read"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_pickles(tmp_path: Path, name: str) -> None:
    content, said = PLAIN[name]
    (tmp_path / "x.pkl").write_bytes(HEAD + content)
    assert said in refused(tmp_path / "x.pkl")


OLD = {
    "keys that are lists": (old(b"}.", b"]]a."), "its storages are not those it names"),
    "a protocol of many digits": (old(b"}.", protocol=LONG + b"."), "protocol a number of 31999 bits, not 1001"),
    "a protocol that cannot be written": (old(b"}.", protocol=DOUBLED + b"."), "protocol (tuple, tuple), not 1001"),
    "storages that share their bytes": (
        old(b"](" + b"".join(storage(b"Byte", f"{i}", 10**6) for i in range(100)) + b"e.") + bytes(10**6),
        "ends before",
    ),
    "a storage of two types": (
        old(b"](" + storage(b"Float", "0", 2) + storage(b"Long", "0", 1) + b"e.") + bytes(16),
        "2 values of torch.float32 and 1 of torch.int64",
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_old_files(tmp_path: Path, name: str) -> None:
    content, said = OLD[name]
    (tmp_path / "x.pt").write_bytes(content)
    assert said in refused(tmp_path / "x.pt")


def test_archives(tmp_path: Path) -> None:
    file, one = tmp_path / "x.pt", tensor(storage(b"Float", "0", 2), b"K\x02\x85")
    archive(file, [("x/data.pkl", HEAD + b"](" + one + tensor(storage(b"Long", "0", 7), b"K\x02\x85") + b"e."), ("x/data/0", bytes(8))])
    assert "2 values of torch.float32 and 7 of torch.int64" in refused(file)
    archive(file, [("x/data.pkl", HEAD + tensor(storage(b"Float", "0", 2), DOUBLED) + b"."), ("x/data/0", bytes(8))])
    assert "a tensor of size (tuple, tuple)" in refused(file)
    archive(file, [("x/data.pkl", HEAD + DOUBLED + b"Q.")])
    assert "a persistent id (tuple, tuple)" in refused(file)
    archive(file, [("x/data.pkl", HEAD + tensor(storage(b"Byte", "../../secret\n", 1), b"K\x01\x85") + b".")])
    assert r"x/data/../../secret\n" in refused(file)
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive(file, [("x/data.pkl", HEAD + b"}."), ("x/data/0", b"a"), ("x/data/0", b"b")])
    assert "its members have one name" in refused(file)


def test_members_that_lie_upon_one_another(tmp_path: Path) -> None:
    """A few bytes of directory for every copy of a long member."""
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as made:
        made.writestr("x/data.pkl", HEAD + b"](" + b"".join(storage(b"Byte", f"{i}", 10**5) for i in range(100)) + b"e.")
        made.writestr("x/data/0", bytes(10**5))
        for i in range(1, 100):
            entry = copy.copy(made.getinfo("x/data/0"))
            entry.filename = entry.orig_filename = f"x/data/{i}"
            made.filelist.append(entry)
            made.NameToInfo[entry.filename] = entry
    assert "lie upon one another" in refused(tmp_path / "x.pt")


def test_what_is_downloaded_by_mistake_is_named(tmp_path: Path) -> None:
    for content, said in (
        (b"<!DOCTYPE html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "`git lfs pull` fetches"),
        (b"\x1f\x8b\x08\x00", "compressed by gzip"),
        (b"\x89HDF\r\n", "it is HDF5"),
    ):
        (tmp_path / "x.pkl").write_bytes(content)
        assert said in refused(tmp_path / "x.pkl")


def test_paths_and_numbers_of_either_order_are_read(tmp_path: Path) -> None:
    arrays = {"turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(6, dtype=">f4").reshape(3, 2)}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"folder": tmp_path, **arrays}))
    found = read_file(tmp_path / "x.pkl")
    assert found["folder"].name.startswith("pathlib.")
    assert all(np.array_equal(as_tensor(found[name]).numpy(), array) for name, array in arrays.items())
    assert as_tensor(found["turned"]).data_ptr() == as_tensor(found["turned"]).data_ptr()  # not a copy a time


def test_safetensors(tmp_path: Path) -> None:
    file, data = tmp_path / "x.safetensors", {"name": "x", "kind": "image", "shape": [1, 32, 32], "num_records": 1}

    def write(about: str) -> Path:
        header = {"__metadata__": {"saddlepoint": about}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
        content = json.dumps(header).encode()
        file.write_bytes(struct.pack("<Q", len(content)) + content + bytes(4))
        return file

    assert "maximum recursion depth" in refused(write("[" * 100_000))
    for about, said in (
        (5, "does not fit this version"),
        ({"recipe": "dcgna", "config": {}, "data": data}, "Nearest: dcgan"),
        ({"recipe": ["dcgan"], "config": {}, "data": data}, "does not fit this version"),
        ({"recipe": "dcgan", "config": [], "data": data}, "does not fit this version"),
        ({"recipe": "dcgan", "config": {"width": "x"}, "data": data}, "width must be int; it is 'x'"),
        ({"recipe": "dcgan", "config": {}, "data": data | {"shapes": 5}}, "does not fit this version"),
    ):
        assert said in refused(write(json.dumps(about)))
    for config, kind, said in (
        ({"width": 10**6}, data, "ask for networks of"),
        ({}, data | {"shape": [1, 2**20, 2**20]}, "ask for networks of"),
        ({}, data | {"shape": "abc"}, "is not whole or not understood"),
    ):
        found = understand(write(json.dumps({"recipe": "dcgan", "config": config, "data": kind})))
        with pytest.raises(CheckpointError, match=said):
            fill(found, file)


def test_what_is_shown_of_a_file() -> None:
    assert brief(b"a\x1b", 1) == "b'a'"
    assert brief([1, None, "x"]) == "(1, None, x)"
    assert brief(list(range(9))) == "list"
    assert brief(torch.zeros(2)) == "Tensor"
