"""How a source is to be read, written behind its place: ``video:clips?frames=16&step=8``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from saddlepoint.errors import UsageError, nearest


def read_options(place: str, defaults: Mapping[str, int | str]) -> tuple[str, dict[str, int | str]]:
    """Cut the options from a place.

    Args:
        place: a path, with ``?name=value&name=value`` behind it or without. A path that has a question mark in its name and exists is a path.
        defaults: every option with what it is where nobody says; a whole number from 1 on, or a word.
    Returns:
        The path, and every option with its value.
    Raises:
        UsageError: for an option that there is not, or a value that it cannot have.

    >>> read_options("clips?frames=8", {"frames": 16, "step": 4})
    ('clips', {'frames': 8, 'step': 4})
    """
    path, mark, said = place.partition("?")
    values = dict(defaults)
    if not mark or Path(place).expanduser().exists():
        return place, values
    for part in said.split("&"):
        name, equals, value = part.partition("=")
        if name not in defaults:
            raise UsageError(f"There is no option {name!r} in {place!r}. {nearest(name, defaults)}")
        if isinstance(defaults[name], int):
            if not (equals and value.isdecimal() and int(value)):
                raise UsageError(f"The option {name} in {place!r} is a whole number from 1 on, such as {name}={defaults[name] or 1}; {value!r} came.")
            values[name] = int(value)
        else:
            values[name] = value
    return path, values
