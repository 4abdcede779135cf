"""Drawn faces whose attributes are known exactly, and can be changed one at a time: the same face with and without glasses.

A face is a pure function of its identity (a row of random numbers: shape, colours, the glasses it would wear) and of its attributes. Drawing the same
identity with another attribute gives the exact target of an edit, which photographs never have.

Axes: n faces, a attributes, p parameters of an identity, c channels, h w image.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.drawn import Drawn, description_hash
from saddlepoint.data.drawn_pen import INK, Colour, Pen, bow, hue, mixed, rounded
from saddlepoint.data.images import Pixels, check_request, size_of, with_channels
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import DataCard, Request, source
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError

VERSION = 1
IDENTITIES = 10_000
PARAMETERS = 32
SIDE = 64
EDGE = 0.008  # width of the line around hair
HAIR_COLOURS = ("black-hair", "brown-hair", "blond-hair")
ATTRIBUTES = (*HAIR_COLOURS, "long-hair", "glasses", "smile", "beard", "hat")
SHARES = {"long-hair": 0.5, "glasses": 0.4, "smile": 0.5, "beard": 0.35, "hat": 0.3}  # of faces that have it, independently of one another

HAIR: tuple[Colour, ...] = ((38, 32, 36), (112, 58, 30), (232, 196, 104))
SKIN: tuple[Colour, ...] = ((255, 224, 196), (240, 194, 156), (214, 158, 116), (180, 124, 90), (146, 100, 74), (108, 74, 58))
IRIS: tuple[Colour, ...] = ((70, 110, 160), (80, 130, 80), (96, 64, 40), (110, 110, 118))


@functools.cache
def identities() -> Tensor:
    """The random numbers of every face, float64 [IDENTITIES, p] in [0, 1)."""
    rng = torch.Generator().manual_seed(derive_seed("faces", VERSION, "identities"))
    return torch.rand(IDENTITIES, PARAMETERS, generator=rng, dtype=torch.float64)


@functools.cache
def attributes_of_all() -> Tensor:
    """The attributes that the faces of the set have, float32 [IDENTITIES, a] of 0 and 1; of the three colours of hair each has one, equally often."""
    rng = torch.Generator().manual_seed(derive_seed("faces", VERSION, "attributes"))
    colour = torch.nn.functional.one_hot(torch.randint(len(HAIR), (IDENTITIES,), generator=rng), len(HAIR))
    shares = torch.tensor([SHARES[name] for name in ATTRIBUTES[len(HAIR) :]])
    others = torch.rand(IDENTITIES, len(shares), generator=rng) < shares
    return torch.cat([colour.float(), others.float()], 1)  # n a


def draw_faces(identity: Tensor, attributes: Tensor, resolution: int = SIDE) -> Tensor:
    """Faces of these identities with these attributes.

    Args:
        identity: int64 [n], the field ``identity`` of a record: 0 <= identity < IDENTITIES.
        attributes: [n, a] in the order of ``ATTRIBUTES``: on from 0.5; of the three colours of hair the largest counts.
        resolution: side in pixels.
    Returns:
        uint8 [n, 3, resolution, resolution].
    Raises:
        DataError: for identities or attributes that there are not.

    >>> one, plain = torch.tensor([7]), torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0]])
    >>> glasses = plain.clone()
    >>> glasses[0, ATTRIBUTES.index("glasses")] = 1
    >>> changed = (draw_faces(one, plain) != draw_faces(one, glasses)).any(1)[0]
    >>> bool(changed[20:40].any()), bool(changed[:15].any())     # the eyes' rows, and the top's
    (True, False)
    """
    if attributes.shape != (len(identity), len(ATTRIBUTES)):
        raise DataError(f"Faces are drawn with {len(ATTRIBUTES)} attributes each ({', '.join(ATTRIBUTES)}); {tuple(attributes.shape)} came.")
    if len(identity) and (int(identity.min()) < 0 or int(identity.max()) >= IDENTITIES):
        raise DataError(f"There are {IDENTITIES} identities, from 0 on; {int(identity.min())} to {int(identity.max())} came.")
    rows = identities()[identity.cpu()].tolist()
    wanted = attributes.detach().cpu().tolist()
    images = [_face(resolution, _Face.of(row, on)) for row, on in zip(rows, wanted, strict=True)]
    return torch.from_numpy(np.stack(images)) if images else torch.empty(0, 3, resolution, resolution, dtype=torch.uint8)


@source(
    DataCard(
        name="faces",
        title="Drawn faces with 8 attributes, each of which can be changed alone",
        kind="image",
        shape=(3, SIDE, SIDE),
        num_records=IDENTITIES,
        licence="MIT (drawn by this package)",
        origin="saddlepoint.data.drawn_faces",
        credits="the saddlepoint authors",
    )
)
def open_faces(request: Request) -> ArrayDataset:
    """10,000 faces: image, attributes (float32 [8], 0 or 1) and identity, by which :func:`draw_faces` draws the same face with other attributes."""
    check_request(request.resolution, request.channels)
    height, width = size_of(request.resolution or SIDE)
    channels = request.channels or 3
    side, attributes, identity = max(height, width), attributes_of_all(), torch.arange(IDENTITIES)
    top, left = (side - height) // 2, (side - width) // 2

    def draw(rows: Tensor) -> Tensor:
        images = draw_faces(identity[rows], attributes[rows], side)
        return with_channels(images[:, :, top : top + height, left : left + width].contiguous(), channels)

    shape = (channels, height, width)
    spec = DataSpec(
        name=request.name,
        kind="image",
        shape=shape,
        num_records=IDENTITIES,
        content_hash=description_hash(version=VERSION, identities=identities(), attributes=attributes, shape=shape),
        fields=("image", "attributes", "identity"),
        shapes={"attributes": (len(ATTRIBUTES),), "identity": ()},
    )
    image = Drawn(IDENTITIES, shape, draw)
    fields = {"image": image, "attributes": attributes, "identity": identity}
    return ArrayDataset(fields, spec, attribute_names=ATTRIBUTES)  # type: ignore[arg-type]


# -- one face; lengths are shares of the side, angles clockwise from the right --------------------------------------------


@dataclass(frozen=True)
class _Face:
    """What is drawn: attributes, colours, and the places of the parts."""

    on: frozenset[str]
    hair: Colour
    edge: Colour  # of hair
    skin: Colour
    ground: Colour
    shirt: Colour
    item: Colour  # of hat
    frame: Colour  # of glasses
    iris: Colour
    x: float  # middle of the head
    y: float
    wide: float  # half of the head's width and height
    high: float
    u: list[float]  # the parameters not used by what is above

    @classmethod
    def of(cls, u: list[float], attributes: list[float]) -> _Face:
        colour = int(np.argmax(attributes[: len(HAIR)]))
        tone = u[0] * (len(SKIN) - 1)
        hair = mixed(HAIR[colour], (255, 255, 255), 0.12 * u[1])
        return cls(
            on=frozenset(name for name, value in zip(ATTRIBUTES, attributes, strict=True) if value >= 0.5),
            hair=hair,
            edge=mixed(hair, INK, 0.45),
            skin=mixed(SKIN[int(tone)], SKIN[min(int(tone) + 1, len(SKIN) - 1)], tone % 1),
            ground=hue(u[2], 0.10 + 0.25 * u[3], 0.92),
            shirt=hue(u[4], 0.55, 0.45 + 0.4 * u[5]),
            item=hue(u[6], 0.65, 0.35 + 0.45 * u[7]),
            frame=hue(u[8], 0.5 * u[9], 0.18),
            iris=IRIS[int(u[10] * len(IRIS))],
            x=0.5 + 0.03 * (u[11] - 0.5),
            y=0.51 + 0.03 * (u[12] - 0.5),
            wide=0.215 + 0.05 * u[13],
            high=0.275 + 0.04 * u[14],
            u=u[15:],
        )


def _face(side: int, face: _Face) -> Pixels:
    """One face as uint8 [3, side, side]."""
    pen = Pen(side, face.ground)
    for part in (_behind, _head, _beard, _mouth, _nose, _eyes, _top_hair, _glasses, _hat):
        part(pen, face)
    return pen.pixels()


def _behind(pen: Pen, face: _Face) -> None:
    """Long hair behind the shoulders, the neck, the shirt and the ears."""
    dark = mixed(face.skin, INK, 0.18)
    if "long-hair" in face.on:
        length = 0.30 + 0.08 * face.u[0]
        pen.shape(rounded(face.x, face.y + 0.5 * length - 0.12, face.wide + 0.075, 0.5 * length + 0.14, 0.12), face.hair, face.edge, EDGE)
    pen.box(face.x, face.y + face.high + 0.02, 0.085, 0.12, dark)
    pen.oval(face.x, 1.02, 0.30 + 0.06 * face.u[1], 0.17, face.shirt)
    pen.shape(bow(face.x, 0.86, 0.10, 0.06, 0, 180), dark)
    for way in (-1, 1):
        pen.oval(face.x + way * face.wide, face.y + 0.01, 0.03 + 0.015 * face.u[2], 0.055, dark)


def _head(pen: Pen, face: _Face) -> None:
    pen.oval(face.x, face.y, face.wide, face.high, face.skin)


def _beard(pen: Pen, face: _Face) -> None:
    """Hair on chin and cheeks, a little below the head, and a moustache; the lips stay free."""
    if "beard" not in face.on:
        return
    reach, colour = 12 + 24 * face.u[3], mixed(face.hair, INK, 0.12)  # degrees below the ears
    chin = bow(face.x, face.y + 0.01, face.wide + 0.006, face.high + 0.012 + 0.03 * face.u[4], reach, 180 - reach)
    pen.shape(chin, colour, face.edge, EDGE)
    pen.oval(face.x, _mouth_height(face) - 0.045, 0.075, 0.022, colour)
    pen.oval(face.x, _mouth_height(face) + 0.006, 0.078, 0.034, face.skin)


def _mouth_height(face: _Face) -> float:
    return face.y + face.high * (0.50 + 0.08 * face.u[5])


def _mouth(pen: Pen, face: _Face) -> None:
    """A smile shows the teeth; otherwise the lips are closed."""
    x, y, wide = face.x, _mouth_height(face), 0.055 + 0.02 * face.u[6]
    if "smile" in face.on:
        pen.shape(bow(x, y - 0.02, wide + 0.015, 0.058, 0, 180), (150, 44, 52))
        pen.shape(bow(x, y - 0.02, wide + 0.008, 0.036, 0, 180), (255, 255, 255))
    else:
        pen.shape(rounded(x, y, wide, 0.010, 0.009), (164, 72, 72))


def _nose(pen: Pen, face: _Face) -> None:
    dark, size = mixed(face.skin, INK, 0.28), 0.022 + 0.014 * face.u[7]
    pen.line(bow(face.x, face.y + 0.055 + 0.02 * face.u[8], size, 0.024, 10, 170), dark, 0.013)


def _eye_places(face: _Face) -> tuple[tuple[float, float], ...]:
    apart, y = 0.088 + 0.022 * face.u[9], face.y - 0.025 - 0.02 * face.u[10]
    return (face.x - apart, y), (face.x + apart, y)


def _eyes(pen: Pen, face: _Face) -> None:
    """Eyes and brows; the brows have the colour of the hair."""
    wide, high = 0.038 + 0.012 * face.u[11], 0.026 + 0.012 * face.u[12]
    brow, lift = mixed(face.hair, INK, 0.35), 0.022 * (face.u[13] - 0.5)
    for way, (x, y) in zip((-1, 1), _eye_places(face), strict=True):
        pen.oval(x, y, wide, high, (255, 255, 255))
        pen.oval(x, y, 0.022, 0.022, face.iris)
        pen.oval(x, y, 0.011, 0.011, INK)
        pen.line([(x - 0.045, y - 0.058 + way * lift), (x + 0.045, y - 0.058 - way * lift)], brow, 0.018)


def _top_hair(pen: Pen, face: _Face) -> None:
    """Hair above the forehead, and beside the face where it is long."""
    rise = 0.03 + 0.035 * face.u[14]
    deep = 14 + 16 * face.u[15]  # degrees that the forehead begins below the crown's middle
    for way in (-1, 1):
        high = 0.21 if "long-hair" in face.on else 0.06
        pen.shape(rounded(face.x + way * (face.wide + 0.002), face.y - 0.13 + high, 0.026, high, 0.024), face.hair)
    pen.shape(bow(face.x, face.y - 0.015, face.wide + 0.022, face.high + rise, 180 + deep, 360 - deep), face.hair, face.edge, EDGE)


def _glasses(pen: Pen, face: _Face) -> None:
    """Round or angular frames; bridge and temples."""
    if "glasses" not in face.on:
        return
    (left, y), (right, _) = _eye_places(face)
    wide, high, radius = 0.066, 0.052, 0.052 if face.u[16] < 0.5 else 0.018
    for x in (left, right):
        pen.line(rounded(x, y, wide, high, radius), face.frame, 0.014)
    pen.line([(left + wide, y - 0.008), (right - wide, y - 0.008)], face.frame, 0.014)
    for x, way in ((left, -1), (right, 1)):
        pen.line([(x + way * wide, y - 0.012), (face.x + way * (face.wide + 0.012), y - 0.018)], face.frame, 0.014)


def _hat(pen: Pen, face: _Face) -> None:
    """A brimmed hat, or a cap of wool; both leave forehead and temples free."""
    if "hat" not in face.on:
        return
    rim, band = face.y - face.high * 0.62, mixed(face.item, INK, 0.35)
    if face.u[1] < 0.5:
        pen.shape(rounded(face.x, rim - 0.10, face.wide * 0.86, 0.115, 0.05), face.item)
        pen.box(face.x, rim - 0.022, face.wide * 0.86, 0.022, band)
        pen.oval(face.x, rim + 0.008, face.wide + 0.11, 0.030, face.item)
    else:
        pen.shape(bow(face.x, rim, face.wide + 0.03, 0.215, 180, 360), face.item)
        pen.shape(rounded(face.x, rim, face.wide + 0.036, 0.030, 0.025), band)
