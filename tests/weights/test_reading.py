"""Files of weights: what torch and NVIDIA's code write is read; nothing that lies in them is run."""

from __future__ import annotations

import argparse
import collections
import io
import pickle
import re
import struct
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.weights.files import read_file
from saddlepoint.weights.importing import understand
from saddlepoint.weights.names import Thing
from saddlepoint.weights.tensors import Storage, as_tensor, rebuild_tensor

STATE = {
    "a": torch.arange(6.0).reshape(2, 3),
    "turned": torch.arange(6.0).reshape(2, 3).t(),
    "half": torch.ones(3, dtype=torch.float16),
    "count": torch.tensor(7),
    "bool": torch.tensor([True, False]),
    "empty": torch.empty(0, 2),
    "bf": torch.ones(2, dtype=torch.bfloat16),
}


def same(found: dict, expected: dict) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves(tmp_path: Path, zipped: bool) -> None:
    shared = torch.arange(4.0)
    args = argparse.Namespace(size=32, path="x")
    value = {
        "state": collections.OrderedDict(STATE),
        "two": [shared[:2], shared[1:]],
        "args": args,
        "lr": 0.1,
        "param": nn.Parameter(torch.ones(2)),
        "shape": torch.Size([1, 2]),
    }
    torch.save(value, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = read_file(tmp_path / "x.pt")
    same(found["state"], STATE)
    assert found["two"][1].tolist() == [1, 2, 3]
    assert found["args"].state == {"size": 32, "path": "x"}
    assert (found["lr"], found["param"].tolist(), found["shape"]) == (0.1, [1, 1], (1, 2))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_pickles_of_tensors_and_arrays(tmp_path: Path, protocol: int) -> None:
    arrays = {
        "x": np.arange(6, dtype=np.float32).reshape(2, 3),
        "big": np.arange(3, dtype=">i4"),
        "f": np.asfortranarray(np.eye(2, 3)),
        "n": np.int64(4),
    }
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    content = {"tensors": dict(STATE), "arrays": arrays, "net": net, "set": {1}, "long": 2**70, "text": "é", "bytes": b"\x00\xff", "none": None}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_file(tmp_path / "x.pkl")
    same(found["tensors"], STATE)
    for name in ("x", "big", "f"):
        assert np.array_equal(as_tensor(found["arrays"][name]).numpy(), arrays[name])
    assert (found["arrays"]["n"], found["set"], found["long"], found["text"], found["bytes"], found["none"]) == (
        4,
        {1},
        2**70,
        "é",
        b"\x00\xff",
        None,
    )
    assert isinstance(found["net"], Thing)
    assert torch.equal(found["net"].state["_modules"]["0"].state["_parameters"]["weight"], net[0].weight)


class Runs:
    """An object whose pickle calls a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def by_name(module: str, name: str, *args: str) -> bytes:
    """A pickle that names a function of a module that need not be here, and calls it."""
    texts = b"".join(b"X" + struct.pack("<I", len(arg)) + arg.encode() for arg in args)
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + texts + b"tR."


def stack_name(module: str, name: str) -> bytes:
    return b"\x80\x04" + b"".join(b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name)) + b"\x93)R."


WITNESS = "raised, because it was run"


def attacks(folder: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles that do something when they are loaded, and the name by which each is refused."""
    touch = f"open({str(folder / 'witness')!r}, 'w').close()"
    system = pickle.dumps(Runs(exec, touch))
    chain = pickle.dumps(Runs(getattr, Runs(__import__, "os"), "system"))
    dotted = stack_name("torch", "serialization.os.system")
    reconstruct = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\nK\x00\x85U\x01btR."
    objects = pickle.dumps(np.array([Runs(exec, touch)], dtype=object))
    module_state = b"\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81}X\x01\x00\x00\x00fcos\nsystem\nsb."
    changed = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x0c\x00\x00\x00__defaults__Nsb."
    inner = io.BytesIO()
    torch.save(torch.ones(1).untyped_storage(), inner, _use_new_zipfile_serialization=False)
    nested = by_bytes("torch.storage", "_load_from_bytes", pickle.dumps(Runs(exec, touch)))
    twice = by_bytes("torch.storage", "_load_from_bytes", by_bytes("torch.storage", "_load_from_bytes", inner.getvalue()))
    persistent = pickle.dumps({"G_ema": Persistent({"type": "class", "class_name": "G", "module_src": touch, "state": {"x": Runs(exec, touch)}})})
    return {
        "os.system": (b"cos\nsystem\n(S'true'\ntR.", r"asks for os\.system"),
        "posix.system": (by_name("posix", "system", "true"), r"asks for posix\.system"),
        "subprocess": (by_name("subprocess", "Popen", "true"), r"asks for subprocess\.Popen"),
        "eval": (by_name("builtins", "eval", "1"), r"asks for builtins\.eval"),
        "python 2 eval": (by_name("__builtin__", "eval", "1"), r"asks for __builtin__\.eval"),
        "exec": (system, r"asks for builtins\.exec"),
        "getattr": (chain, r"asks for builtins\.getattr"),
        "dotted": (dotted, r"asks for torch\.serialization\.os\.system"),
        "torch.load": (by_name("torch.serialization", "load", "x"), r"asks for torch\.serialization\.load"),
        "torch.hub": (by_name("torch.hub", "load", "x"), r"asks for torch\.hub\.load"),
        "torch file": (by_name("torch.storage", "UntypedStorage.from_file", "x"), r"asks for torch\.storage\.UntypedStorage\.from_file"),
        "partial": (by_name("functools", "partial", "x"), r"asks for functools\.partial"),
        "operator": (by_name("operator", "methodcaller", "x"), r"asks for operator\.methodcaller"),
        "module": (by_name("runpy", "run_path", "x"), r"asks for runpy\.run_path"),
        "instance": (b"(S'true'\nios\nsystem\n.", r"asks for os\.system"),
        "object": (b"(cos\nsystem\nS'true'\no.", r"asks for os\.system"),
        "extension": (b"\x80\x02\x82\x01.", "EXT1|extension"),
        "reconstruct": (reconstruct, r"asks for os\.system"),
        "objects": (objects, r"asks for builtins\.exec"),
        "state": (module_state, r"asks for os\.system"),
        "changed": (changed, r"changes torch\._utils\._rebuild_tensor_v2"),
        "called": (b"\x80\x02}(tR.", "calls what is no function"),
        "nested": (nested, r"asks for builtins\.exec"),
        "nested twice": (twice, "file within a file"),
        "persistent": (persistent, r"asks for builtins\.exec"),
        "buffer": (b"\x80\x05\x97.", "instruction NEXT_BUFFER"),
        "outside": (b"\x80\x02X\x01\x00\x00\x00kQ.", "an object outside of itself"),
    }


def by_bytes(module: str, name: str, content: bytes) -> bytes:
    return b"\x80\x03c" + f"{module}\n{name}\n".encode() + b"B" + struct.pack("<I", len(content)) + content + b"\x85R."


class Persistent:
    def __init__(self, meta):
        self.meta = meta

    def __reduce__(self):
        return _reconstruct_persistent_obj, (self.meta,)


def _reconstruct_persistent_obj(meta):
    raise AssertionError(WITNESS)


@pytest.fixture(autouse=True)
def nvidia_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that NVIDIA's code pickles under, so that this process can write such files."""
    persistence = types.ModuleType("torch_utils.persistence")
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", persistence)
    monkeypatch.setattr(_reconstruct_persistent_obj, "__module__", "torch_utils.persistence")


def own_modules() -> set[str]:
    return {name for name in sys.modules if not name.startswith("encodings.")}


ATTACKS = tuple(attacks(Path("nowhere")))


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("form", ["plain", "zip", "old"])
def test_attacks_are_refused_by_name(tmp_path: Path, name: str, form: str) -> None:
    content, said = attacks(tmp_path)[name]
    file = tmp_path / "hostile.pt"
    if form == "plain":
        file.write_bytes(content)
    elif form == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("hostile/data.pkl", content)
    else:
        head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
        file.write_bytes(b"".join(pickle.dumps(value, protocol=2) for value in head) + content)
    before = own_modules()
    with pytest.raises(CheckpointError) as caught:
        read_file(file)
    if form == "plain":
        assert re.search(said, str(caught.value)), caught.value
    assert not (tmp_path / "witness").exists()
    assert own_modules() == before  # looking a name up would have imported its module


def test_damaged_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.pt"
    for zipped in (True, False):
        torch.save(STATE, file, _use_new_zipfile_serialization=zipped)
        whole = file.read_bytes()
        for share in (0.1, 0.3, 0.6, 0.9, 0.99):
            file.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(CheckpointError, match=r"x\.pt is"):
                read_file(file)
    file.write_bytes(b"GIF89a")
    with pytest.raises(CheckpointError, match="is no file of weights: it begins with b'GIF8'"):
        read_file(file)
    file.write_bytes(b"")
    with pytest.raises(CheckpointError, match="is no file of weights"):
        read_file(file)
    with pytest.raises(UsageError, match="is not a file"):
        read_file(tmp_path / "none.pt")
    (tmp_path / "x.safetensors").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match=r"x\.safetensors is damaged"):
        read_file(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",  # more bytes than there are
        b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"x.",  # a number of as many digits
        b"\x80\x02" + b"]" + b"2" * 1000 + b"a" * 999 + b".",  # a list within itself
        b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".",  # tuples within tuples
        b"\x80\x02" + b"0" * 10 + b".",
        b"\x80\x02h\x05.",
        b"\x80\x02}]Ns.",
        b"\x80\x02" + pickle.dumps({})[2:-1],
    ],
)
def test_bombs_are_refused_or_harmless(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.pkl"):
        understand(tmp_path / "x.pkl")


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (7,), (1,)), (5, (2,), (1,)), (0, (10**9,), (0,)), (-1, (1,), (1,)), (0, (2, 2), (1,)), (0, (True,), (1,)), (0, (2**40, 2**40), (0, 0))],
)
def test_tensors_outside_of_their_storage_are_refused(offset: int, size: tuple, stride: tuple) -> None:
    with pytest.raises(ValueError, match="a tensor of size"):
        rebuild_tensor(Storage(torch.arange(6.0), torch.float32), offset, size, stride)


