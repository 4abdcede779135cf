"""The processes of a run as one: the first decides and writes for all, and where one fails, all end with its error."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import distributed

from saddlepoint import errors
from saddlepoint.errors import SaddlepointError

T = TypeVar("T")
_KEY, _HEARD = "saddlepoint/error", "saddlepoint/heard"
_WAIT_SEC = 2.0  # for the word of the process that failed; it is written before that process lets go of the others


class Group:
    """The processes of a run.

    Args:
        fabric: launched.

    Attributes:
        leader: whether this is the process that writes.
        alone: whether there is only one.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.leader, self.alone = fabric.is_global_zero, fabric.world_size == 1

    def lead(self, work: Callable[[], T]) -> T:
        """Let the leader do something; every process gets its result (plain JSON) or raises its error."""
        if self.alone:
            return work()
        answer: dict[str, object] = {}
        failed: Exception | None = None
        if self.leader:
            try:
                answer = {"result": work()}
            except Exception as error:  # told to the others first, raised below
                answer, failed = {"error": _told(error)}, error
        answer = self.fabric.broadcast(answer)
        if failed is not None:
            raise failed
        if "error" in answer:
            raise _heard(str(answer["error"]))
        return answer["result"]  # type: ignore[return-value]

    def most(self, *mine: int) -> list[int]:
        """The largest of every process's numbers, one by one, so that all processes do the same."""
        if self.alone:
            return [*mine]
        return self.fabric.all_reduce(torch.tensor(mine, device=self.fabric.device), reduce_op="max").tolist()  # type: ignore[union-attr]


@contextlib.contextmanager
def together(fabric: Fabric) -> Iterator[Group]:
    """While inside, an error of one process ends all of them: those that wait for it raise the same."""
    group = Group(fabric)
    try:
        yield group
    except Exception as error:
        if group.alone:
            raise
        store = distributed.distributed_c10d._get_default_store()
        if _is_broken_link(error):
            first = _first_error(store)
            _end(store, group)
            raise first from error
        with contextlib.suppress(RuntimeError):  # the store may be gone already: then the others have ended
            store.compare_set(_KEY, "", _told(error))
        _end(store, group)
        if isinstance(error, SaddlepointError):
            error.shared = True
        raise


def _end(store: Any, group: Group) -> None:
    """Let go of the other processes, so that none waits; the first, which may hold the store, stays until all have heard, but not for ever."""
    if distributed.get_backend() == "gloo":  # with NCCL the end of the process does it
        distributed.destroy_process_group()
    until = time.monotonic() + _WAIT_SEC
    with contextlib.suppress(RuntimeError):
        store.add(_HEARD, 1)
        while group.leader and store.add(_HEARD, 0) < group.fabric.world_size and time.monotonic() < until:
            time.sleep(0.02)


def _is_broken_link(error: Exception) -> bool:
    """Whether an error only says that another process went away."""
    return isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())


def _first_error(store: Any) -> SaddlepointError:
    """What the process that went away said, if it could."""
    until = time.monotonic() + _WAIT_SEC
    with contextlib.suppress(RuntimeError):
        while time.monotonic() < until:
            if store.check([_KEY]):
                return _heard(store.get(_KEY).decode())
            time.sleep(0.05)
    lost = SaddlepointError("Another process of this run ended without a word (killed, or out of memory). `saddlepoint resume RUN` goes on.")
    lost.shared = True
    return lost


def _told(error: Exception) -> str:
    return json.dumps({"kind": type(error).__name__, "message": str(error), "exit_code": getattr(error, "exit_code", 1)})


def _heard(told: str) -> SaddlepointError:
    """The error of another process: of its class where it is one of ours."""
    said = json.loads(told)
    cls = getattr(errors, said["kind"], SaddlepointError)
    if not issubclass(cls, SaddlepointError) or cls is errors.StoppedError:
        cls = SaddlepointError
    message = said["message"] if cls is not SaddlepointError else f"Another process of this run failed: {said['kind']}: {said['message']}"
    error: SaddlepointError = cls(message)
    error.exit_code, error.shared = said["exit_code"], True
    return error
