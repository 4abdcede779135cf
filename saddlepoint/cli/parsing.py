"""Typed flags from dataclasses, by tyro; what cannot be used is refused in one line with the nearest names."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

import tyro

from saddlepoint.errors import UsageError, nearest

T = TypeVar("T")


def parse(arguments: type[T], argv: Sequence[str], *, prog: str, default: T | None = None, description: str | None = None) -> T:
    """Read flags into a dataclass.

    Args:
        arguments: dataclass; its fields are the flags, its docstring their help.
        argv: what the user typed after ``prog``.
        prog: as the user typed it.
        default: values of the flags that are not given.
        description: above the flags in the help; None means the dataclass's docstring.
    Raises:
        UsageError: for an unknown flag, with the nearest; a wrong value; a missing flag.
        SystemExit: after printing the help.
    """
    complaint = io.StringIO()
    given: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint):
            values, unknown = tyro.cli(
                arguments,
                args=sizes_apart(argv),
                prog=prog,
                description=description,
                config=(tyro.conf.AvoidSubcommands,),
                return_unknown_args=True,
                **given,
            )
    except SystemExit as request:
        if not request.code:
            raise
        raise UsageError(f"{one_line(complaint.getvalue())} See `{prog} --help`.") from None
    if unknown:
        word = unknown[0]
        if not word.startswith("-"):
            raise UsageError(f"{prog} has no use for {word!r}. See `{prog} --help`.")
        known = nearest(word.partition("=")[0], flags(arguments if default is None else default))
        raise UsageError(f"{prog} has no flag {word!r}. {known} See `{prog} --help`.")
    return typing.cast(T, values)


def flags(arguments: Any, prefix: str = "") -> list[str]:
    """Every flag of a dataclass or of an instance of one, nested settings with a dot.

    >>> @dataclasses.dataclass
    ... class Point:
    ...     x_axis: float = 1.0
    >>> flags(Point), flags(Point(), prefix="center")
    (['--x-axis'], ['--center.x-axis'])
    """
    found = [f"--{'.'.join(filter(None, (prefix, name.replace('_', '-'))))}" for name in kinds(arguments)]
    for field in dataclasses.fields(arguments):
        name = ".".join(filter(None, (prefix, field.name.replace("_", "-"))))
        value = getattr(arguments, field.name, None)
        if dataclasses.is_dataclass(value):
            inline = any(getattr(note, "name", None) == "" for note in getattr(_hints(arguments)[field.name], "__metadata__", ()))
            found += flags(value, prefix if inline else name)
        elif f"--{name}" not in found:
            found.append(f"--{name}")
    return found


def kinds(config: Any) -> dict[str, dict[str, type]]:
    """Fields that are one of several dataclasses, or one or None: field name -> class by name."""
    found = {}
    for name, hint in _hints(config).items():
        members: tuple[type, ...] = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else ()
        options = {member.__name__: member for member in members if dataclasses.is_dataclass(member)}
        if options:
            found[name] = options | ({"none": type(None)} if type(None) in members else {})
    return found


def choose_kinds(config: T, argv: Sequence[str]) -> tuple[T, list[str]]:
    """Take ``--field Kind`` out of ``argv`` for every field that is one of several dataclasses.

    Returns:
        The configuration with the chosen kinds, each with its own defaults, and what is left of ``argv``.
    Raises:
        UsageError: for an unknown kind, with the nearest.
    """
    rest = list(argv)
    for field, options in kinds(config).items():
        chosen, rest = take(rest, "--" + field.replace("_", "-"))
        if chosen is None:
            continue
        by_name = {name.lower(): option for name, option in options.items()}
        if chosen.lower() not in by_name:
            raise UsageError(f"--{field.replace('_', '-')} cannot be {chosen!r}. {nearest(chosen, options)}")
        config = dataclasses.replace(config, **{field: by_name[chosen.lower()]()})  # type: ignore[type-var]
    return config, rest


def describe_kinds(config: Any) -> str:
    """For the help: which flags choose one of several kinds, and what is chosen now."""
    lines = [
        f"--{field.replace('_', '-')} {{{', '.join(options)}}} (now {type(getattr(config, field)).__name__.replace('NoneType', 'none')})"
        for field, options in kinds(config).items()
    ]
    return f"Of several kinds, each with its own settings below: {'; '.join(lines)}." if lines else ""


def take(argv: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """Take ``flag VALUE`` or ``flag=VALUE`` out of ``argv``; the last one counts.

    >>> take(["--seed", "1", "--preset", "paper", "--preset=small"], "--preset")
    ('small', ['--seed', '1'])
    """
    value, rest, words = None, [], iter(argv)
    for word in words:
        name, equals, given = word.partition("=")
        if name.replace("_", "-") != flag:
            rest.append(word)
            continue
        value = given if equals else next(words, None)
        if value is None:
            raise UsageError(f"{flag} needs a value.")
    return value, rest


def sizes_apart(argv: Sequence[str]) -> list[str]:
    """``--resolution 24x40`` as two words, height and width.

    >>> sizes_apart(["--resolution", "24x40", "--out", "24x40"]), sizes_apart(["--resolution=24,40"])
    (['--resolution', '24', '40', '--out', '24x40'], ['--resolution', '24', '40'])
    """
    found: list[str] = []
    for word in argv:
        flag, equals, given = word.partition("=")
        size = re.fullmatch(r"(\d+)[x,](\d+)", given if equals else word)
        of_resolution = flag == "--resolution" if equals else found[-1:] == ["--resolution"]
        found += [*([flag] if equals else []), *size.groups()] if size and of_resolution else [word]
    return found


def one_line(complaint: str) -> str:
    """The first section of a boxed message as one sentence; the box may be of ASCII.

    >>> one_line("╭─ Value error ───╮\\n│ Error parsing --batch: │\\n│ no number: 'x' │\\n│ ──── │\\n│ See ... │\\n╰───╯")
    "Error parsing --batch: no number: 'x'."
    >>> one_line("Value error\\n-----\\nError parsing --batch: no number: 'x'\\n-----\\nSee ...")
    "Error parsing --batch: no number: 'x'."
    >>> one_line("Error parsing --size: no type matching {None}|INT could be instantiated from ['x']. Got errors: - ...")
    "Error parsing --size: {None}|INT is needed; ['x'] came."
    """
    lines = [line.strip("│| ").rstrip() for line in complaint.splitlines() if not line.startswith(("╭", "╰", "+-"))]
    section: list[str] = []
    for line in lines:
        if re.fullmatch("[─-]+", line):
            if section and section != ["Value error"]:
                break
            section = []
            continue
        section.append(line)
    text = " ".join(" ".join(section).split()) or "The arguments cannot be used"
    text = re.sub(r"no type matching (\S.*?) could be instantiated from (\[.*?\])\. Got errors:.*", r"\1 is needed; \2 came", text)
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _hints(config: Any) -> dict[str, Any]:
    return typing.get_type_hints(config if isinstance(config, type) else type(config), include_extras=True)