def archive_of(file: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_archives_that_hold_more_than_weights(tmp_path: Path) -> None:
    file = tmp_path / "x.pt"
    empty = pickle.dumps({})
    for members, said in (
        ({"x/data.pkl": empty, "x/data/0.pkl": pickle.dumps(Runs(exec, "1"))}, r"holds x/data/0\.pkl, a program or a second pickle"),
        ({"x/data.pkl": empty, "x/code/__torch__.py": b""}, r"holds x/code/__torch__\.py, a program"),
        ({"x/data.pkl": empty, "y/data.pkl": empty}, r"holds 2 data\.pkl"),
        ({"x/data.pkl": empty, "x/byteorder": b"big"}, "another byte order"),
    ):
        archive_of(file, members)
        with pytest.raises(CheckpointError, match=said):
            read_file(file)
    archive_of(file, {"x/data.pkl": empty}, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r"x/data\.pkl in it is compressed"):
        read_file(file)


def test_a_storage_that_is_a_pickle_is_only_bytes(tmp_path: Path) -> None:
    """The bytes of a storage are never read as a pickle."""
    hostile = pickle.dumps(Runs(exec, f"open({str(tmp_path / 'witness')!r}, 'w').close()"))
    torch.save({"x": torch.zeros(len(hostile), dtype=torch.uint8)}, tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        members = {name: hostile if name.endswith("data/0") else archive.read(name) for name in archive.namelist()}
    archive_of(tmp_path / "x.pt", members)
    assert bytes(read_file(tmp_path / "x.pt")["x"].tolist()) == hostile
    assert not (tmp_path / "witness").exists()


def test_persistent_classes_are_read_without_their_source(tmp_path: Path) -> None:
    layer = Persistent({"type": "class", "class_name": "Layer", "module_src": "raise SystemExit", "state": {"_parameters": {"w": torch.ones(2)}}})
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"G_ema": layer}))
    found = read_file(tmp_path / "x.pkl")["G_ema"]
    assert (found.name, found.state["_parameters"]["w"].tolist()) == ("persistent.Layer", [1, 1])
