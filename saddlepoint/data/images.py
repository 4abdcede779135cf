"""Pixels in, pixels out: one decoded file, or a batch of arrays, brought to the size and the channels that were asked for.

Axes: n images, c channels, h w image.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from saddlepoint.errors import DataError, UsageError

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
SIXTEEN_BIT_I = ("PNG", "PPM")  # formats whose 16-bit levels Pillow gives in 32-bit integers
UNREAD_SUFFIXES = frozenset(
    (".heic", ".heif", ".jxl", ".svg", ".psd", ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2")
)
MOVING = ("GIF", "WEBP", "PNG", "TIFF")
EXIF_ORIENTATION = 0x0112
CHUNK = 1024
AT_ONCE = 16  # items that a worker takes at once

Pixels = NDArray[np.uint8]
Item = TypeVar("Item")
Result = TypeVar("Result")
Resolution = int | tuple[int, int]  # side of a square, or height and width


def size_of(resolution: Resolution) -> tuple[int, int]:
    """Height and width.

    >>> size_of(32), size_of((32, 48))
    ((32, 32), (32, 48))
    """
    return (resolution, resolution) if isinstance(resolution, int) else (resolution[0], resolution[1])


def resolution_of(shape: Sequence[int]) -> Resolution:
    """The resolution of images of shape [..., h, w].

    >>> resolution_of((3, 32, 32)), resolution_of((3, 32, 48))
    (32, (32, 48))
    """
    height, width = shape[-2:]
    return height if height == width else (height, width)


@dataclass(frozen=True)
class Header:
    """What a file says of its image before the pixels are decoded.

    Attributes:
        width, height: in pixels, as stored (an EXIF rotation may exchange them).
        grey: whether it is stored with one channel.
        alpha: whether it is stored with transparency.
        moving: whether it has several frames.
    """

    width: int
    height: int
    grey: bool
    alpha: bool
    moving: bool = False


def check_request(resolution: Resolution | None, channels: int | None) -> None:
    """Refuse a resolution or a number of channels that no image can have."""
    if resolution is not None and min(size_of(resolution)) < 1:
        raise UsageError(f"The resolution is a number of pixels, or a height and a width, each at least 1; {resolution} was given.")
    if channels not in (None, 1, 3):
        raise UsageError(f"Images are read with 1 channel (grey) or 3 (RGB); {channels} was asked for.")


def read_header(path: Path | IO[bytes]) -> Header:
    """Open an image file without decoding it. Raises whatever Pillow raises for a file that is no image."""
    with Image.open(path) as image:
        grey, alpha = image.mode in GREY_MODES, has_alpha(image)  # of the first frame
        return Header(image.width, image.height, grey=grey, alpha=alpha, moving=_moves(image))


def left_out(root: Path, others: Mapping[str, int]) -> tuple[str, ...]:
    """What is told of pictures in a folder that cannot be read here.

    Args:
        root: the folder.
        others: how many files of each suffix are not read.

    >>> left_out(Path("photos"), {".txt": 1, ".heic": 2})
    ('Left out of photos: 2 .heic, which cannot be read. Convert them to .jpg or .png.',)
    """
    held = [f"{count} {suffix}" for suffix, count in others.items() if suffix in UNREAD_SUFFIXES]
    return (f"Left out of {root}: {', '.join(held)}, which cannot be read. Convert them to .jpg or .png.",) if held else ()


def _moves(image: Image.Image) -> bool:
    """Whether an image of a format for animations has several frames; what is damaged behind the first does not matter here."""
    with contextlib.suppress(Exception):
        return image.format in MOVING and bool(getattr(image, "is_animated", False))
    return False


def decode(path: Path | IO[bytes], resolution: Resolution | None, channels: int) -> Pixels:
    """One file as uint8 [c, h, w]: upright, on white, its largest centred square (or rectangle of the shape asked for), resized with antialiasing.

    Args:
        path: an image file, or its open bytes; of an animation the first frame is taken.
        resolution: side, or height and width; None keeps the square as it is.
        channels: c, 1 or 3.

    Raises:
        ValueError: pixels of 32 bits, whose white nobody can know.
        Exception: whatever Pillow raises for damaged files.
    """
    return fitted(upright(path, channels), resolution)


def upright(path: Path | IO[bytes], channels: int) -> Image.Image:
    """One file as an "L" or "RGB" picture: upright, on white. Raises as :func:`decode`."""
    with Image.open(path) as opened:
        opened.load()
        image = eight_bits(opened)
        image = on_white(image) if has_alpha(image) else image
        if opened.getexif().get(EXIF_ORIENTATION, 1) != 1:
            image.info |= {key: opened.info[key] for key in ("exif",) if key in opened.info}
            image = ImageOps.exif_transpose(image)
        image = image if image.mode in ("L", "RGB") else image.convert("RGB")
        return image.convert("RGB" if channels == 3 else "L")


def fitted(image: Image.Image, resolution: Resolution | None) -> Pixels:
    """The largest centred part of a picture that has the shape asked for, as uint8 [c, h, w], resized with antialiasing; None: a square as it is."""
    height, width = size_of(resolution or 1)
    scale = min(image.width / width, image.height / height)
    inside = round(width * scale), round(height * scale)
    left, top = (image.width - inside[0]) // 2, (image.height - inside[1]) // 2
    image = image.crop((left, top, left + inside[0], top + inside[1]))
    if resolution is not None and (width, height) != inside:
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))  # h w [c] -> c h w


def has_alpha(image: Image.Image) -> bool:
    """Whether an image is transparent anywhere, or says that it may be."""
    return image.mode in ALPHA_MODES or "transparency" in image.info


def eight_bits(image: Image.Image) -> Image.Image:
    """The image itself, or its 16-bit grey levels times 255 / 65535, rounded: 16-bit white becomes 8-bit white."""
    if image.mode not in DEEP_MODES:
        return image
    if image.mode == "F" or (image.mode == "I" and image.format not in SIXTEEN_BIT_I):
        raise ValueError(f"pixels of 32 bits (mode {image.mode}) have no agreed white; save the image with 8 or 16 bits")
    return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))


def on_white(image: Image.Image) -> Image.Image:
    """Composite a transparent image on a white ground; grey stays grey."""
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("L" if image.mode in GREY_MODES else "RGB")


def with_channels(images: Tensor, channels: int | None) -> Tensor:
    """Grey to RGB by repetition, RGB to grey by ITU-R 601 luma (rounded); None and the present number change nothing.

    Args:
        images: uint8 [n, c, h, w], c 1 or 3.

    >>> with_channels(torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1), 1).item()     # 0.299 * 255
    76
    """
    present = images.shape[1]
    if channels is None or channels == present:
        return images
    if present not in (1, 3) or images.dtype != torch.uint8:
        raise UsageError(f"Only grey and RGB images of 8 bits can change their channels; these have {present} of {images.dtype}. Leave channels out.")
    if channels == 3:
        return images.expand(-1, 3, -1, -1).contiguous()
    luma = torch.tensor([299, 587, 114], dtype=torch.int32).view(1, 3, 1, 1)
    return torch.cat(
        [
            ((part.to(torch.int32) * luma).sum(1, keepdim=True) + 500).div(1000, rounding_mode="floor").to(torch.uint8)
            for part in torch.split(images, CHUNK)
        ]
    )


def resized(images: Tensor, resolution: Resolution | None, *, pad: bool = False) -> Tensor:
    """Images at another resolution, antialiased (Lanczos); the largest centred part that has its shape.

    Args:
        images: uint8 or float32 [n, c, h, w].
        resolution: None or the images' own: nothing is done.
        pad: images on a black ground (MNIST and its kin): 28 becomes 32 by two black pixels all around, as is the custom, and stays sharp.
    Returns:
        [n, c, *resolution], of the same type; floats stay in [-1, 1].
    """
    own = tuple(images.shape[-2:])
    if resolution is None or size_of(resolution) == own:
        return images
    if pad and (own, resolution) == ((28, 28), 32):
        return torch.nn.functional.pad(images, (2, 2, 2, 2))
    source = images.numpy()
    lowest, highest = (0, 255) if source.dtype == np.uint8 else (-1, 1)
    target = np.empty((*source.shape[:2], *size_of(resolution)), source.dtype)

    def resize(i: int) -> None:
        for plane in range(source.shape[1]):
            target[i, plane] = fitted(Image.fromarray(source[i, plane]), resolution)[0].clip(lowest, highest)

    with pool() as workers:
        for part in batched(range(len(source)), CHUNK):
            list(workers.map(resize, part))
    return torch.from_numpy(target)


def check_square(images: Tensor, name: str, resolution: Resolution | None) -> None:
    """Refuse images that are not square where no size was asked for: networks for them are few, so it is to be said."""
    height, width = images.shape[-2:]
    if height != width and resolution is None:
        raise DataError(
            f"{name} holds images of {width}x{height} pixels, not square. Say what they are to be: --resolution {height} {width} (height and width) "
            f"keeps them, --resolution {min(height, width)} crops them."
        )


def batched(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Consecutive pieces of ``size`` items."""
    return (items[start : start + size] for start in range(0, len(items), size))


def in_order(change: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What ``change`` makes of each item, in their order, on all cores; only a few pieces are ahead, so that memory stays flat.

    >>> list(in_order(lambda n: n * n, range(5)))
    [0, 1, 4, 9, 16]
    """
    source, ahead = iter(items), deque[Future[list[Result]]]()

    def change_all(piece: Sequence[Item]) -> list[Result]:
        return [change(item) for item in piece]

    with pool() as workers:
        try:
            while True:
                piece = [*itertools.islice(source, AT_ONCE)]
                if piece:
                    ahead.append(workers.submit(change_all, piece))
                if not ahead:
                    return
                if not piece or len(ahead) > 2 * (os.cpu_count() or 1):
                    yield from ahead.popleft().result()
        finally:
            for each in ahead:
                each.cancel()


def pool() -> ThreadPoolExecutor:
    """As many threads as cores: Pillow lets go of the interpreter while it decodes and resizes."""
    return ThreadPoolExecutor(max_workers=os.cpu_count())
