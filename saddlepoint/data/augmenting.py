"""Augmentations that are data: other records that could as well have been there, made anew each time a record is seen.

(What is applied to real and generated samples alike, before the discriminator, is a view: :mod:`saddlepoint.views`.)

The numbers of a record are a function of (the run's seed, the augmentation, the record's place in the stream of records) alone. So a resumed run, a
batch in pieces and a batch on several processes see the same.

Another augmentation is a function under :func:`augmentation`; its name is then known to ``saddlepoint train --augment-data``.

Axes: n records, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.data.labels import scatter_hash
from saddlepoint.data.records import DataSpec
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError, nearest

Records = Mapping[str, Tensor]
CROP_MARGIN = 8  # a crop moves an image by at most 1/8 of its side


@dataclass(frozen=True)
class Chance:
    """Random numbers of some records.

    Args:
        seed: of the augmentation in this run.
        positions: places of the records in the run's stream, int64 [n].
    """

    seed: int
    positions: Tensor

    def below(self, limit: int, what: str = "") -> Tensor:
        """Whole numbers from 0 to limit - 1, int64 [n]; ``what`` tells one draw from another.

        >>> chance = Chance(7, torch.arange(100))
        >>> torch.equal(chance.below(6)[40:], Chance(7, torch.arange(40, 100)).below(6))
        True
        """
        return scatter_hash(self.positions, derive_seed("chance", self.seed, what)) % limit


Change = Callable[[Records, Chance], dict[str, Tensor]]


@dataclass(frozen=True)
class Augmentation:
    """One of the registered: its kinds of data, what it does in plain words, the function, and a field that it needs, with how to ask for it."""

    name: str
    kinds: tuple[str, ...]
    title: str
    change: Change
    needs: tuple[str, str] | None = None


AUGMENTATIONS: dict[str, Augmentation] = {}


def augmentation(name: str, *, kinds: tuple[str, ...], title: str, needs: tuple[str, str] | None = None) -> Callable[[Change], Change]:
    """Register a function (fields of n records on the CPU as they were read, chance) -> the same fields.

    Args:
        name: for ``--augment-data``.
        kinds: of data (``DataSpec.kind``) that it is for.
        title: what it does.
        needs: a field that the data must have, and how their reader is asked for it.
    Raises:
        ValueError: for a second one of that name.
    """

    def register(change: Change) -> Change:
        if name in AUGMENTATIONS:
            raise ValueError(f"two augmentations are named {name!r}")
        AUGMENTATIONS[name] = Augmentation(name, kinds, title, change, needs)
        return change

    return register


def check_augmentations(names: Sequence[str], spec: DataSpec) -> None:
    """Refuse what is unknown, named twice, or not for this kind of data.

    Raises:
        UsageError: with those there are.
    """
    for name in names:
        if name not in AUGMENTATIONS:
            raise UsageError(f"There is no augmentation of data named {name!r}. {nearest(name, AUGMENTATIONS)}")
        if spec.kind not in AUGMENTATIONS[name].kinds:
            fitting = ", ".join(each.name for each in AUGMENTATIONS.values() if spec.kind in each.kinds) or "none"
            raise UsageError(
                f"{name} augments {' and '.join(AUGMENTATIONS[name].kinds)} data; {spec.name} holds {spec.kind}. For it there is: {fitting}."
            )
        needed, how = AUGMENTATIONS[name].needs or (spec.fields[0], "")
        if needed not in spec.fields:
            raise UsageError(f"{name} needs the field {needed!r}, which {spec.name} does not have. Ask its reader for it: {how}.")
    if len({*names}) < len(names):
        raise UsageError(f"Each augmentation is named once; came {', '.join(names)}.")


def augment(records: Records, names: Sequence[str], *, seed: int, positions: Tensor) -> dict[str, Tensor]:
    """Records as they are seen this time.

    Args:
        records: n of them, by field, as they were read.
        names: augmentations, applied in this order.
        seed: of the run.
        positions: places of the records in its stream, int64 [n].
    """
    for name in names:
        records = AUGMENTATIONS[name].change(records, Chance(derive_seed("augment", seed, name), positions))
    return dict(records)


@augmentation("mirror", kinds=("image",), title="left and right exchanged, of every other image")
def mirror(records: Records, chance: Chance) -> dict[str, Tensor]:
    """Every image field [n, c, h, w] of a record mirrored, all alike, with probability 1/2."""
    chosen = chance.below(2).bool()[:, None, None, None]
    return {name: torch.where(chosen, values.flip(3), values) if values.ndim == 4 else values for name, values in records.items()}


@augmentation("crop", kinds=("image",), title="moved by up to 1/8 of the side, the border filled by reflection")
def crop(records: Records, chance: Chance) -> dict[str, Tensor]:
    """Every image field [n, c, h, w] of a record moved alike, by whole pixels, at most max(1, side // 8) down or up, left or right; what comes in at
    the border is the image reflected in it.
    """
    return {name: _moved(values, chance) if values.ndim == 4 else values for name, values in records.items()}


@augmentation("turn", kinds=("volume",), title="turned about the up axis by 0, 90, 180 or 270 degrees")
def turn(records: Records, chance: Chance) -> dict[str, Tensor]:
    """Volumes [n, 1, d, h, w], as deep as wide, turned by whole voxels; images beside them are left as they are."""
    volumes = records["volume"]
    quarters = chance.below(4)[:, None, None, None, None]
    half = torch.where(quarters >= 2, volumes.flip((2, 4)), volumes)
    return {**records, "volume": torch.where(quarters % 2 == 1, half.transpose(2, 4).flip(2), half)}


def _moved(images: Tensor, chance: Chance) -> Tensor:
    rows, columns = (_reflected(size, chance, what) for size, what in zip(images.shape[2:], ("down", "right"), strict=True))
    record = torch.arange(len(images))[:, None, None]
    return images[record, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1).contiguous()  # n h w c -> n c h w


def _reflected(size: int, chance: Chance, what: str) -> Tensor:
    """For each record the pixels that are seen along one axis, int64 [n, size]."""
    most = min(max(1, size // CROP_MARGIN), size - 1)
    places = torch.arange(size) + (chance.below(2 * most + 1, what) - most)[:, None]
    folded = places.abs()  # 0 is the mirror: -1 shows 1
    return torch.where(folded > size - 1, 2 * (size - 1) - folded, folded)
