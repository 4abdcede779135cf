"""Emoji to fetch as PNG files of two makers: the same meanings in two styles, and the same emoji in six skin tones.

Axes: n images, c channels, h w image.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch

from saddlepoint.data.arrays import SPLITS, ArrayDataset, split_rows
from saddlepoint.data.fetching import Package, Show, members
from saddlepoint.data.images import Pixels, fitted, upright
from saddlepoint.data.offered_pictures import SIDE, card_of, image_set, numbered, stacked
from saddlepoint.data.offers import Offer, offer, open_built
from saddlepoint.data.packed import write_packed
from saddlepoint.data.registry import Request, source
from saddlepoint.data.shipped import FILES, open_emoji
from saddlepoint.draws import derive_seed

TONES = ("default", "light", "medium-light", "medium", "medium-dark", "dark")
MODIFIERS = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")


def build_vendor(file: Path, out: Path, show: Show | None) -> None:
    """The images of one vendor: "plain" without variants of skin, "tones" with all six of each emoji that has them, one after the other."""
    found = dict(members(file, lambda name: name == "package/emoji.json" or ("/64/" in name and name.endswith(".png"))))
    by_file = {name.rpartition("/")[2]: data for name, data in found.items()}
    entries = [entry for entry in json.loads(found["package/emoji.json"]) if entry["image"] in by_file and entry["category"] != "Component"]
    entries.sort(key=lambda entry: entry["sort_order"])

    def picture(image: str) -> Pixels:
        return fitted(upright(io.BytesIO(by_file[image]), 3), SIDE)

    label, classes = numbered([entry["category"] for entry in entries])
    names = [entry["name"].lower() for entry in entries]
    keywords = [(_character(entry["unified"]), *entry["short_names"]) for entry in entries]
    plain = {"image": stacked([picture(entry["image"]) for entry in entries]), "label": label}
    write_packed(image_set("plain", plain, classes, names=names, keywords=keywords), out / "plain", file.name)
    toned = [entry for entry in entries if all(each in entry.get("skin_variations", {}) for each in MODIFIERS)]
    pictures, names = [], []
    for done, entry in enumerate(toned, 1):
        images = [entry["image"], *(entry["skin_variations"][each]["image"] for each in MODIFIERS)]
        pictures += [picture(image) for image in images]
        names += [f"{entry['name'].lower()}, {tone}" for tone in TONES]
        if show is not None:
            show(done, len(toned))
    rows = torch.arange(len(pictures))
    fields = {"image": stacked(pictures), "label": rows % len(TONES), "identity": rows // len(TONES)}
    write_packed(image_set("tones", fields, TONES, names=names), out / "tones", file.name)


def _character(unified: str) -> str:
    return "".join(chr(int(code, 16)) for code in unified.split("-"))


TWEMOJI = offer(
    Offer(
        name="twemoji",
        title="Twemoji: a second maker's emoji at 64 pixels, and in six skin tones",
        package=Package(
            registry="npm",
            name="emoji-datasource-twitter",
            version="16.0.0",
            file="emoji-datasource-twitter-16.0.0.tgz",
            size=61_683_754,
            sha256="f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
        ),
        licence="CC BY 4.0 (images), MIT (names, groups)",
        credits="Twitter, Inc. and other contributors (Twemoji), Cal Henderson (emoji-data)",
        sources=("twemoji", "emoji-vendors", "twemoji-tones"),
        build=build_vendor,
    )
)
NOTO = offer(
    Offer(
        name="noto",
        title="Noto emoji in six skin tones, at 64 pixels",
        package=Package(
            registry="npm",
            name="emoji-datasource-google",
            version="16.0.0",
            file="emoji-datasource-google-16.0.0.tgz",
            size=74_344_091,
            sha256="fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        ),
        licence="Apache-2.0 (images; flags public domain), MIT (names, groups)",
        credits="Google (Noto Emoji), Cal Henderson (emoji-data)",
        sources=("noto-tones",),
        build=build_vendor,
    )
)


@source(card_of("twemoji", "Twemoji on white, with names, short names and groups", (3, SIDE, SIDE), 1906, TWEMOJI))
def open_twemoji(request: Request) -> ArrayDataset:
    """Twemoji's emoji without variants of skin; the first keyword is the character itself."""
    return open_built(request, "twemoji", "plain")


@source(card_of("emoji-vendors", "Emoji of two makers, Noto and Twemoji (two domains of the same meanings)", (3, SIDE, SIDE), 1906, TWEMOJI))
def open_emoji_vendors(request: Request) -> ArrayDataset:
    """Noto emoji, and beside each one of Twemoji's, shuffled once and for all; ``meaning`` and ``other_meaning`` (int64) say what they show.

    A translation of a record should look most like that image of the other maker whose number is its meaning: the truth of a retrieval.
    """
    noto, twemoji = open_emoji(request), open_twemoji(request)
    characters = [entry["character"] for entry in json.loads((FILES / "emoji.json").read_text("utf-8"))]
    row_of = {words[0]: row for row, words in enumerate(twemoji.keywords)}
    shared = [row for row, character in enumerate(characters) if character in row_of]
    here, there = torch.tensor(shared), torch.tensor([row_of[characters[row]] for row in shared])
    meaning = torch.arange(len(shared))
    other_meaning = torch.randperm(len(shared), generator=torch.Generator().manual_seed(derive_seed("vendors")))
    fields = {
        "image": noto.column("image")[here],
        "other": twemoji.column("image")[there[other_meaning]],
        "meaning": meaning,
        "other_meaning": other_meaning,
    }
    return image_set(request.name, fields, names=[noto.names[row] for row in shared])


def _tones(name: str, offered: Offer) -> None:
    """Register the skin tones of one maker."""
    title = f"{offered.title.split()[0].removesuffix(':')} emoji of people in six skin tones (six domains with exact targets)"

    @source(card_of(name, title, (3, SIDE, SIDE), len(TONES) * 316, offered))
    def opener(request: Request) -> ArrayDataset:
        """The tone is the class; record 6 i + t is the emoji of ``identity`` i in tone t, so the exact target of every translation is there.

        Train and test part the emoji, not the records.
        """
        data = open_built(request, offered.name, "tones")
        first = len(TONES) * torch.arange(len(data) // len(TONES))
        parts = {split: first[split_rows(len(first), split, name)] for split in SPLITS}
        data.splits = {split: (rows[:, None] + torch.arange(len(TONES))).flatten() for split, rows in parts.items()}
        return data


_tones("twemoji-tones", TWEMOJI)
_tones("noto-tones", NOTO)
