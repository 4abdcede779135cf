"""Which class samples are to be of: a number, a name, or each in turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.samples import npz_bytes, write_samples
from saddlepoint.games.game import Game, classes_told
from saddlepoint.training.run import Run
from saddlepoint.training.storage import write_bytes

EACH = "each"
NAMED = 20  # classes that an error line names


def number_of(game: Game, run: Run, label: int | str) -> int:
    """The class that is meant; a name wins over a number.

    Raises:
        UsageError: for a class that the game was not told of.
    """
    count, names = told(game, run), names_of(run)
    if label in names:
        return names.index(str(label))
    number = int(label) if str(label).removeprefix("-").isdecimal() else -1
    if not 0 <= number < count:
        named = f" ({', '.join(f'{number} {name}' for number, name in enumerate(names))})" if 0 < len(names) <= NAMED else ""
        raise UsageError(f"The classes of {run.folder} are 0 to {count - 1}{named}; --label {label} came. Choose one of them, or {EACH}.")
    return number


def told(game: Game, run: Run) -> int:
    """How many classes there are.

    Raises:
        UsageError: for a game that was told none.
    """
    count = classes_told(game)
    if count is None:
        raise UsageError(f"{run.folder} was trained without classes, so that none can be asked for. Leave --label out.")
    return count


def names_of(run: Run) -> Sequence[str]:
    """Of the classes; none where the data had none."""
    return run.about["data"].get("class_names") or ()


def write_each(samples: Tensor, count: int, run: Run, out: Path) -> None:
    """Images of every class, class after class: a row a class in a .png, a folder a class, or an .npz with ``labels``.

    Args:
        samples: uint8 [count * n, c, h, w].
        count: of classes.
        run: knows their names.
        out: where to.
    """
    each = len(samples) // count
    if out.suffix == ".npz":
        arrays: dict[str, Any] = {"samples": samples.numpy(), "labels": torch.arange(count).repeat_interleave(each).numpy()}
        write_bytes(out, npz_bytes(arrays))
    elif out.suffix:
        write_samples(samples, out, columns=each)
    else:
        named = dict(enumerate(names_of(run)))
        for number in range(count):
            name = named.get(number, "").replace("/", "-")
            write_samples(samples[number * each :][:each], out / (name if name.strip(".") else str(number)))
