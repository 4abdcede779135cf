"""Holes in images filled by a trained run.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.completing import Completes
from saddlepoint.verbs.translating import check_written, jobs_of, read_image, why_unread, write_image
from saddlepoint.verbs.using import load


def inpaint(
    run: str | Path, source: str | Path, out: str | Path, *, mask: str | Path | None = None, sheet: bool = False, checkpoint: str = "last"
) -> list[Path]:
    """Fill holes in images of any size; what is known stays as it is, to the bit.

    The network sees the image at the size it was trained at, and what it fills in is brought to the image's own size.

    Args:
        run: the run folder.
        source: an image file, a folder of them, or "-" for one image on the standard input.
        out: the file to write for one image, or the folder to write a file of the same name into for each; "-" for the standard output.
        mask: image of the same size, white where the image is to be filled; None: the middle, as in training.
        sheet: write the image with its hole, and filled, side by side.
        checkpoint: "last", "best" or a round.
    Returns:
        The files written.
    Raises:
        UsageError: if the run cannot fill holes, or not there.
        DataError: for a file that is no image, or a mask of another size than the image.
    """
    game, opened = load(run, checkpoint=checkpoint)
    if not isinstance(game, Completes):
        raise UsageError(f"A run of {opened.about['recipe']} fills no holes. Train a recipe that does: context-encoder.")
    jobs = jobs_of(source, out)
    check_written(jobs)
    written = []
    for name, stream, target in jobs:
        x = read_image(name, stream, opened.about["data"]["shape"][0], game)
        hole = _hole(mask, name, x, game)
        emptied = torch.where(hole > 0, torch.zeros_like(x), x)
        write_image(emptied, completed(game, x, hole), target, sheet=sheet)
        written.append(target)
    return written


@torch.no_grad()
def completed(game: Any, x: Tensor, hole: Tensor) -> Tensor:
    """Images of any size, filled.

    Args:
        game: one that fills holes, in evaluation mode.
        x: float [n, c, h, w] in [-1, 1].
        hole: [n, 1, h, w], 1 where they are to be filled.
    Returns:
        Float [n, c, h, w] in [-1, 1], as x where nothing is to be filled.
    Raises:
        UsageError: if the hole reaches beyond what the game fills.
    """
    size = tuple(x.shape[2:])
    if size == tuple(game.size):
        return torch.where(hole > 0, game.complete(x, hole), x)
    _inside(game, hole)
    small = F.interpolate(x, game.size, mode="bilinear", antialias=True, align_corners=False)
    covered = (
        F.interpolate(hole, game.size, mode="bilinear", antialias=True, align_corners=False) > 1e-3
    )  # a pixel with a part of the hole is unknown
    window = torch.zeros_like(covered)
    top, left, bottom, right = (round(share * side) for share, side in zip(game.window, (*game.size, *game.size), strict=True))
    window[:, :, top:bottom, left:right] = True
    filled = game.complete(small, (covered & window).to(x.dtype))
    return torch.where(hole > 0, F.interpolate(filled, size, mode="bicubic", align_corners=False).clamp(-1, 1), x)


def _inside(game: Any, hole: Tensor) -> None:
    """Refuse a hole that reaches beyond what can be filled."""
    h, w = hole.shape[2:]
    top, left, bottom, right = _window(game, h, w)
    outside = hole.clone()
    outside[:, :, top:bottom, left:right] = 0
    if outside.any():
        raise UsageError(
            f"This run fills rows {top} to {bottom - 1} and columns {left} to {right - 1} of an image of {w}x{h} pixels; the mask reaches beyond. "
            "Draw a smaller one, or train with --region random."
        )


def _window(game: Any, h: int, w: int) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what can be filled, in pixels of an image of this size."""
    top, left, bottom, right = game.window
    return round(top * h), round(left * w), round(bottom * h), round(right * w)


def _hole(mask: str | Path | None, name: str, x: Tensor, game: Any) -> Tensor:
    """What is to be filled, [1, 1, h, w] of 0 and 1."""
    h, w = x.shape[2:]
    hole = x.new_zeros(1, 1, h, w)
    if mask is None:
        top, left, bottom, right = _window(game, h, w)
        if (top, left, bottom, right) == (0, 0, h, w):
            raise UsageError("This run fills holes anywhere, so it must be told where: --mask FILE, white where the image is to be filled.")
        hole[:, :, top:bottom, left:right] = 1
        return hole
    path = Path(mask).expanduser()
    if not path.is_file():
        raise DataError(f"There is no mask {path}. Check the path.")
    try:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L"))
    except Exception as error:  # a damaged file may make any decoder raise anything
        raise DataError(f"The mask {path} cannot be read as an image: {why_unread(error)}. Draw it in black and white.") from error
    if values.shape != (h, w):
        raise DataError(f"The mask {path} has {values.shape[1]}x{values.shape[0]} pixels, {name} {w}x{h}. Draw one of the same size.")
    if not (values > 127).any():
        raise DataError(f"The mask {path} has no white pixel, so nothing is to be filled. Draw what is missing in white.")
    hole[0, 0] = torch.from_numpy((values > 127).astype(np.float32)).to(hole)
    return hole
