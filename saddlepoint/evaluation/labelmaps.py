"""Label maps that images were made from: files with the images' names, or the pictures that a translation was given.

A file is a picture of one channel (or with a palette) whose numbers are classes, or a picture in the colours that the segmenter names for its
classes. 255 stands for pixels that are not judged.

Axes: n images, h w pixels, k classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from saddlepoint.errors import DataError, UsageError
from saddlepoint.evaluation.segmenters import Segmenter
from saddlepoint.evaluation.sets import SampleSet

VOID = -1  # a pixel that is not judged
SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff", ".npy")  # a lossy format would invent classes
_PIXELS = 65536  # whose colours are compared at a time

Map = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LabelMaps:
    """The label map of each image of a set.

    Attributes:
        name: where they come from, for the protocol.
        digest: SHA-256 of their files, hexadecimal; "" where they come with the samples.
        of: samples, start, stop -> label maps [h, w] of these, in 0..k-1 or VOID; start is a multiple of CHUNK_ROWS.
        missing: samples -> the name of the first that has none; None where all have one.
    """

    name: str
    digest: str
    of: Callable[[SampleSet, int, int], list[Map]]
    missing: Callable[[SampleSet], str | None]


def maps_of_files(place: str, segmenter: Segmenter) -> LabelMaps:
    """Label maps in a folder, searched in sub-folders too: the names are those of the images, their endings aside.

    Args:
        place: the folder.
        segmenter: whose classes they are of.
    Raises:
        DataError: if there is no such folder, or no label map in it.
    """
    root = Path(place).expanduser()
    files = {_stem(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.suffix.lower() in SUFFIXES} if root.is_dir() else {}
    if not files:
        raise DataError(f"There is no label map in {place}. Name a folder of {', '.join(SUFFIXES)} files, one an image, with the images' names.")
    digest = hashlib.sha256()
    for stem, path in files.items():
        digest.update(stem.encode() + hashlib.sha256(path.read_bytes()).digest())

    def missing(samples: SampleSet) -> str | None:
        if samples.name_of is None:
            return f"number 0 of {samples.name}, whose images have no names"
        names = (samples.name_of(index) for index in range(samples.num))
        return next((name for name in names if _stem(Path(name)) not in files), None)

    def of(samples: SampleSet, start: int, stop: int) -> list[Map]:
        assert samples.name_of is not None
        return [_read(files[_stem(Path(samples.name_of(index)))], segmenter) for index in range(start, stop)]

    return LabelMaps(name=place, digest=digest.hexdigest(), of=of, missing=missing)


def maps_of_given(segmenter: Segmenter, samples: SampleSet) -> LabelMaps | None:
    """The pictures that samples were made from, read as label maps by the segmenter's colours; None without either."""
    colours = segmenter.colours
    if colours is None or samples.given is None:
        return None

    def missing(samples: SampleSet) -> str | None:
        return None if samples.given is not None else f"number 0 of {samples.name}, whose images were made from no other"

    def of(samples: SampleSet, start: int, stop: int) -> list[Map]:
        assert samples.given is not None
        return [nearest_colours(picture, colours) for picture in samples.given(start, stop)]

    return LabelMaps(name="the given pictures, by the segmenter's colours", digest="", of=of, missing=missing)


def nearest_colours(picture: Tensor, colours: Tensor) -> Map:
    """The class whose colour is nearest to each pixel's, [h, w].

    Args:
        picture: uint8 [c, h, w], c of 1 or 3.
        colours: uint8 [k, 3].

    >>> nearest_colours(torch.tensor([[[0, 250, 9]]], dtype=torch.uint8), torch.tensor([[0, 0, 0], [255, 255, 255]], dtype=torch.uint8)).tolist()
    [[0, 1, 0]]
    """
    pixels = picture.expand(3, -1, -1).flatten(1).T.float()  # hw 3
    found = torch.cat([torch.cdist(part, colours.float()).argmin(1) for part in torch.split(pixels, _PIXELS)])
    return np.asarray(found.view(picture.shape[1:]).numpy())


def _stem(path: Path) -> str:
    return str(PurePosixPath(path.as_posix()).with_suffix(""))


def _read(path: Path, segmenter: Segmenter) -> Map:
    try:
        array = np.load(path, allow_pickle=False) if path.suffix.lower() == ".npy" else _decoded(path)
    except (OSError, ValueError, UnidentifiedImageError) as error:
        raise DataError(f"The label map {path} cannot be read: {error}. Repair it.") from None
    if array.ndim == 3 and segmenter.colours is not None:
        return nearest_colours(torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1))), segmenter.colours)
    if array.ndim != 2 or array.dtype.kind not in "iub":
        came = "it is a picture in colours" if array.ndim == 3 else f"it holds {array.dtype} of shape {list(array.shape)}"
        raise UsageError(f"A label map has one class a pixel; {path}: {came}. Write classes as numbers, or name `colours` in the segmenter.")
    labels = array.astype(np.int64)
    k = len(segmenter.classes)
    labels[(labels < 0) | ((labels == 255) & (k <= 255))] = VOID
    if labels.max(initial=VOID) >= k:
        raise UsageError(f"{path} has the class {labels.max()}; the segmenter knows 0 to {k - 1}, and 255 is for pixels that are not judged.")
    return labels


def _decoded(path: Path) -> NDArray[np.generic]:
    """Numbers [h, w] of one channel or of a palette's places; colours [h, w, 3] of any other picture."""
    with Image.open(path) as image:
        return np.asarray(image if image.mode in ("1", "L", "P", "I", "I;16") else image.convert("RGB"))
