"""The pictures of a study's arms, from data by name or path and from runs, at one size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError, UsageError

Sample = Callable[[str, int, int], Tensor]  # run folder, how many, seed -> uint8 [n, c, h, w]
NamedImages = tuple[str, Tensor, dict[str, Any]]


def gather_arms(
    sources: Sequence[str], *, num: int, sample: Sample, resolution: int | None = None, ordered: bool = False, seed: int = 0, root: Path | None = None
) -> list[NamedImages]:
    """Open every arm.

    Args:
        sources: run folders, folders of images, array files or names of data; "NAME=SOURCE" names the arm, otherwise it is called after its source.
        num: pictures an arm at most.
        sample: draws from a run.
        resolution: side in pixels; None means that of the last arm, which is a generated one.
        ordered: the first pictures in their own order, as matched arms need; otherwise chosen by the seed.
        seed: of samples and choices.
        root: where downloaded data sets are.
    Returns:
        (name, uint8 [n, c, side, side], where they came from), c equal for all.
    """
    if num < 1:
        raise UsageError(f"An arm needs at least one picture; num is {num}.")
    arms: list[NamedImages] = []
    for text in reversed(sources):  # a generated arm first: it sets the size
        given, name = _split(text)
        images, source = (_from_run if (Path(given) / "run.json").exists() else _from_data)(given, num, sample, resolution, ordered, seed, root)
        resolution = images.shape[-1] if resolution is None else resolution
        arms.insert(0, (name, images, source | {"seed": seed}))
    channels = max(images.shape[1] for _, images, _ in arms)
    return [(name, images.expand(-1, channels, -1, -1) if images.shape[1] == 1 else images, source) for name, images, source in arms]


def _split(text: str) -> tuple[str, str]:
    """Source and name of an arm.

    >>> _split("ours=runs/dcgan"), _split("runs/dcgan/"), _split("emoji:test")
    (('runs/dcgan', 'ours'), ('runs/dcgan/', 'dcgan'), ('emoji:test', 'emoji:test'))
    """
    name, equals, source = text.partition("=")
    if equals and name and source and not Path(text).exists():
        return source, name
    return text, Path(text).name


def _from_run(
    given: str, num: int, sample: Sample, resolution: int | None, ordered: bool, seed: int, root: Path | None
) -> tuple[Tensor, dict[str, Any]]:
    images = sample(given, num, seed)
    if images.ndim != 4:
        raise UsageError(f"A study shows pictures; the run {given} makes points.")
    side = images.shape[-1]
    if resolution is not None and side != resolution:
        small = torch.nn.functional.interpolate(images.float(), (resolution, resolution), mode="bilinear", antialias=True)
        images = small.round().clamp(0, 255).to(torch.uint8)
    return images, {"run": given, "resized_from": None if resolution in (None, side) else side}


def _from_data(
    given: str, num: int, sample: Sample, resolution: int | None, ordered: bool, seed: int, root: Path | None
) -> tuple[Tensor, dict[str, Any]]:
    data = open_data(given, resolution=resolution, root=root)
    if data.spec.kind != "image":
        raise DataError(f"A study shows pictures; {given} holds points.")
    count = min(num, len(data))
    order = np.arange(len(data)) if ordered else np.random.default_rng(derive_seed("arm", given, seed)).permutation(len(data))
    images = data.records(torch.from_numpy(order[:count].astype(np.int64)))["image"]
    return images, {"data": data.spec.name, "content_hash": data.spec.content_hash, "chosen": f"{count} of {len(data)}"}
