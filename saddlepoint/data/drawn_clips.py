"""Moving digits: clips of two digits that drift and bounce off the walls, with their classes and their places known.

After Moving MNIST (Srivastava et al. 2015, arXiv:1502.04681): two digits of 28 pixels in a picture of 64, first at random places, directions drawn
evenly from the circle, reflected at the edges. The paper draws the speed from a range that it does not state; here it is 0.1 of the free way a frame,
and where two digits overlap the brighter pixel is seen.

Axes: n clips, t frames, k digits of a clip, c channels, h w image, d side of a digit.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.drawn import Drawn, description_hash
from saddlepoint.data.images import check_request, resized, with_channels
from saddlepoint.data.public import open_mnist
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import DataCard, Request, source
from saddlepoint.data.shipped import open_digits
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError

VERSION = 1
COUNT, TEST = 10_000, 1_000
DIGITS = 2
SHARE = 28 / 64  # of the side that a digit takes
STEP = 0.1  # of the free way a frame


@dataclass(frozen=True)
class Course:
    """What every clip shows, in numbers.

    Attributes:
        digits: int64 [n, k], which images of the set of digits.
        places: float32 [n, t, k, 2], the middle of each digit in each frame, across and down, in [-1, 1] where the picture's edges are at -1 and 1.
    """

    digits: Tensor
    places: Tensor


def course(sizes: tuple[int, int], frames: int, name: str) -> Course:
    """The clips of a set: its last TEST ones show only digits that the others never show.

    Args:
        sizes: how many digits there are to train with and to test with, in this order.
        frames: t.
        name: seeds the draw.
    """
    rng = torch.Generator().manual_seed(derive_seed("moving", VERSION, name))
    train = torch.randint(sizes[0], (COUNT - TEST, DIGITS), generator=rng)
    test = sizes[0] + torch.randint(sizes[1], (TEST, DIGITS), generator=rng)
    start = torch.rand(COUNT, 1, DIGITS, 2, generator=rng, dtype=torch.float64)
    angle = 2 * math.pi * torch.rand(COUNT, 1, DIGITS, generator=rng, dtype=torch.float64)
    velocity = STEP * torch.stack([angle.sin(), angle.cos()], -1)
    way = start + torch.arange(frames).view(1, -1, 1, 1) * velocity  # n t k 2
    bounced = 1 - (way.remainder(2) - 1).abs()  # a way of 2 is there and back
    return Course(torch.cat([train, test]), ((2 * bounced - 1) * (1 - SHARE)).float())


def draw_clips(digits: Tensor, places: Tensor, side: int) -> Tensor:
    """Digits at their places, the brighter where they overlap.

    Args:
        digits: uint8 [n, k, d, d], white on black.
        places: [n, t, k, 2] as in :class:`Course`.
        side: of a frame in pixels.
    Returns:
        uint8 [n, t, 1, side, side].
    """
    n, k, d, _ = digits.shape
    t = places.shape[1]
    corner = ((places.double() + 1) / 2 * side - d / 2).round().long().clamp(0, side - d)  # n t k 2
    offsets = torch.arange(d)[:, None] * side + torch.arange(d)  # d d
    index = (corner[..., 1] * side + corner[..., 0])[..., None] + offsets.flatten()  # n t k (d d)
    clips = torch.zeros(n, t, side * side, dtype=torch.uint8)
    for i in range(k):
        pixels = digits[:, None, i].flatten(2).expand(-1, t, -1)
        clips = torch.maximum(clips, torch.zeros_like(clips).scatter_(2, index[:, :, i], pixels))
    return clips.view(n, t, 1, side, side)


def open_moving(request: Request, digits: ArrayDataset, rows: tuple[Tensor, Tensor], *, side: int, frames: int) -> ArrayDataset:
    """Clips of the digits of a set.

    Args:
        request: a resolution is the side of the frames.
        digits: images with labels.
        rows: of the digits to train with and to test with.
        side: where no resolution is asked for.
        frames: a clip.
    """
    check_request(request.resolution, request.channels)
    if isinstance(request.resolution, tuple) and request.resolution[0] != request.resolution[1]:
        raise UsageError(f"{request.name} is drawn in squares; {request.resolution[0]}x{request.resolution[1]} was asked for. Give one side.")
    side = side if request.resolution is None else request.resolution if isinstance(request.resolution, int) else request.resolution[0]
    channels, order = request.channels or 1, torch.cat(rows)
    small = resized(digits.column("image"), max(1, round(SHARE * side)))[:, 0]
    made = course((len(rows[0]), len(rows[1])), frames, request.name)
    shown = order[made.digits]  # n k

    def draw(wanted: Tensor) -> Tensor:
        clips = draw_clips(small[shown[wanted]], made.places[wanted], side)
        return with_channels(clips.flatten(0, 1), channels).view(len(wanted), -1, channels, side, side)

    frame = (channels, side, side)
    fields = {
        "image": Drawn(COUNT, frame, lambda wanted: draw(wanted)[:, 0]),
        "frames": Drawn(COUNT, (frames, *frame), draw, keep=False),
        "digits": digits.column("label")[shown],
        "places": made.places,
    }
    spec = DataSpec(
        name=request.name,
        kind="image",
        shape=frame,
        num_records=COUNT,
        content_hash=description_hash(version=VERSION, digits=digits.spec.content_hash, shown=shown, places=made.places, shape=frame),
        fields=tuple(fields),
        shapes={"frames": (frames, *frame), "digits": (DIGITS,), "places": (frames, DIGITS, 2)},
    )
    clips = ArrayDataset(fields, spec)  # type: ignore[arg-type]
    clips.splits = {"train": torch.arange(COUNT - TEST), "test": torch.arange(COUNT - TEST, COUNT)}
    return clips


@source(
    DataCard(
        name="moving-digits",
        title="Clips of 16 frames: two handwritten digits that bounce off the walls",
        kind="image",
        shape=(1, 32, 32),
        num_records=COUNT,
        licence="CC BY 4.0 (digits), MIT (drawn by this package)",
        origin="saddlepoint.data.drawn_clips, from scikit-learn's digits",
        credits="E. Alpaydin, C. Kaynak (UCI, optical recognition of handwritten digits)",
    )
)
def open_moving_digits(request: Request) -> ArrayDataset:
    """10,000 clips: frames uint8 [16, 1, 32, 32], image (the first of them), digits int64 [2], places float32 [16, 2, 2]."""
    digits = open_digits(dataclasses.replace(request, resolution=None, channels=None))
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(derive_seed("moving", VERSION, "digits")))
    return open_moving(request, digits, (order[:1600], order[1600:]), side=32, frames=16)


@source(
    DataCard(
        name="moving-mnist",
        title="Clips of 20 frames: two digits of MNIST that bounce off the walls",
        kind="image",
        shape=(1, 64, 64),
        num_records=COUNT,
        licence="usually given as CC BY-SA 3.0 (digits), MIT (drawn by this package)",
        origin="saddlepoint.data.drawn_clips, from MNIST",
        credits="Yann LeCun, Corinna Cortes, Christopher J. C. Burges",
        shipped=False,
    )
)
def open_moving_mnist(request: Request) -> ArrayDataset:
    """10,000 clips: frames uint8 [20, 1, 64, 64] and the rest as of moving-digits; needs MNIST where it is looked for."""
    digits = open_mnist(dataclasses.replace(request, name="mnist", resolution=None, channels=None))
    return open_moving(request, digits, (digits.splits["train"], digits.splits["test"]), side=64, frames=20)
