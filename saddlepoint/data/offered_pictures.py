"""Drawings to fetch: emoji as line art and in colour, icons in outline and filled.

Axes: n images, c channels, h w image.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.data.fetching import Package, Show, members
from saddlepoint.data.images import Pixels, fitted, upright
from saddlepoint.data.offers import Offer, offer, open_built
from saddlepoint.data.packed import write_packed
from saddlepoint.data.records import DataSpec, Kind
from saddlepoint.data.registry import DataCard, Request, source
from saddlepoint.errors import DataError

SIDE = 64


def drawing(svg: bytes, channels: int, side: int = SIDE) -> Pixels:
    """A vector drawing as uint8 [channels, side, side], on white.

    Raises:
        DataError: where the extra ``svg`` is not installed.
    """
    try:
        import resvg_py
    except ImportError:
        raise DataError("Vector drawings are drawn by resvg-py, which is not installed: pip install 'saddlepoint[svg]', then once more.") from None
    png = resvg_py.svg_to_bytes(svg_string=svg.decode("utf-8"), width=side, height=side, skip_system_fonts=True)
    return fitted(upright(io.BytesIO(bytes(png)), channels), side)


def stacked(pictures: Sequence[Pixels]) -> Tensor:
    """Images as one tensor, uint8 [n, c, h, w]."""
    return torch.from_numpy(np.stack(pictures))


def image_set(name: str, fields: dict[str, Tensor], class_names: tuple[str, ...] = (), **about: Any) -> ArrayDataset:
    """Images in memory, with whatever stands beside them.

    Args:
        name: of the set.
        fields: the first is "image".
        class_names: of the field "label" where there is one.
        about: names, keywords, captions, notes.
    """
    beside = {key: tuple(values.shape[1:]) for key, values in fields.items() if key not in ("image", "label")}
    spec = DataSpec(
        name=name,
        kind="image",
        shape=tuple(fields["image"].shape[1:]),
        num_records=len(fields["image"]),
        num_classes=len(class_names) or None,
        class_names=class_names,
        content_hash=content_hash(fields),
        fields=tuple(fields),
        shapes=beside,
    )
    return ArrayDataset(fields, spec, **about)


def numbered(words: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """Classes of words, in the order in which they first come: int64 [n], and the words."""
    classes = tuple(dict.fromkeys(words))
    return torch.tensor([classes.index(word) for word in words]), classes


# -- OpenMoji: line art and colour ----------------------------------------------------------------------------------------------------------


def build_openmoji(file: Path, out: Path, show: Show | None) -> None:
    """Both versions of each emoji, drawn at 64 pixels: "colour" without variants of skin, "lines" with all of them."""
    found = dict(members(file, lambda name: name == "package/data/openmoji.json" or name.startswith(("package/color/svg/", "package/black/svg/"))))
    entries = json.loads(found["package/data/openmoji.json"])
    places = [[f"package/{kind}/svg/{entry['hexcode']}.svg" for kind in ("color", "black")] for entry in entries]
    kept = [i for i, pair in enumerate(places) if all(name in found for name in pair)]
    pictures: list[Pixels] = []
    lines: list[Pixels] = []
    for done, i in enumerate(kept, 1):
        pictures.append(drawing(found[places[i][0]], 3))
        lines.append(drawing(found[places[i][1]], 1))
        if show is not None:
            show(done, len(kept))
    names = [entries[i]["annotation"] for i in kept]
    pairs = image_set("openmoji-lines", {"image": stacked(lines), "partner": stacked(pictures)}, names=names)
    write_packed(pairs, out / "lines", file.name)
    plain = [row for row, i in enumerate(kept) if not entries[i]["skintone"]]
    label, classes = numbered([entries[kept[row]]["group"] for row in plain])
    keywords = [tuple(word.strip() for word in entries[kept[row]]["tags"].split(",") if word.strip()) for row in plain]
    fields = {"image": stacked([pictures[row] for row in plain]), "label": label}
    write_packed(image_set("openmoji", fields, classes, names=[names[row] for row in plain], keywords=keywords), out / "colour", file.name)


OPENMOJI = offer(
    Offer(
        name="openmoji",
        title="OpenMoji: emoji in colour and as line art, aligned",
        package=Package(
            registry="npm",
            name="openmoji",
            version="17.0.0",
            file="openmoji-17.0.0.tgz",
            size=4_339_458,
            sha256="55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
        ),
        licence="CC BY-SA 4.0",
        credits="OpenMoji, the open-source emoji and icon project (HfG Schwaebisch Gmuend)",
        sources=("openmoji-lines", "openmoji"),
        build=build_openmoji,
    )
)


def card_of(name: str, title: str, shape: tuple[int, ...], count: int, made: Offer, kind: Kind = "image") -> DataCard:
    """The card of a source that an offer brings."""
    origin = f"{made.package.registry} {made.package.name} {made.package.version}"
    return DataCard(
        name=name, title=title, kind=kind, shape=shape, num_records=count, licence=made.licence, origin=origin, credits=made.credits, shipped=False
    )


@source(card_of("openmoji-lines", "Line art of OpenMoji's emoji, and the emoji (pairs)", (1, SIDE, SIDE), 4495, OPENMOJI))
def open_openmoji_lines(request: Request) -> ArrayDataset:
    """Black line art, and the coloured drawing as its partner."""
    return open_built(request, "openmoji", "lines")


@source(card_of("openmoji", "OpenMoji's emoji in colour, with names, keywords and groups", (3, SIDE, SIDE), 2465, OPENMOJI))
def open_openmoji(request: Request) -> ArrayDataset:
    """The emoji without variants of skin."""
    return open_built(request, "openmoji", "colour")


# -- Tabler: outline and filled ---------------------------------------------------------------------------------------------------------------


def build_icons(file: Path, out: Path, show: Show | None) -> None:
    """Icons that have both styles, black on white at 64 pixels."""
    found = dict(members(file, lambda name: name == "package/icons.json" or name.startswith("package/icons/")))
    entries = json.loads(found["package/icons.json"])
    styles = ("outline", "filled")
    names = sorted(name for name in entries if all(f"package/icons/{style}/{name}.svg" in found for style in styles))
    pictures: dict[str, list[Pixels]] = {style: [] for style in styles}
    for done, name in enumerate(names, 1):
        for style in styles:
            pictures[style].append(drawing(found[f"package/icons/{style}/{name}.svg"], 1))
        if show is not None:
            show(done, len(names))
    label, classes = numbered([entries[name]["category"] or "none" for name in names])
    keywords = [tuple(str(tag) for tag in entries[name]["tags"]) for name in names]
    fields = {"image": stacked(pictures["outline"]), "partner": stacked(pictures["filled"]), "label": label}
    write_packed(image_set("icons", fields, classes, names=names, keywords=keywords), out / "pairs", file.name)


ICONS = offer(
    Offer(
        name="icons",
        title="Tabler icons in two styles, outline and filled",
        package=Package(
            registry="npm",
            name="@tabler/icons",
            version="3.51.0",
            file="tabler-icons-3.51.0.tgz",
            size=1_245_641,
            sha256="b30108713d3fa60aee862c2a133225da8e0f309be0708fe2925763ff810c766c",
        ),
        licence="MIT",
        credits="Pawel Kuna and the contributors of Tabler Icons",
        sources=("icons",),
        build=build_icons,
    )
)


@source(card_of("icons", "Outline icons, and the filled ones (pairs)", (1, SIDE, SIDE), 1054, ICONS))
def open_icons(request: Request) -> ArrayDataset:
    """Outline as the image, filled as its partner, the category as its class."""
    return open_built(request, "icons", "pairs")
