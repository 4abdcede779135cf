"""Configuration: frozen dataclasses to JSON and back, refusing what it does not know.

Allowed field types: bool, int, float, str, Literal, tuple, Enum-free unions of these with None, dataclasses and unions of dataclasses
(written with their class name under "kind").
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

from saddlepoint.errors import UsageError, nearest

T = TypeVar("T")


def to_json(config: Any) -> Any:
    """Turn a configuration into plain JSON values; dataclasses carry their class name.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Point:
    ...     x: float = 1.0
    >>> to_json(Point())
    {'kind': 'Point', 'x': 1.0}
    """
    if dataclasses.is_dataclass(config):
        return {"kind": type(config).__name__} | {f.name: to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, tuple | list):
        return [to_json(value) for value in config]
    if isinstance(config, Mapping):
        return {name: to_json(value) for name, value in config.items()}
    return config


def from_json(cls: type[T], data: Any) -> T:
    """Rebuild a configuration of type ``cls`` from :func:`to_json`'s result.

    Raises:
        UsageError: for an unknown field, with the nearest names, or a value of the wrong type.
    """
    return typing.cast(T, _decode(cls, data, cls.__name__))


def _decode(hint: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(typing.get_args(hint), data, where)
    if origin is Literal:
        if data not in typing.get_args(hint):
            raise UsageError(f"{where} must be one of {', '.join(map(repr, typing.get_args(hint)))}; it is {data!r}.")
        return data
    if origin is tuple:
        inner = typing.get_args(hint)
        if not isinstance(data, list | tuple) or (inner[-1] is not Ellipsis and len(data) != len(inner)):
            raise UsageError(f"{where} must be a list of {'values' if inner[-1] is Ellipsis else len(inner)}; it is {data!r}.")
        hints = [inner[0]] * len(data) if inner[-1] is Ellipsis else inner
        return tuple(_decode(h, d, f"{where}[{i}]") for i, (h, d) in enumerate(zip(hints, data, strict=True)))
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, data, where)
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, hint) or (isinstance(data, bool) and hint is not bool):
        raise UsageError(f"{where} must be {getattr(hint, '__name__', hint)}; it is {data!r}.")
    return data


def _decode_union(options: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in options:
        return None
    if isinstance(data, dict) and "kind" in data:
        by_name = {o.__name__: o for o in options if isinstance(o, type) and dataclasses.is_dataclass(o)}
        if data["kind"] not in by_name:
            raise UsageError(f"{where} has the unknown kind {data['kind']!r}. {nearest(data['kind'], by_name)}")
        return _decode(by_name[data["kind"]], data, where)
    plain = [o for o in options if o is not type(None) and not dataclasses.is_dataclass(o)]
    for option in plain:
        try:
            return _decode(option, data, where)
        except UsageError:
            continue
    raise UsageError(f"{where} cannot be {data!r}.")


def _decode_dataclass(cls: Any, data: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(cls)
    fields = {f.name for f in dataclasses.fields(cls)}
    given = {name: value for name, value in data.items() if name != "kind"}
    for name in given:
        if name not in fields:
            raise UsageError(f"{where} has no setting {name!r}. {nearest(name, fields)}")
    return cls(**{name: _decode(hints[name], value, f"{where}.{name}") for name, value in given.items()})
