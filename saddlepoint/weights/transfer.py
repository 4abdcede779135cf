"""Taking tensors from another code's names over into a network of ours: every one of theirs used, every one of ours filled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.data.records import DataSpec
from saddlepoint.errors import CheckpointError
from saddlepoint.games.game import Game
from saddlepoint.games.settings import GameConfig
from saddlepoint.weights.names import Thing
from saddlepoint.weights.tensors import as_tensor

DEEPEST = 40  # modules within modules


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A checkpoint of another code, understood.

    Attributes:
        family: whose code wrote it.
        recipe: ours that has these networks.
        config: of the recipe, with the sizes of the file.
        spec: of the images that it makes.
        fill: takes the weights over into a game of this recipe, and returns what the user should know.
    """

    family: str
    recipe: str
    config: GameConfig
    spec: DataSpec
    fill: Callable[[Game], list[str]]


class Transfer:
    """One network's weights on their way.

    Args:
        source: tensors by their names.
        target: our network.
        where: the file, for errors.
    """

    def __init__(self, source: Mapping[str, Tensor], target: nn.Module, where: str) -> None:
        self.source, self.where = source, where
        self.own = target.state_dict()
        self.left, self.used = set(self.own), set[str]()

    def take(self, name: str) -> Tensor:
        """A tensor of theirs.

        Raises:
            CheckpointError: if there is none of this name.
        """
        if name not in self.source:
            raise CheckpointError(f"{self.where} lacks {name}. It is of another version of that code, or not whole.")
        self.used.add(name)
        return self.source[name]

    @torch.no_grad()
    def put(self, name: str, value: Tensor) -> None:
        """Fill a tensor of ours.

        Raises:
            CheckpointError: if the shape is another one.
        """
        if value.shape != self.own[name].shape:
            sizes = f"{list(value.shape)}, not {list(self.own[name].shape)}"
            raise CheckpointError(f"{self.where} does not fit our {name}: its shape is {sizes}. Its network has settings that are not known here.")
        self.own[name].copy_(value)
        self.left.discard(name)

    def move(self, names: Mapping[str, str]) -> None:
        """Fill ours (keys) with theirs (values) as they are; axes of one value may be missing or more."""
        for ours, theirs in names.items():
            value, shape = self.take(theirs), self.own[ours].shape
            alike = [n for n in value.shape if n != 1] == [n for n in shape if n != 1]
            self.put(ours, value.reshape(shape) if alike else value)

    def finish(self, ignored: str = r"$^", unset: str = r"$^") -> None:
        """Make sure that nothing was forgotten.

        Args:
            ignored: pattern of their names that hold nothing to take.
            unset: pattern of our names that keep what they have.
        Raises:
            CheckpointError: naming the first few that were.
        """
        unused = sorted(name for name in self.source.keys() - self.used if not re.search(ignored, name))
        left = sorted(name for name in self.left if not re.search(unset, name))
        if unused or left:
            what = f"{', '.join(unused[:3])} would not be used" if unused else f"our {', '.join(left[:3])} would not be filled"
            raise CheckpointError(f"{self.where} is not understood whole: {what}. Its network has settings that are not known here.")


def tensors_of(value: Any, prefix: str = "", depth: int = 0) -> dict[str, Tensor]:
    """The parameters and buffers of a module that was read as a Thing, or of a mapping of tensors, by name."""
    if depth > DEEPEST:
        raise CheckpointError("The modules of a file lie more than forty deep within one another. It is refused.")
    found: dict[str, Tensor] = {}
    if isinstance(value, Mapping):
        return {str(name): tensor for name, item in value.items() if (tensor := as_tensor(item)) is not None}
    state = value.state if isinstance(value, Thing) and isinstance(value.state, Mapping) else {}
    for kind in ("_parameters", "_buffers"):
        for name, item in (state.get(kind) or {}).items():
            if (tensor := as_tensor(item)) is not None:
                found[f"{prefix}{name}"] = tensor
    for name, item in (state.get("_modules") or {}).items():
        found |= tensors_of(item, f"{prefix}{name}.", depth + 1) if isinstance(item, Thing) else {}
    return found


def without_prefix(tensors: Mapping[str, Tensor], prefix: str = "module.") -> dict[str, Tensor]:
    """Names as they are outside of DataParallel."""
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0])


def check_filter(value: Tensor, where: str) -> None:
    """Make sure that a filter, of one axis or two, is ours.

    Raises:
        CheckpointError: if it is another one.
    """
    outer, known = value if value.ndim == 2 else torch.outer(value, value), torch.outer(FILTER, FILTER)
    if outer.shape != known.shape or not torch.allclose(outer / outer.sum(), known / known.sum(), atol=1e-5):
        raise CheckpointError(f"{where} resamples with another filter than [1, 3, 3, 1]; only that one can be built here.")


def power_of_two_channels(channels: list[int], divisor: int, where: str) -> tuple[int, int]:
    """(base, most) with channels at level k = min(base / (divisor * 2^k), most), as ProGAN's and StyleGAN's families have them.

    >>> power_of_two_channels([64, 64, 32], 4, "x")
    (512, 64)
    >>> power_of_two_channels([30, 18, 9, 4], 4, "x")  # 150 / 16 and 150 / 32, cut off
    (144, 30)
    """
    most, top = max(channels), len(channels) - 1
    base = max(count * divisor << level for level, count in enumerate(channels))
    if [min(base // (divisor << level), most) for level in range(top + 1)] != channels:
        raise CheckpointError(f"{where} has {channels} channels by level; only those that halve up to a largest number can be built here.")
    return base, most


def image_spec(where: str, shape: tuple[int, int, int], num_classes: int | None) -> DataSpec:
    """What a checkpoint says of the images it was trained on, which are not here."""
    fields = ("image",) if num_classes is None else ("image", "label")
    return DataSpec(name=f"data of {Path(where).name}", kind="image", shape=shape, num_records=0, num_classes=num_classes, fields=fields)
