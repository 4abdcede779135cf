"""What games share that give back what was taken from an image: its detail, or a part of it.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from saddlepoint.data.records import Batch
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.games.settings import GameConfig


@dataclass(frozen=True, kw_only=True)
class RestorationConfig(GameConfig):
    """Settings that the games of restoration share.

    Attributes:
        width: channels of the generator's first map.
        d_width: channels of the discriminator's first map.
        crop: side of the square that a turn takes from each image, at random; None: whole images.
        mirror: exchange left and right of half of the records.
        optimizer: how every player moves.
    """

    width: int = 64
    d_width: int = 64
    crop: int | None = None
    mirror: bool = False
    optimizer: Adam | RMSprop | SGD = field(default_factory=Adam)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop is not None and self.crop < 8:
            raise UsageError(f"crop must be 8 pixels or more, or None; it is {self.crop}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "width", "d_width")

    def size_of(self, shape: tuple[int, ...], name: str) -> tuple[int, int]:
        """Height and width of what a turn sees, of images [c, h, w].

        Raises:
            UsageError: if the images are smaller than the crop.
        """
        if self.crop is None:
            return shape[1], shape[2]
        if min(shape[1:]) < self.crop:
            raise UsageError(
                f"Crops of {self.crop} pixels need images at least as large; {name} has {shape[2]}x{shape[1]}. Choose --crop None or a smaller one."
            )
        return self.crop, self.crop


class RestorationGame(Game):
    """Crops of images, the same in every turn of a round."""

    config: RestorationConfig
    size: tuple[int, int]

    def cropped(self, batch: Batch) -> Tensor:
        """The images of a turn, [n, c, *size]."""
        x = batch.image
        if tuple(x.shape[2:]) == self.size and not self.config.mirror:
            return x
        found: Tensor | None = self.kept.get(("crop", self.draws.piece))
        if found is None:
            places = self.shared_draws("crop").uniform(len(x), 3).to(x)
            found = self.kept["crop", self.draws.piece] = crops(x, places, self.size, mirror=self.config.mirror)
        return found

    def middle(self, x: Tensor) -> Tensor:
        """The middle of images, [n, c, *size]."""
        top, left = ((whole - side) // 2 for whole, side in zip(x.shape[2:], self.size, strict=True))
        return x[:, :, top : top + self.size[0], left : left + self.size[1]]


def crops(x: Tensor, places: Tensor, size: tuple[int, int], *, mirror: bool) -> Tensor:
    """A part of each image, at a place of its own.

    Args:
        x: [n, c, h, w].
        places: uniform numbers [n, 3]: where the part's top and left lie, and whether it is mirrored (below 1/2).
        size: height and width of the part.
        mirror: whether any is.

    >>> crops(torch.arange(4.0).view(1, 1, 1, 4), torch.tensor([[0.0, 0.5, 0.9]]), (1, 2), mirror=True).flatten().tolist()
    [1.0, 2.0]
    """
    free = places.new_tensor([whole - side + 1 for whole, side in zip(x.shape[2:], size, strict=True)])
    corner = (places[:, :2] * free).long()
    rows, columns = (corner[:, axis, None] + torch.arange(side, device=x.device) for axis, side in enumerate(size))
    if mirror:
        columns = torch.where(places[:, 2:] < 0.5, columns.flip(1), columns)
    cut = x[torch.arange(len(x), device=x.device)[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # n h w c
    return cut.permute(0, 3, 1, 2)
