"""The names that may stand in a pickle of weights, and what is read in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saddlepoint.errors import CheckpointError

ALIASES = {  # what modules are called elsewhere
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "dnnlib.util": "dnnlib",
}


@dataclass(frozen=True)
class Name:
    """A function or class that a pickle named and that is known; it is only a word here."""

    full: str


@dataclass(eq=False)
class Thing:
    """An object whose class is known by name and is not looked up.

    Attributes:
        name: of its class.
        args: that it would have been made from.
        state: its attributes.
    """

    name: str
    args: tuple[Any, ...] = ()
    state: Any = field(default_factory=dict)

    def build(self, state: Any) -> None:
        """Take the state that the pickle gives it."""
        self.state = state

    def __call__(self, *args: Any) -> None:  # so that it can never stand where something is called
        """Refuse."""
        raise CheckpointError(f"A pickle tried to call an object of {self.name}.")


ELSEWHERE = {  # what is often tried, and not read here
    "dnnlib.tflib.": "of NVIDIA's older TensorFlow code; legacy.py of their stylegan2-ada-pytorch writes such a file anew, as one that is read here",
    "torch.jit.": "a program; only weights are read",
    "torch.fx.": "a program; only weights are read",
}
ATOMS = (str, int, float, bytes, type(None), Name)


def brief(value: Any, most: int = 80) -> str:
    r"""What a file says, for an error: one short line that a terminal shows as it is, however long or deep the value.

    >>> brief("os\x1b[2J" + "a" * 10, most=12), brief(((1, "a"), 2)), brief(10**5000)
    ('os\\x1b[2Jaaa...', '(tuple, 2)', 'a number of 16610 bits')
    """
    if isinstance(value, Name):
        value = value.full
    if isinstance(value, str):
        shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in value[:most])
        return shown[:most] + ("..." if max(len(value), len(shown)) > most else "")
    if isinstance(value, int) and value.bit_length() > 4 * most:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, tuple | list) and len(value) <= 8:
        return f"({', '.join(brief(item) if isinstance(item, ATOMS) else type(item).__name__ for item in value)})"
    return repr(value[:most]) if isinstance(value, bytes) else str(value) if isinstance(value, ATOMS) else type(value).__name__


def key(value: Any) -> Any:
    """The value, if it may be a key: a tuple of tuples can take forever to hash, or more of the machine's stack than there is.

    Raises:
        ValueError: otherwise.
    """
    items = value if isinstance(value, tuple) and len(value) <= 8 else (value,)
    if not all(isinstance(item, ATOMS) and (not isinstance(item, int) or item.bit_length() <= 64) for item in items):
        raise ValueError(f"a key {brief(value)}")
    return value


@dataclass(frozen=True)
class Table:
    """What the names of a pickle stand for.

    Attributes:
        calls: name -> function of this package that is called in its place.
        things: names, or beginnings of names that end with a dot, of classes whose objects become a :class:`Thing`.
        words: names that stand for themselves, as arguments.
    """

    calls: Mapping[str, Callable[..., Any]]
    things: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()

    def is_thing(self, name: str) -> bool:
        """Whether objects of this class may be read."""
        return any(name == known or (known.endswith(".") and name.startswith(known)) for known in self.things)

    def look_up(self, module: Any, attribute: Any, where: str) -> Name:
        """The name, if it is known.

        Raises:
            CheckpointError: otherwise, with the name.
        """
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise ValueError(f"a name {brief((module, attribute))}")
        name, known = f"{module}.{attribute}", f"{ALIASES.get(module, module)}.{attribute}"
        hint = next((said for start, said in ELSEWHERE.items() if known.startswith(start)), None)
        if hint:
            raise CheckpointError(f"{where} is refused: it asks for {brief(name)}, which is {hint}. Nothing in it was run.")
        if not (known in self.calls or known in self.words or self.is_thing(known)):
            raise refusal(where, f"it asks for {brief(name)}")
        return Name(known)


def refusal(where: str, what: str) -> CheckpointError:
    """The error for a file that wants more than to be read."""
    return CheckpointError(
        f"{where} is refused: {what}, which no weights need. Nothing in it was run. Ask its author for a safetensors file, or for tensors alone."
    )
