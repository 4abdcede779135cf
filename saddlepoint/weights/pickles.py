"""A reader of pickles that calls nothing.

A pickle is a program: it may name any function of the machine and have it called. This reader steps through the instructions itself and knows
only those that make plain values (numbers, texts, lists, mappings). Where a name comes up it is looked up in a table; a name that is not in it is
refused at once, before anything is made of it. What the table holds instead of the named function or class is code of this package, and a class
is never looked up at all: its objects become a :class:`~saddlepoint.weights.names.Thing`, a record of their name and contents.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

from saddlepoint.errors import CheckpointError
from saddlepoint.weights.names import Name, Table, Thing, brief, key, refusal

Persistent = Callable[[Any], Any]
MOST_STEPS = 5_000_000  # instructions; the largest published weights take under a million
ROOM = 1 << 20  # bytes and items that the calls of a pickle may be given, beyond four times its length


class _Mark:
    pass


_MARK = _Mark()


class Machine:
    """Steps through one pickle.

    Args:
        table: the known names.
        where: the file, for errors.
        persistent: what a persistent id stands for; None refuses them.
    """

    def __init__(self, table: Table, where: str, persistent: Persistent | None = None) -> None:
        self.table, self.where, self.persistent = table, where, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.room = ROOM

    def run(self, stream: BinaryIO) -> Any:
        """The value of the pickle that begins at the stream's place.

        Raises:
            CheckpointError: for a name that is not known, an instruction that weights do not need, or a damaged pickle.
        """
        try:
            with warnings.catch_warnings():  # of texts that Python would write otherwise
                warnings.simplefilter("ignore")
                return self._run(stream)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error, RuntimeError, MemoryError, EOFError) as error:
            if isinstance(error, CheckpointError):
                raise
            said = brief(str(error), 200) or type(error).__name__
            raise CheckpointError(f"{self.where} is damaged or no file of weights: {said}.") from None

    def _run(self, stream: BinaryIO) -> Any:
        self.room += 4 * left(stream)
        for step, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if step > MOST_STEPS:
                raise refusal(self.where, f"it has more than {MOST_STEPS} instructions")
            if opcode.name == "STOP":
                return self._pop()
            self._step(opcode.name, argument)
        raise CheckpointError(f"{self.where} is damaged: it ends too early.")

    def _step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name not in _IGNORED:
            action = _ACTIONS.get(name)
            if action is None:
                raise refusal(self.where, f"it uses the instruction {name}")
            action(self, argument)

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark stands where a value should")
        return value

    def _to_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("a mark is missing")
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    # -- what an instruction does ------------------------------------------------------------------------------------------------------

    def _tuple(self, count: int | None) -> None:
        values = self._to_mark() if count is None else [self._pop() for _ in range(count)][::-1]
        self.stack.append(tuple(values))

    def _name(self, argument: str) -> None:
        module, _, attribute = argument.partition(" ")
        self.stack.append(self.table.look_up(module, attribute, self.where))

    def _stack_name(self, _: Any) -> None:
        attribute, module = self._pop(), self._pop()
        self.stack.append(self.table.look_up(module, attribute, self.where))

    def _old_name(self, argument: str) -> None:
        args = self._to_mark()
        self._name(argument)
        self._make(self._pop(), tuple(args))

    def _old_object(self, _: Any) -> None:
        name, *args = self._to_mark()
        self._make(name, tuple(args))

    def _call(self, _: Any) -> None:
        args, name = self._pop(), self._pop()
        self._make(name, args)

    def _new(self, _: Any) -> None:
        args, name = self._pop(), self._pop()
        self._make(name, args)

    def _new_with_words(self, _: Any) -> None:
        words, args, name = self._pop(), self._pop(), self._pop()
        if words:
            raise refusal(self.where, f"it makes {brief(name)} from named arguments")
        self._make(name, args)

    def _make(self, name: Any, args: Any) -> None:
        if not isinstance(name, Name) or not isinstance(args, tuple):
            raise refusal(self.where, f"it calls what is no function ({type(name).__name__})")
        make = self.table.calls.get(name.full)
        if make is not None:
            self._pay(args)
            self.stack.append(make(*args))
        elif self.table.is_thing(name.full):
            self.stack.append(Thing(name.full, args))
        else:
            raise refusal(self.where, f"it calls {name.full}")

    def _pay(self, given: tuple[Any, ...]) -> None:
        """What a call is given is copied by it; all copies together are no more than a file of this length can need."""
        self.room -= sum(len(item) for item in given if isinstance(item, str | bytes | bytearray | list | tuple | dict | set))
        if self.room < 0:
            raise refusal(self.where, "it makes copies of what it holds, again and again")

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self.stack[-1]
        if isinstance(target, Thing):
            self._pay(state if isinstance(state, tuple) else ())
            target.build(state)
        elif isinstance(target, Name):
            raise refusal(self.where, f"it changes {target.full}")
        # the attributes of a mapping (a state's version numbers) or of a tensor are not needed

    def _append(self, _: Any) -> None:
        value = self._pop()
        self._list().append(value)

    def _appends(self, _: Any) -> None:
        values = self._to_mark()
        self._list().extend(values)

    def _list(self) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise ValueError("a list is missing")
        return self.stack[-1]

    def _set(self, _: Any) -> None:
        value, name = self._pop(), self._pop()
        self._mapping()[key(name)] = value

    def _sets(self, _: Any) -> None:
        values = self._to_mark()
        self._mapping().update(zip(map(key, values[::2]), values[1::2], strict=True))

    def _mapping(self) -> dict[Any, Any]:
        if not isinstance(self.stack[-1], dict):
            raise ValueError("a mapping is missing")
        return self.stack[-1]

    def _dict(self, _: Any) -> None:
        values = self._to_mark()
        self.stack.append(dict(zip(map(key, values[::2]), values[1::2], strict=True)))

    def _add(self, _: Any) -> None:
        values = self._to_mark()
        if type(self.stack[-1]) is not set:
            raise ValueError("a set is missing")
        self.stack[-1].update(map(key, values))

    def _put(self, place: Any) -> None:
        self.memo[len(self.memo) if place is None else int(place)] = self.stack[-1]

    def _get(self, place: Any) -> None:
        self.stack.append(self.memo[int(place)])

    def _persistent(self, name: Any) -> None:
        name = self._pop() if name is None else name
        if self.persistent is None:
            raise refusal(self.where, "it asks for an object outside of itself")
        self.stack.append(self.persistent(name))


def left(stream: BinaryIO) -> int:
    """Bytes of a stream from its place on."""
    place = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(place)
    return end - place


_VALUES = frozenset(
    re.split(
        r"\s+",
        """INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES
    BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT""",
    )
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_IGNORED = frozenset({"PROTO", "FRAME"})
_ACTIONS: dict[str, Callable[[Machine, Any], Any]] = {
    "GLOBAL": Machine._name,
    "STACK_GLOBAL": Machine._stack_name,
    "INST": Machine._old_name,
    "OBJ": Machine._old_object,
    "REDUCE": Machine._call,
    "NEWOBJ": Machine._new,
    "NEWOBJ_EX": Machine._new_with_words,
    "BUILD": Machine._build,
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "SETITEM": Machine._set,
    "SETITEMS": Machine._sets,
    "ADDITEMS": Machine._add,
    "LIST": lambda machine, _: machine.stack.append(machine._to_mark()),
    "DICT": Machine._dict,
    "FROZENSET": lambda machine, _: machine.stack.append(frozenset(map(key, machine._to_mark()))),
    "TUPLE": lambda machine, _: machine._tuple(None),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine._to_mark(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "PUT": Machine._put,
    "BINPUT": Machine._put,
    "LONG_BINPUT": Machine._put,
    "MEMOIZE": Machine._put,
    "GET": Machine._get,
    "BINGET": Machine._get,
    "LONG_BINGET": Machine._get,
    "PERSID": Machine._persistent,
    "BINPERSID": Machine._persistent,
}
