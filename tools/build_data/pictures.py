"""Draw the pictures of docs/data.md: what is in the sets that are drawn, and in those that are fetched.

    python tools/build_data/pictures.py [NAME ...]

Without names, all whose set is there; the fetched ones need `saddlepoint data get NAME` first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from saddlepoint.data.drawn_faces import ATTRIBUTES, HAIR_COLOURS, attributes_of_all, draw_faces
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError

OUT = Path(__file__).parents[2] / "docs" / "pictures"
COLOURS = {"A": (90, 160, 90), "C": (70, 110, 180), "G": (230, 170, 60), "T": (200, 80, 80)}
HEAVIEST = 120 * 1024  # bytes


def sheet(rows: list[Tensor]) -> Tensor:
    """Rows of images, each uint8 [k, c, h, w], as one picture [3, rows h, k w]."""
    return torch.cat([row.expand(-1, 3, -1, -1).permute(1, 2, 0, 3).flatten(2) for row in rows], 1)


def faces() -> Tensor:
    """Faces of the set; and three of them with each attribute changed."""
    rows = [open_data("faces").records(torch.arange(24))["image"].view(2, 12, 3, 64, 64)[i] for i in range(2)]
    for identity in (3, 100, 7):
        wanted = attributes_of_all()[identity].repeat(12, 1)
        for column, name in enumerate(ATTRIBUTES):
            if name in HAIR_COLOURS:
                wanted[column + 1, : len(HAIR_COLOURS)] = 0
                wanted[column + 1, column] = 1
            else:
                wanted[column + 1, column] = 1 - wanted[column + 1, column]
        wanted[9:, 4:] = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]], dtype=wanted.dtype)
        rows.append(draw_faces(torch.full((12,), identity), wanted))
    return sheet(rows)


def moving_digits() -> Tensor:
    """Four clips."""
    return sheet([*open_data("moving-digits", resolution=48).records(torch.arange(4))["frames"]])


def motifs() -> Tensor:
    """Forty sequences, a cell a letter, pale where no box was planted; sorted by the place of the first box."""
    data = open_data("motifs")
    rows = data.records(torch.arange(40))
    order = rows["place"].argsort()
    picture = torch.full((40, 64, 3), 255, dtype=torch.uint8)
    for y, row in enumerate(order.tolist()):
        place, second = int(rows["place"][row]), int(rows["place"][row] + 6 + rows["gap"][row])
        for x, token in enumerate(rows["tokens"][row].tolist()):
            full = torch.tensor(COLOURS[data.spec.vocabulary[token]])
            planted = place <= x < place + 6 or second <= x < second + 6
            picture[y, x] = (full if planted else 255 - (255 - full) // 4).to(torch.uint8)
    return picture.permute(2, 0, 1).repeat_interleave(8, 1).repeat_interleave(12, 2)


def openmoji() -> Tensor:
    """Line art above the coloured emoji."""
    rows = open_data("openmoji-lines").records(torch.arange(40, 4400, 370)[:12])
    return sheet([rows["image"], rows["partner"]])


def icons() -> Tensor:
    """Outline above filled."""
    rows = open_data("icons").records(torch.arange(20, 1054, 86)[:12])
    return sheet([rows["image"], rows["partner"]])


def emoji_vendors() -> Tensor:
    """The same meanings by both makers."""
    data = open_data("emoji-vendors")
    rows = data.records(torch.arange(len(data)))
    meanings = torch.arange(60, 1900, 155)[:12]
    return sheet([rows["image"][meanings], rows["other"][rows["other_meaning"].argsort()[meanings]]])


def emoji_tones() -> Tensor:
    """Two emoji a row in all six tones, by Noto and by Twemoji."""
    wanted = torch.cat([6 * number + torch.arange(6) for number in (5, 101)])
    return sheet([open_data(name).records(wanted)["image"] for name in ("noto-tones", "twemoji-tones")])


def photos() -> Tensor:
    """Crops, at half their size."""
    return sheet([open_data("photos", resolution=64).records(torch.linspace(0, 1847, 12).long())["image"]])


PICTURES: dict[str, Callable[[], Tensor]] = {
    "faces": faces,
    "moving-digits": moving_digits,
    "motifs": motifs,
    "openmoji": openmoji,
    "icons": icons,
    "emoji-vendors": emoji_vendors,
    "emoji-tones": emoji_tones,
    "photos": photos,
}


def main(names: list[str]) -> None:
    """Write the pictures."""
    for name in names or PICTURES:
        try:
            picture = PICTURES[name]()
        except DataError as error:
            sys.stderr.write(f"{error}\n")
            continue
        path = OUT / f"data-{name}.png"
        image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
        for colours in (256, 128, 64):
            image.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
            if path.stat().st_size <= HEAVIEST:
                break


if __name__ == "__main__":
    main(sys.argv[1:])
