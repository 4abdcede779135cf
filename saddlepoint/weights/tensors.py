"""What the known names of a pickle of weights stand for: tensors over checked storages, arrays of numbers, plain containers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.errors import CheckpointError
from saddlepoint.weights.names import Name, Table, Thing, brief, key

DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
SCALARS = {f"torch.{str(dtype).removeprefix('torch.')}": dtype for dtype in DTYPES.values()}
STORAGES = {f"torch.{prefix}{name}Storage": dtype for name, dtype in DTYPES.items() for prefix in ("", "cuda.", "storage.")}
NUMBERS = re.compile(r"[<>|=]?(?:[iufb]\d+|\?)")


class Storage:
    """The values of one storage, flat.

    Args:
        values: bytes, or a flat tensor of the type.
        dtype: of the values.
    """

    def __init__(self, values: bytes | Tensor, dtype: torch.dtype) -> None:
        if isinstance(values, Tensor):
            self.flat = values
        else:
            self.flat = torch.frombuffer(bytearray(values), dtype=dtype) if values else torch.empty(0, dtype=dtype)


def storage_dtype(name: Any) -> torch.dtype:
    """Type of the values of a storage class that a pickle named."""
    if not isinstance(name, Name) or name.full not in STORAGES:
        raise ValueError(f"{brief(name)} is no storage of numbers")
    return STORAGES[name.full]


def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """A strided piece of a storage, which may be filled later; a piece that reaches outside of it, or repeats values beyond its size, is refused.

    >>> rebuild_tensor(Storage(torch.arange(6.0), torch.float32), 1, (2, 2), (2, 1)).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    numbers = [offset, *size, *stride]
    if len(size) != len(stride) or not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
        raise ValueError(f"a tensor of size {brief(size)}, stride {brief(stride)} and offset {brief(offset)}")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count and (last >= len(storage.flat) or count > len(storage.flat)):
        where = f"stride {brief(stride)} and offset {brief(offset)} in a storage of {len(storage.flat)} values"
        raise ValueError(f"a tensor of size {brief(size)}, {where}")
    if not count:
        return torch.empty(size, dtype=storage.flat.dtype)
    return torch.as_strided(storage.flat, size, stride, offset)


def rebuild_parameter(data: Any, *_: Any) -> Tensor:
    """A parameter's values."""
    if not isinstance(data, Tensor):
        raise ValueError("a parameter without values")
    return data


class NumPyArray(Thing):
    """An array of numbers, read when its state comes."""

    array: np.ndarray[Any, Any]

    def build(self, state: Any) -> None:
        """State (version, shape, dtype, column order, bytes) of an array.

        Raises:
            CheckpointError: for an array of objects, whose elements would be pickles again.
        """
        _, shape, dtype, columns, raw = state
        if not isinstance(raw, bytes | bytearray):
            raise CheckpointError("An array of objects lies in the file; only arrays of numbers are read. Ask its author for tensors alone.")
        values = np.frombuffer(bytearray(raw), _dtype_of(dtype))
        self.array = values.astype(values.dtype.newbyteorder("="), copy=False).reshape(shape, order="F" if columns else "C")


def _dtype_of(thing: Any) -> np.dtype[Any]:
    name = thing.args[0] if isinstance(thing, Thing) and thing.name == "numpy.dtype" and thing.args else None
    if not isinstance(name, str) or not NUMBERS.fullmatch(name):
        raise ValueError(f"an array of {brief(thing.args if isinstance(thing, Thing) else thing)}")
    order = thing.state[1] if isinstance(thing.state, tuple) and len(thing.state) > 1 and thing.state[1] in ("<", ">") else ""
    return np.dtype(f"{order}{name.lstrip('<>|=')}")


def _new_array(kind: Any, *_: Any) -> NumPyArray:
    if kind != Name("numpy.ndarray"):
        raise ValueError(f"an array of class {brief(kind)}")
    return NumPyArray("numpy.ndarray")


def _scalar(dtype: Any, raw: Any) -> Any:
    if not isinstance(raw, bytes):
        raise ValueError("a number that is not made of bytes")
    return np.frombuffer(raw, _dtype_of(dtype))[0].item()


def _array(raw: Any, dtype: Any, shape: Any, order: Any) -> NumPyArray:
    array = NumPyArray("numpy.ndarray")
    array.build((1, shape, dtype, order == "F", raw))
    return array


def _raw(content: Any = b"", encoding: Any = None) -> bytes:
    if isinstance(content, str):
        return _encode(content, encoding)
    if not isinstance(content, bytes | bytearray):
        raise ValueError("bytes that are none")
    return bytes(content)


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1", "utf-8") or not isinstance(text, str):
        raise ValueError(f"text in {brief(encoding)}")
    return text.encode(encoding)


def _persistent_object(meta: Any) -> Thing:
    """An object of NVIDIA's persistent classes: its source code is dropped, its name and contents stay."""
    if not isinstance(meta, Mapping) or not isinstance(meta.get("state"), Mapping) or not isinstance(meta.get("class_name"), str):
        raise ValueError("a persistent object without a name or contents")
    thing = Thing(f"persistent.{meta['class_name']}")
    thing.build(meta["state"])
    return thing


def _old_style(kind: Any, base: Any, state: Any) -> Any:
    """copyreg's way for objects of protocols 0 and 1."""
    if not isinstance(kind, Name) or state is not None:
        raise ValueError("an object with a base of its own")
    return {} if kind.full in MAPPINGS else Thing(kind.full)


def mapping(items: Any = (), *_: Any) -> dict[Any, Any]:
    """A mapping; ``items`` are its first pairs."""
    if isinstance(items, Mapping):
        return dict(items)
    return {key(name): value for name, value in items} if isinstance(items, list | tuple) else {}


def _size(sizes: Any = ()) -> tuple[int, ...]:
    return tuple(sizes)


MAPPINGS = ("collections.OrderedDict", "collections.defaultdict", "dnnlib.EasyDict")
CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter,
    "torch.nn.parameter.Parameter": rebuild_parameter,
    "torch.Size": _size,
    "torch.device": lambda *_: None,
    "collections.OrderedDict": mapping,
    "collections.defaultdict": lambda *_: {},
    "dnnlib.EasyDict": lambda *_: {},
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
    "numpy.core.multiarray._reconstruct": _new_array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _array,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _old_style,
    "builtins.set": lambda values=(): set(map(key, values)),
    "builtins.bytearray": _raw,
    "builtins.bytes": _raw,
}
THINGS = (
    "numpy.dtype",
    "argparse.Namespace",
    "pathlib.",
    "torch.nn.modules.",
    "training.networks.",
    "training.networks_stylegan2.",
    "R3GAN.",
    "models.utils.config.",
)
WORDS = frozenset({*STORAGES, *SCALARS, "numpy.ndarray", "builtins.object", "torch.strided", *MAPPINGS, "builtins.dict"})


def table(load_bytes: Callable[[bytes], Any] | None) -> Table:
    """The names of weights; ``load_bytes`` reads a storage that is a file of torch within the pickle."""

    def nested(content: Any) -> Any:
        if load_bytes is None or not isinstance(content, bytes):
            raise CheckpointError("A file within a file within a file lies here; weights need one at most. It is refused.")
        return load_bytes(content)

    return Table(CALLS | {"torch.storage._load_from_bytes": nested}, THINGS, WORDS)


def as_tensor(value: Any) -> Tensor | None:
    """The tensor that a value of a pickle is, or None."""
    if isinstance(value, NumPyArray):
        return torch.from_numpy(value.array)
    return value if isinstance(value, Tensor) else None
