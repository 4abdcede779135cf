"""A user's segmenter: the class of each pixel, and an extractor whose features are the shares of an image's area that each class takes.

Axes: n images, c channels, h w pixels, k classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.extractors import Extractor, Outputs, as_input, find_own


@dataclass(frozen=True, kw_only=True)
class Segmenter:
    """What gives each pixel a class.

    Attributes:
        areas: the extractor of class areas, [n, k].
        classes: names, one a class.
        segment: images uint8 [n, c, h, w] -> labels int64 [n, h', w'] in 0..k-1, on its device.
        colours: of the classes in pictures of label maps, uint8 [k, 3]; None where it says none.
    """

    areas: Extractor
    classes: tuple[str, ...]
    segment: Callable[[Tensor], Tensor]
    colours: Tensor | None = None


def open_segmenter(name: str, *, device: torch.device | str = "cpu") -> Segmenter:
    """A segmenter of the user's, ready to use.

    Args:
        name: ``module:attribute``: a network or function of images float [n, c, h, w] in [-1, 1] that gives scores [n, k, h, w], or labels
            [n, h, w] where it says the number of classes in ``num_classes``. It may name them in ``classes``, say in ``preprocessing`` what it
            does to images first, and in ``colours`` (k triples in 0..255) how they are painted in pictures of label maps.
        device: where it computes.
    """
    if ":" not in name:
        raise UsageError(f"A segmenter is your own network or function, written module:attribute; {name!r} came.")
    own, digest = find_own(name, "segmenter", device=device)
    names: Any = getattr(own, "classes", None)
    given = getattr(own, "num_classes", None) if names is None else len(names)
    if given is None:
        with torch.no_grad():
            probe = torch.as_tensor(own(as_input(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), device)))
        if probe.ndim != 4:
            raise UsageError(f"The segmenter {name} gives labels, so it must say how many classes there are in its attribute num_classes.")
        given = probe.shape[1]
    num_classes = int(given)

    def segment(images: Tensor) -> Tensor:
        found = torch.as_tensor(own(as_input(images, device)))
        labels = found.argmax(1) if found.ndim == 4 else found
        wrong = labels.ndim != 3 or len(labels) != len(images) or labels.is_floating_point()
        if wrong or (found.ndim == 4 and found.shape[1] != num_classes) or not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
            wanted = f"scores [n, {num_classes}, h, w] or integer labels [n, h, w] in 0..{num_classes - 1}"
            raise UsageError(f"The segmenter {name} must give {wanted}; {found.dtype} {list(found.shape)} came for {len(images)} images.")
        return labels.long()

    def look(images: Tensor) -> Outputs:
        flat = segment(images).flatten(1)  # n hw
        areas = torch.zeros(len(flat), num_classes, dtype=torch.float64, device=flat.device)
        areas.scatter_add_(1, flat, torch.ones(flat.shape, dtype=areas.dtype, device=flat.device))
        return {"features": areas / flat.shape[1]}

    words = str(getattr(own, "preprocessing", "float in [-1, 1], own size"))
    areas = Extractor(name=name, weights_hash=digest, dimension=num_classes, preprocessing=f"{words}; class areas", look=look, batch=32)
    return Segmenter(areas=areas, classes=tuple(map(str, names or range(num_classes))), segment=segment, colours=_colours(own, name, num_classes))


def _colours(own: object, name: str, num_classes: int) -> Tensor | None:
    """What a segmenter says of its classes' colours, checked."""
    said = getattr(own, "colours", None)
    if said is None:
        return None
    colours = torch.as_tensor(said)
    if colours.shape != (num_classes, 3) or colours.is_floating_point() or int(colours.min()) < 0 or int(colours.max()) > 255:
        raise UsageError(f"The colours of the segmenter {name} are {num_classes} triples of whole numbers in 0..255; {list(colours.shape)} came.")
    return colours.to(torch.uint8)
