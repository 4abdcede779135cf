"""Videos translated frame by frame, by PyAV (the extra ``video``)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saddlepoint.errors import DataError, UsageError
from saddlepoint.training.storage import refusals

FILMS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
CODECS = {".webm": "libvpx-vp9"}  # others: H.264
QUALITY = {"crf": "18"}  # of H.264, nearly without loss


def is_film(source: str | Path) -> bool:
    """Whether a source is a video file."""
    path = Path(source).expanduser()
    return path.suffix.lower() in FILMS and path.is_file()


def change_film(source: Path, target: Path, change: Callable[[Image.Image], Image.Image]) -> Path:
    """Write a video with every frame changed, at its time, and the sound as it was; one frame is in memory at a time.

    Args:
        source: a video file.
        target: the file to write; there only when it is whole.
        change: a frame, RGB -> a frame; all of one size.
    Raises:
        UsageError: for a target that is no video file, or without PyAV.
        DataError: for a file that is no video, or sound that the target cannot hold.
    """
    if target.suffix.lower() not in FILMS:
        raise UsageError(f"A video is written as {', '.join(FILMS)}; {target} is none. Choose another OUT.")
    av = _pyav(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        with av.open(str(source)) as given:
            if not given.streams.video:
                raise DataError(f"{source} has no pictures, only sound. Give a video.")
            with av.open(str(part), "w") as made:
                _copy(given, made, change, CODECS.get(target.suffix.lower(), "libx264"), source, target)
        with refusals(target):
            os.replace(part, target)
    except av.error.FFmpegError as error:
        raise DataError(f"{source} cannot be read as a video: {error}. Convert it.") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _pyav(source: Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise UsageError(f"{source.name} needs PyAV, which cannot be imported ({error}). Install it: pip install 'saddlepoint[video]'.") from error
    return av


def _copy(given: Any, made: Any, change: Callable[[Image.Image], Image.Image], codec: str, source: Path, target: Path) -> None:
    """Every packet of the first video and the first sound; the streams are made when the size of the frames is known."""
    video, sound = given.streams.video[0], next(iter(given.streams.audio), None)
    pictures: Any = None
    voice: Any = None
    waiting: list[Any] = []
    for packet in given.demux(*([video] if sound is None else [video, sound])):
        if packet.stream is not video:
            if packet.dts is not None:
                waiting.append(packet)
        else:
            for frame in packet.decode():
                changed = change(frame.to_image())
                if pictures is None:
                    pictures = _pictures(made, video, codec, changed)
                    voice = None if sound is None else _voice(made, sound, source, target)
                made.mux(pictures.encode(_frame(changed, frame)))
        if pictures is not None:
            for each in waiting:
                each.stream = voice
                made.mux(each)
            waiting.clear()
    if pictures is None:
        raise DataError(f"{source} has no frame that can be read. Convert it.")
    made.mux(pictures.encode())


def _pictures(made: Any, video: Any, codec: str, first: Image.Image) -> Any:
    """The stream of frames: colours at half the size where the sides are even."""
    stream = made.add_stream(codec, rate=video.average_rate or 25, options=QUALITY if codec == "libx264" else {})
    stream.width, stream.height = first.size
    stream.pix_fmt = "yuv420p" if first.width % 2 == first.height % 2 == 0 else "yuv444p"
    stream.codec_context.time_base = video.time_base
    return stream


def _voice(made: Any, sound: Any, source: Path, target: Path) -> Any:
    """The stream of sound, as it was."""
    try:
        return made.add_stream_from_template(sound)
    except ValueError as error:
        name = sound.codec_context.name
        raise DataError(f"The sound of {source} ({name}) does not go into {target.suffix}. Choose another OUT: {target.stem}.mkv.") from error


def _frame(image: Image.Image, before: Any) -> Any:
    """A picture at the time of the one it was made of."""
    frame = type(before).from_ndarray(np.asarray(image.convert("RGB")), format="rgb24")
    frame.pts, frame.time_base = before.pts, before.time_base
    return frame
