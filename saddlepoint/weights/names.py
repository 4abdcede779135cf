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
        name = f"{module}.{attribute}"
        known = f"{ALIASES.get(module, module)}.{attribute}"
        if not (known in self.calls or known in self.words or self.is_thing(known)):
            raise refusal(where, f"it asks for {name}")
        return Name(known)


def refusal(where: str, what: str) -> CheckpointError:
    """The error for a file that wants more than to be read."""
    return CheckpointError(
        f"{where} is refused: {what}, which no weights need. Nothing in it was run. Ask its author for a safetensors file, or for tensors alone."
    )
