"""Clips of moving pictures: ``video:PATH?frames=16&step=16&every=1``.

PATH is a video file, a folder of them, a folder of frames, or a folder of such folders; sub-folders of several are classes. A clip is ``frames``
pictures, of which every ``every``-th is taken; the next begins ``step`` taken pictures later. Animated GIF, WebP and PNG files and folders of frames
are read by Pillow, all else by PyAV (the extra ``video``).

Axes: n clips, t frames, c channels, h w image.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageSequence
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.folder import IMAGE_SUFFIXES
from saddlepoint.data.images import Pixels, Resolution, check_request, fitted, on_white, upright
from saddlepoint.data.options import read_options
from saddlepoint.data.recordings import Cut, find_recordings, in_order, open_recordings
from saddlepoint.data.registry import Request
from saddlepoint.data.windows import Windows
from saddlepoint.errors import DataError, UsageError

ANIMATED = frozenset((".gif", ".webp", ".apng"))
SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv", ".ts")) | ANIMATED
FRAMES = IMAGE_SUFFIXES - ANIMATED
DEFAULTS = {"frames": 16, "step": 0, "every": 1}


def open_video(place: str, request: Request) -> ArrayDataset:
    """The clips of videos, see the module.

    Returns:
        Records with "frames", uint8 [t, c, h, w], "image", the first of them, and "label" where sub-folders are classes.
    Raises:
        DataError: videos without frames, too short, damaged, or of different sizes where no resolution is asked for.
        UsageError: for options that there are not, or where PyAV is needed and not there.
    """
    check_request(request.resolution, request.channels)
    path, options = read_options(place, DEFAULTS)
    frames, every = int(options["frames"]), int(options["every"])
    channels = request.channels or 3
    root = Path(path).expanduser()

    def read(recording: Path) -> Iterator[Pixels]:
        pictures = itertools.islice(_pictures(recording), 0, None, every)
        yield from (_pixels(picture, request.resolution, channels) for picture in pictures)

    def fields(pictures: Tensor, starts: Tensor) -> dict[str, Windows]:
        size = tuple(pictures.shape[1:])
        return {"image": Windows(pictures, starts, 1, size, lambda found: found[:, 0]), "frames": Windows(pictures, starts, frames, (frames, *size))}

    cut = Cut(
        kind="image",
        noun="video",
        num_parts=frames,
        step=int(options["step"]) or frames,
        fields=fields,
        short=f"{frames} frames" + (f", every {every} taken" if every > 1 else ""),
        asked={"video": every, "resolution": request.resolution, "channels": channels},
    )
    return open_recordings(request.name, root, find_recordings(root, SUFFIXES, FRAMES), read, cut)


def _pixels(picture: Image.Image, resolution: Resolution | None, channels: int) -> Pixels:
    if resolution is None and picture.width != picture.height:
        raise DataError(
            f"Videos here are of {picture.width}x{picture.height} pixels, not square. Say to what they are to be cropped and resized: "
            "--resolution 64, or --resolution 48 64 (height and width)."
        )
    return fitted(picture.convert("RGB" if channels == 3 else "L"), resolution)


def _pictures(path: Path) -> Iterator[Image.Image]:
    """The frames of a recording, in order, upright and opaque."""
    if path.is_dir():
        for file in sorted((file for file in path.iterdir() if file.suffix.lower() in FRAMES), key=in_order):
            yield upright(file, 3)
    elif path.suffix.lower() in ANIMATED:
        with Image.open(path) as animation:
            for frame in ImageSequence.Iterator(animation):
                yield on_white(frame.convert("RGBA"))
    else:
        yield from _decoded(path)


def _decoded(path: Path) -> Iterator[Image.Image]:
    try:
        import av
    except ImportError as error:
        raise UsageError(f"{path.name} needs PyAV, which cannot be imported ({error}). Install it: pip install 'saddlepoint[video]'.") from error
    with av.open(str(path)) as file:
        if not file.streams.video:
            raise ValueError("it has no pictures, only sound")
        stream: Any = file.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in file.decode(stream):
            yield frame.to_image()
