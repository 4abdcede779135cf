"""Furniture drawn from boxes and upright cylinders, the same on every machine, at any resolution: volumes without a download.

Axes: n shapes, p parts, d h w depth height width, s side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.registry import DataCard, Request, source
from saddlepoint.data.volumes import Grids, digest_of, side_of, volume_dataset
from saddlepoint.draws import derive_seed

CLASSES = ("chair", "table", "bed", "shelf", "sofa", "lamp")
COUNT, SIDE, PARTS = 2_400, 32, 10
FLOOR = 1 / 32  # where all of them stand
CARD = DataCard(
    name="shapes3d",
    title="furniture drawn from boxes and cylinders, class as label",
    kind="volume",
    shape=(1, SIDE, SIDE, SIDE),
    num_records=COUNT,
    licence="none needed",
    origin="drawn by saddlepoint, the same everywhere",
    credits="this project",
)


class _Plan:
    """Parts of n shapes in the unit cube: x (width), y (height, from the floor), z (depth); x and z are measured from the middle."""

    def __init__(self, n: int) -> None:
        self.parts: list[Tensor] = []
        self.zeros = torch.zeros(n)

    def put(self, x: object, y: object, z: object, *, size: tuple[object, object, object], round: bool = False) -> None:
        """A box, or the cylinder in it, with its middle at x and z and its lower face at y; the numbers are floats or [n]."""
        values = [self.zeros + number for number in (x, y, z, *size)]  # type: ignore[operator]
        low = [0.5 + values[0] - values[3] / 2, FLOOR + values[1], 0.5 + values[2] - values[5] / 2]
        high = [0.5 + values[0] + values[3] / 2, FLOOR + values[1] + values[4], 0.5 + values[2] + values[5] / 2]
        self.parts.append(torch.stack([*low, *high, self.zeros + float(round)], 1))

    def legs(self, width: Tensor, depth: Tensor, height: Tensor, leg: Tensor) -> None:
        """Four, at the corners."""
        for sign_x, sign_z in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            self.put(sign_x * (width - leg) / 2, 0, sign_z * (depth - leg) / 2, size=(leg, height, leg))

    def table(self) -> Tensor:
        """[n, PARTS, 7]: low corner, high corner, whether round; parts that are not used are empty."""
        unused = torch.zeros(len(self.zeros), 7)
        return torch.stack(self.parts + [unused] * (PARTS - len(self.parts)), 1)


def _draw(name: str, n: int, rng: torch.Generator) -> Tensor:
    """Parts [n, PARTS, 7] of n shapes of a class."""

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=rng)

    plan, leg, thin = _Plan(n), between(0.07, 0.11), between(0.07, 0.1)
    if name == "chair":
        width, depth, seat, back = between(0.4, 0.65), between(0.4, 0.6), between(0.3, 0.45), between(0.35, 0.5)
        plan.legs(width, depth, seat, leg)
        plan.put(0, seat, 0, size=(width, thin, depth))
        plan.put(0, seat, -(depth - thin) / 2, size=(width, back, thin))
        arms = between(0, 1).round() * between(0.12, 0.2)  # half of them have none
        for side in (-1, 1):
            plan.put(side * (width - leg) / 2, seat, 0, size=(leg, thin + arms * (arms > 0), depth * (arms > 0)))
    elif name == "table":
        width, depth, height, square = between(0.55, 0.92), between(0.45, 0.7), between(0.35, 0.6), between(0, 1).round()
        plan.legs(width * square, depth * square, height, leg * square)
        plan.put(0, height, 0, size=(width, thin, depth))
        plan.put(0, 0, 0, size=((1 - square) * 2 * leg, height, (1 - square) * 2 * leg), round=True)
        plan.put(0, 0, 0, size=((1 - square) * 0.7 * width, thin, (1 - square) * 0.7 * depth), round=True)
    elif name == "bed":
        width, depth, height, head = between(0.4, 0.75), between(0.8, 0.93), between(0.18, 0.3), between(0.1, 0.3)
        plan.legs(width, depth, height / 2, leg)
        plan.put(0, height / 2, 0, size=(width, height / 2 + thin / 2, depth))
        plan.put(0, 0, -(depth - thin) / 2, size=(width, height + head, thin))
        plan.put(0, height, -depth / 3, size=(0.7 * width, thin + 0.05, 0.2 * depth))
    elif name == "shelf":
        width, depth, height = between(0.4, 0.8), between(0.25, 0.4), between(0.6, 0.93)
        boards = 3 + (2 * torch.rand(n, generator=rng)).floor()  # three or four
        for side in (-1, 1):
            plan.put(side * (width - thin) / 2, 0, 0, size=(thin, height, depth))
        plan.put(0, 0, -depth / 2 + thin / 2, size=(width, height, thin))
        for board in range(4):
            there = (board < boards).float()
            plan.put(0, (height - thin) * (board / (boards - 1)).clamp(max=1), 0, size=(width * there, thin, depth))
    elif name == "sofa":
        width, depth, seat, back, arm = between(0.7, 0.93), between(0.4, 0.55), between(0.18, 0.28), between(0.2, 0.35), between(0.08, 0.15)
        plan.put(0, thin / 2, 0, size=(width, seat, depth))
        plan.put(0, thin / 2, -depth / 2 + arm / 2, size=(width, seat + back, arm))
        for side in (-1, 1):
            plan.put(side * (width - arm) / 2, thin / 2, 0, size=(arm, seat + back / 2, depth))
        plan.legs(width, depth, thin / 2, leg)
    else:
        height, foot, shade = between(0.6, 0.92), between(0.25, 0.45), between(0.3, 0.6)
        tall = between(0.2, 0.35)
        plan.put(0, 0, 0, size=(foot, 0.07, foot), round=True)
        plan.put(0, 0, 0, size=(0.09, height, 0.09), round=True)
        plan.put(0, height - tall, 0, size=(shade, tall, shade), round=True)
    return plan.table()


def rasterise(parts: Tensor, side: int) -> Tensor:
    """Volumes float32 [n, 1, s, s, s], 1 where the middle of a voxel lies in a part.

    Args:
        parts: [n, p, 7], as :func:`shapes3d_parts` gives them.
        side: s.
    """
    middle = (torch.arange(side) + 0.5) / side
    low, high = parts[:, :, :3, None], parts[:, :, 3:6, None]
    x, y, z = ((middle >= low) & (middle < high)).unbind(2)  # n p s, each
    far = ((middle - (low + high) / 2) / ((high - low) / 2).clamp(min=1e-6)).square()  # n p 3 s
    circle = far[:, :, 2, :, None] + far[:, :, 0, None, :] <= 1  # n p d w
    plane = z[..., :, None] & x[..., None, :] & (circle | (parts[:, :, 6] == 0)[..., None, None])
    whole = torch.zeros(len(parts), side, side, side, dtype=torch.bool)
    for part in range(parts.shape[1]):
        whole |= plane[:, part, :, None, :] & y[:, part, None, :, None]  # n d h w
    return whole.unsqueeze(1).to(torch.float32)


def shapes3d_parts() -> tuple[Tensor, Tensor]:
    """Parts [COUNT, PARTS, 7] of all shapes, and their classes int64 [COUNT]; record i is of class i modulo 6."""
    labels = torch.arange(COUNT) % len(CLASSES)
    parts = torch.zeros(COUNT, PARTS, 7)
    for label, name in enumerate(CLASSES):
        rng = torch.Generator().manual_seed(derive_seed("shapes3d", name))
        parts[labels == label] = _draw(name, COUNT // len(CLASSES), rng)
    return parts, labels


@source(CARD)
def open_shapes3d(request: Request) -> ArrayDataset:
    """All shapes, at 32 voxels a side where nothing else is asked for."""
    side = side_of(request) or SIDE
    parts, labels = shapes3d_parts()
    grids = Grids(COUNT, side, lambda rows: rasterise(parts[rows], side))
    return volume_dataset(request, grids, digest_of(parts, labels, side), labels=labels, class_names=CLASSES)
