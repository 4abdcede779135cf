"""Two images a record: aligned pairs, and two domains that have nothing to do with one another but their subject.

    pairs:PATH      images side by side (twice as wide as high: left is what is given, right what is wanted), or sub-folders A and B with equal names
    pairs:A+B       two folders or named sets, A what is given and B what is wanted
    domains:PATH    sub-folders A and B
    domains:A+B     two folders or named sets

A record has "image" and "partner" (of pairs) or "other" (of domains); of domains that are labelled also "label" or "attributes" of the first side and
"other_label" or "other_attributes" of the second.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.data.folder import NAMED, find_images, open_found
from saddlepoint.data.images import Pixels, Resolution, fitted, size_of, upright
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import DataCard, Request, source
from saddlepoint.data.shipped import open_digits, open_emoji
from saddlepoint.data.sides import brought_together, check_alike, check_sides, no_images, sides_in
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError

log = logging.getLogger("saddlepoint")
Open = Callable[[str, Request], ArrayDataset]


class Reordered:
    """Rows of a tensor in another order, looked up when they are asked for."""

    def __init__(self, values: Tensor, order: Tensor) -> None:
        self.values, self.order = values, order
        self.shape = torch.Size((len(order), *values.shape[1:]))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.order)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self.values[self.order[rows]]


def open_pairs(place: str, request: Request, open: Open) -> ArrayDataset:
    """Aligned pairs, see the module.

    Args:
        place: what stands behind "pairs:".
        request: resolution and channels, the same on both sides.
        open: of one side, by name or path.
    Raises:
        DataError: for a side without its partner, sides of different sizes, or images that are not twice as wide as high.
    """
    sides = sides_in(place)
    if sides is None:
        return _side_by_side(Path(place).expanduser(), request)
    one, other = _opened(sides, request, open)
    rows = _matching(one, other)
    check_alike(sides, one, other)
    return _joined(request.name, one, other, "partner", *rows, notes=_told(sides, one, other, request))


def open_domains(place: str, request: Request, open: Open) -> ArrayDataset:
    """Two domains, see the module.

    The larger side counts the records; record i holds the i-th of it and one of the other side, chosen once and for all by a shuffle. The losses of
    unpaired translation look at one side at a time, so which two share a record does not matter.

    Raises:
        DataError: for one folder without sub-folders A and B, or sides of different sizes where none was asked for.
    """
    sides = sides_in(place)
    if sides is None:
        raise DataError(f"{place} has no sub-folders A and B. Name two folders: domains:FIRST+SECOND.")
    one, other = _opened(sides, request, open)
    check_alike(sides, one, other)
    count = max(len(one), len(other))
    rng = torch.Generator().manual_seed(derive_seed("domains"))
    orders = torch.arange(count) % len(one), torch.randperm(count, generator=rng) % len(other)
    joined = _joined(request.name, one, other, "other", *orders, notes=_told(sides, one, other, request))
    return _labelled(joined, (one, other), orders)


def _opened(sides: tuple[str, str], request: Request, open: Open) -> tuple[ArrayDataset, ArrayDataset]:
    check_sides(sides)
    return open(sides[0], request), open(sides[1], request)


def _told(sides: tuple[str, str], one: ArrayDataset, other: ArrayDataset, request: Request) -> tuple[str, ...]:
    """What is told of how both sides came to one size, written once more into the notes."""
    notes = brought_together(sides, one, other, request.resolution)
    for note in notes:
        log.warning(note)
    return notes


def _labelled(joined: ArrayDataset, sides: tuple[ArrayDataset, ArrayDataset], orders: tuple[Tensor, Tensor]) -> ArrayDataset:
    """Domains with the classes and attributes that their sides have, and "meaning": equal numbers for equal names, -1 for those of one side only."""
    found = {
        prefix + name: side.column(name)[order]
        for prefix, side, order in zip(("", "other_"), sides, orders, strict=True)
        for name in ("label", "attributes")
        if name in side.spec.fields
    }
    found |= _meanings(sides, orders)
    if not found:
        return joined
    one, other = sides
    fields = {name: joined.column(name) for name in joined.spec.fields} | found
    shapes = dict(joined.spec.shapes) | {name: tuple(values.shape[1:]) for name, values in found.items()}
    digest = hashlib.sha256(f"{joined.spec.content_hash}:{content_hash(found)}".encode()).hexdigest()[:16]
    classes: dict[str, Any] = {"num_classes": one.spec.num_classes, "class_names": one.spec.class_names} if "label" in found else {}
    spec = dataclasses.replace(joined.spec, content_hash=digest, fields=tuple(fields), shapes=shapes, **classes)
    names = other.attribute_names if "other_attributes" in found else other.spec.class_names
    return ArrayDataset(fields, spec, names=joined.names, attribute_names=one.attribute_names, other_names=names, notes=joined.notes)


def _meanings(sides: tuple[ArrayDataset, ArrayDataset], orders: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    stems = [[_stem(name) for name in side.names] for side in sides]
    shared = {stem: number for number, stem in enumerate(sorted({*stems[0]} & {*stems[1]}))}
    if not shared:
        return {}
    numbers = [torch.tensor([shared.get(stem, -1) for stem in names]) for names in stems]
    return {name: own[order] for name, own, order in zip(("meaning", "other_meaning"), numbers, orders, strict=True)}


def _matching(one: ArrayDataset, other: ArrayDataset) -> tuple[Tensor, Tensor]:
    """Rows of both sides with equal names, their endings aside; where a side has no names the order counts."""
    if not (one.names and other.names):
        if len(one) != len(other):
            raise DataError(
                f"{one.spec.name} has {len(one)} records and {other.spec.name} {len(other)}: without names, pairs need as many on both sides."
            )
        return torch.arange(len(one)), torch.arange(len(one))
    stems = [{_stem(name): row for row, name in enumerate(side.names)} for side in (one, other)]
    for side, across, here, there in ((one, other, stems[0], stems[1]), (other, one, stems[1], stems[0])):
        alone = sorted(here.keys() - there.keys())
        if alone:
            first = ", ".join(alone[:NAMED])
            raise DataError(
                f"{len(alone)} of the {len(side)} images of {side.spec.name} have no partner in {across.spec.name}: {first}"
                f"{', ...' if len(alone) > NAMED else ''}. Pairs have equal names; for images without partners use domains:."
            )
    shared = sorted(stems[0])
    return torch.tensor([stems[0][name] for name in shared]), torch.tensor([stems[1][name] for name in shared])


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _joined(name: str, one: ArrayDataset, other: ArrayDataset, field: str, first: Tensor, second: Tensor, *, notes: tuple[str, ...]) -> ArrayDataset:
    """Records of both sides, each in its order."""
    for side in (one, other):
        if side.spec.kind != "image":
            raise no_images(side.spec.name, side.spec.kind)
    digest = hashlib.sha256(f"{field}:{one.spec.content_hash}:{other.spec.content_hash}".encode()).hexdigest()[:16]
    spec = DataSpec(
        name=name,
        kind="image",
        shape=one.spec.shape,
        num_records=len(first),
        content_hash=digest,
        fields=("image", field),
        shapes={field: other.spec.shape},
    )
    fields = {"image": Reordered(one.column("image"), first), field: Reordered(other.column("image"), second)}
    names = tuple(one.names[row] for row in first.tolist()) if one.names else ()
    return ArrayDataset(fields, spec, names=names, notes=(*one.notes, *other.notes, *notes))  # type: ignore[arg-type]


def _side_by_side(root: Path, request: Request) -> ArrayDataset:
    """Images twice as wide as high, packed with both halves one behind the other."""
    found = dataclasses.replace(find_images(root), labels=None, class_names=())
    whole = open_found(found, request.name, request.resolution, request.channels, read=_decode_halves, layout="side by side", wide=2)
    both = whole.column("image")
    channels = both.shape[1] // 2
    spec = dataclasses.replace(
        whole.spec, shape=(channels, *both.shape[2:]), fields=("image", "partner"), shapes={"partner": (channels, *both.shape[2:])}
    )
    return ArrayDataset({"image": both[:, :channels], "partner": both[:, channels:]}, spec, names=whole.names, notes=whole.notes)


def _decode_halves(path: Path | IO[bytes], resolution: Resolution | None, channels: int) -> Pixels:
    """One file as uint8 [2 c, r, r]: the left half's channels, then the right's."""
    image = upright(path, channels)
    if image.width != 2 * image.height:
        raise ValueError(f"{image.width}x{image.height} pixels are not two squares side by side")
    side = image.height
    halves = [image.crop((left, 0, left + side, side)) for left in (0, side)]
    return np.concatenate([fitted(half, resolution) for half in halves])


# -- made of shipped images, so that every machine has pairs and domains ---------------------------------------------------------------------

NOTO: Any = {"licence": "Apache-2.0 (images; flags public domain)", "origin": "derived from the shipped emoji", "credits": "Google (Noto Emoji)"}


def _pair(request: Request, one: ArrayDataset, partner: Tensor, field: str = "partner") -> ArrayDataset:
    fields = {"image": partner, field: one.column("image")}
    spec = dataclasses.replace(
        one.spec,
        num_classes=None,
        class_names=(),
        shape=tuple(partner.shape[1:]),
        content_hash=content_hash(fields),
        fields=tuple(fields),
        shapes={field: one.spec.shape},
    )
    return ArrayDataset(fields, spec, names=one.names, keywords=one.keywords)


@source(
    DataCard(name="emoji-lines", title="Line drawings of the emoji, and the emoji (pairs)", kind="image", shape=(1, 64, 64), num_records=1906, **NOTO)
)
def open_emoji_lines(request: Request) -> ArrayDataset:
    """Dark lines where an emoji's colours change, thinned to black on white, and the emoji itself as the partner."""
    full = open_emoji(dataclasses.replace(request, resolution=None, channels=3)).column("image")
    lines = np.stack([_lines(image) for image in full.numpy()])
    small = [np.asarray(Image.fromarray(line).resize(size_of(request.resolution or 64)[::-1], Image.Resampling.LANCZOS)) for line in lines]
    return _pair(request, open_emoji(dataclasses.replace(request, channels=3)), torch.from_numpy(np.stack(small))[:, None])


