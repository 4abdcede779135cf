"""Images made of other images by a trained run: a file, a folder, the standard input, or a video.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from saddlepoint.data.folder import IMAGE_SUFFIXES
from saddlepoint.data.images import upright
from saddlepoint.data.records import to_device
from saddlepoint.draws import Draws, use
from saddlepoint.errors import DataError, UsageError
from saddlepoint.evaluation.grid import image_grid, to_uint8
from saddlepoint.games.game import Game
from saddlepoint.games.translating import Translates
from saddlepoint.training.storage import write_bytes
from saddlepoint.verbs.films import change_film, is_film
from saddlepoint.verbs.using import load

TILE, OVERLAP = 512, 64  # pixels: sides of a piece, and what neighbours share
SMALLEST = 16  # pixels of a side that any network takes
WRITTEN = (".png", ".jpg", ".jpeg", ".webp")


def translate(
    run: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    targets: Mapping[str, Any] | None = None,
    sheet: bool = False,
    tile: int = TILE,
    seed: int = 0,
    checkpoint: str = "last",
) -> list[Path]:
    """Translate images of any size; each comes out at the size it had, or larger where the run makes images larger.

    Sides that the network cannot take are mirrored beyond their border up to the next it can, and cut again. An image with a side of more than
    ``tile`` pixels is translated in pieces that share a margin, in which one fades into the other.

    Args:
        run: the run folder.
        source: an image file, a folder of them (searched in sub-folders too), "-" for one image on the standard input, or a video file.
        out: the file to write for one image, or the folder to write a file of the same name into for each; "-" for the standard output.
        targets: what a translation is of, where the run knows several: {"back": True} for CycleGAN's way back, {"set": {"hat": True}} for StarGAN.
        sheet: write input and output side by side.
        tile: side of a piece, in pixels.
        seed: of the noise, where the network has any (pix2pix). Every image is given the same.
        checkpoint: "last", "best" or a round.
    Returns:
        The files written.
    Raises:
        UsageError: if the run cannot translate, or for a file that cannot be written in its format.
        DataError: for a file that is no image, by name.
    """
    game, opened = load(run, checkpoint=checkpoint)
    if not isinstance(game, Translates):
        raise UsageError(
            f"A run of {opened.about['recipe']} makes no image of another. Train a recipe that does: pix2pix, cyclegan, discogan, stargan, srgan."
        )
    if tile < 2 * OVERLAP:
        raise UsageError(f"Pieces need {2 * OVERLAP} pixels or more; tile is {tile}.")
    data, wanted = opened.about["data"], dict(targets or {})
    settable = getattr(game, "settable", ())
    if settable and not wanted.get("set"):
        raise UsageError(
            f"This run translates between domains; say which are wanted: --set {settable[0]}=on, for example. It knows {', '.join(settable)}."
        )
    channels = (data["shapes"]["other"] if wanted.get("back") and "other" in data["shapes"] else data["shape"])[0]
    written: list[Path] = []
    if is_film(source):

        def changed(frame: Image.Image) -> Image.Image:
            x = as_tensor(np.array(frame.convert("L" if channels == 1 else "RGB")), game)
            return picture(x, translated(game, x, wanted, tile=tile, seed=seed), sheet=sheet)

        place, target = Path(source).expanduser(), Path(out).expanduser()
        return [change_film(place, target / place.name if target.is_dir() or not target.suffix else target, changed)]
    jobs = jobs_of(source, out)
    check_written(jobs)
    for name, stream, target in jobs:
        x = read_image(name, stream, channels, game)
        y = translated(game, x, wanted, tile=tile, seed=seed)
        write_image(x, y, target, sheet=sheet)
        written.append(target)
    return written


@torch.no_grad()
def translated(game: Any, x: Tensor, targets: Mapping[str, Any], *, tile: int = TILE, seed: int = 0) -> Tensor:
    """The translation of images of any size.

    Args:
        game: one that translates, in evaluation mode.
        x: float [n, c, h, w] in [-1, 1].
        targets: as the game knows them.
        tile: side of a piece, in pixels; larger images are translated in pieces.
        seed: of the noise.
    Returns:
        Float [n, c', s h, s w] in [-1, 1], where s is 1, or the factor of a game that makes images larger.
    """
    h, w = x.shape[2:]
    if hasattr(game, "settled"):  # what is decided by the whole image
        targets = game.settled(x, targets)
    scale = getattr(game, "scale", 1)
    tile = max(tile // game.multiple, 1) * game.multiple
    if max(h, w) <= tile:
        with use(Draws.seeded(seed, "translate", device=x.device, dtype=x.dtype)):
            y: Tensor = game.translate(_filled(x, game.multiple), **targets)
        return y[:, :, : scale * h, : scale * w]
    total: Tensor | None = None
    weights = x.new_zeros(1, 1, scale * h, scale * w)
    for top in _starts(h, tile):
        for left in _starts(w, tile):
            place = (slice(None), slice(None), slice(top, top + tile), slice(left, left + tile))
            piece = translated(game, x[place], targets, tile=tile, seed=seed)
            share = _fade(*piece.shape[2:], like=x, overlap=scale * OVERLAP)
            total = x.new_zeros(len(x), piece.shape[1], scale * h, scale * w) if total is None else total
            target = (*place[:2], *(slice(scale * side.start, scale * side.stop) for side in place[2:]))
            total[target] += share * piece
            weights[target] += share
    assert total is not None
    return total / weights


def _filled(x: Tensor, multiple: int) -> Tensor:
    """Images mirrored beyond their right and lower border until both sides are multiples."""
    for axis in (2, 3):
        missing = -max(x.shape[axis], SMALLEST) % multiple + max(SMALLEST - x.shape[axis], 0)
        while missing:
            step = min(missing, x.shape[axis] - 1)
            x = F.pad(x, (0, step, 0, 0) if axis == 3 else (0, 0, 0, step), mode="reflect")
            missing -= step
    return x


def _starts(length: int, tile: int) -> list[int]:
    """Where pieces begin that cover a side and share ``OVERLAP`` pixels or more."""
    if length <= tile:
        return [0]
    count = -(-(length - OVERLAP) // (tile - OVERLAP))
    return [round(step * (length - tile) / (count - 1)) for step in range(count)]


def _fade(h: int, w: int, *, like: Tensor, overlap: int = OVERLAP) -> Tensor:
    """Weights of a piece [h, w]: 1 inside, falling towards its borders over the overlap."""
    sides = [torch.arange(side, device=like.device, dtype=like.dtype) for side in (h, w)]
    rows, columns = (torch.minimum(side + 1, len(side) - side).div(overlap).clamp(max=1) for side in sides)
    return rows[:, None] * columns


Job = tuple[str, Path | io.BytesIO, Path]  # name, content and target of an image


def check_written(jobs: Sequence[Job]) -> None:
    """Refuse targets that are no image files, before any work is done."""
    for _, _, target in jobs:
        if str(target) != "-" and target.suffix.lower() not in WRITTEN:
            raise UsageError(f"Images are written as {', '.join(WRITTEN)}; {target} is none. Choose another OUT.")


def jobs_of(source: str | Path, out: str | Path) -> list[Job]:
    """Name, content and target of each image."""
    place, target = Path(source).expanduser(), Path(out).expanduser()
    if str(source) == "-":
        content = sys.stdin.buffer.read()
        if not content:
            raise DataError("The standard input is empty; the bytes of one image are expected there.")
        return [("the standard input", io.BytesIO(content), target)]
    if place.is_file():
        inside = str(out) != "-" and (target.is_dir() or not target.suffix)
        return [(str(place), place, target / f"{place.stem}.png" if inside else target)]
    if not place.exists():
        raise DataError(f"There is no file or folder {place}. Check the path.")
    if target.suffix in WRITTEN or str(out) == "-":
        raise UsageError(f"{place} is a folder, so its translations go into a folder; {out} is none. Name one.")
    paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith("."))
    if not paths:
        raise DataError(f"{place} holds no images. Name a folder with .png, .jpg, .webp or other image files, or a file.")
    stems = Counter(path.with_suffix("") for path in paths)
    names = [path.with_suffix(".png") if stems[path.with_suffix("")] == 1 else path.with_name(f"{path.name}.png") for path in paths]
    return [(str(path), path, target / name.relative_to(place)) for path, name in zip(paths, names, strict=True)]


def read_image(name: str, stream: Path | io.BytesIO, channels: int, game: Game) -> Tensor:
    """One image as float [1, c, h, w]."""
    try:
        pixels = np.array(upright(stream, channels))
    except Exception as error:
        raise DataError(f"{name} cannot be read as an image: {why_unread(error)}. Take it out, or convert it.") from error
    if min(pixels.shape[:2]) < 2:
        raise DataError(f"{name} has {pixels.shape[1]}x{pixels.shape[0]} pixels; sides of 2 or more are needed.")
    return as_tensor(pixels, game)


def why_unread(error: Exception) -> str:
    """Why an image cannot be read, in a few words."""
    return "it is of no known format" if isinstance(error, UnidentifiedImageError) else str(error)


def as_tensor(pixels: NDArray[np.uint8], game: Game) -> Tensor:
    """Pixels uint8 [h, w] or [h, w, c] as float [1, c, h, w] in [-1, 1], where the game is."""
    image = torch.from_numpy(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())[None]  # 1 c h w
    parameter = next(game.parameters())
    return to_device({"image": image}, parameter.device, parameter.dtype).x


def picture(x: Tensor, y: Tensor, *, sheet: bool) -> Image.Image:
    """One translation, or input and output side by side."""
    if sheet and x.shape[2:] != y.shape[2:]:
        x = F.interpolate(x, y.shape[2:], mode="nearest")
    channels = max(x.shape[1], y.shape[1])
    images = [x.expand(-1, channels, -1, -1), y.expand(-1, channels, -1, -1)] if sheet else [y]
    return image_grid(to_uint8(torch.cat(images).float()), columns=2)


def write_image(x: Tensor, y: Tensor, target: Path, *, sheet: bool) -> None:
    """One translation, or input and output side by side, in the format of the file's name."""
    content, kind = io.BytesIO(), {".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}.get(target.suffix.lower(), "png")
    picture(x, y, sheet=sheet).save(content, format=kind, **({"quality": 95} if kind != "png" else {}))
    if str(target) == "-":
        sys.stdout.buffer.write(content.getvalue())
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, content.getvalue())