def _lines(image: Pixels) -> Pixels:
    """Edges of an image [3, h, w] as dark lines on white [h, w]: the largest gradient over the channels, of the image slightly blurred."""
    smooth = np.asarray(Image.fromarray(image.transpose(1, 2, 0)).filter(ImageFilter.GaussianBlur(0.7)), np.float32)  # h w c
    down, right = np.gradient(smooth, axis=(0, 1))
    edge = np.hypot(down, right).max(2)
    dark: Pixels = (255 - np.clip(4 * (edge - 8), 0, 255)).astype(np.uint8)
    return dark


@source(DataCard(name="emoji-grey", title="The emoji in grey, and in colour (pairs)", kind="image", shape=(1, 64, 64), num_records=1906, **NOTO))
def open_emoji_grey(request: Request) -> ArrayDataset:
    """Grey emoji, and the coloured ones as partners."""
    grey = open_emoji(dataclasses.replace(request, channels=1)).column("image")
    return _pair(request, open_emoji(dataclasses.replace(request, channels=3)), grey)


@source(
    DataCard(
        name="digits-tinted",
        title="Digits white on black, and other digits dark on coloured paper (two domains)",
        kind="image",
        shape=(3, 8, 8),
        num_records=898,
        licence="CC BY 4.0 (data), BSD-3-Clause (scikit-learn, which brings it)",
        origin="derived from scikit-learn's digits",
        credits="E. Alpaydin, C. Kaynak (UCI, optical recognition of handwritten digits)",
    )
)
def open_digits_tinted(request: Request) -> ArrayDataset:
    """Half of the records as they are, in RGB; the other half inverted, each on paper of a colour of its own.

    The classes are kept: a translation that keeps the digit can be told from one that does not.
    """
    digits = open_digits(dataclasses.replace(request, channels=3))
    images, labels = digits.column("image"), digits.column("label")
    count = len(images) // 2
    rng = torch.Generator().manual_seed(derive_seed("tinted"))
    here, there = torch.randperm(len(images), generator=rng)[: 2 * count].view(2, count)
    paper = 0.5 + 0.5 * torch.rand(count, 3, 1, 1, generator=rng)
    other = ((255 - images[there].float()) * paper).round().to(torch.uint8)
    fields = {"image": images[here], "other": other, "label": labels[here], "other_label": labels[there]}
    spec = dataclasses.replace(
        digits.spec, num_records=count, content_hash=content_hash(fields), fields=tuple(fields), shapes={"other": tuple(other.shape[1:])}
    )
    return ArrayDataset(fields, spec)
