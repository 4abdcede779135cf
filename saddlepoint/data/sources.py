"""The door of the data room: a name or a path in, a data set out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import saddlepoint.data.drawn_clips
import saddlepoint.data.drawn_dna
import saddlepoint.data.drawn_faces
import saddlepoint.data.drawn_stacks
import saddlepoint.data.offered
import saddlepoint.data.oracle
import saddlepoint.data.pairs
import saddlepoint.data.public
import saddlepoint.data.shapes3d
import saddlepoint.data.shipped
import saddlepoint.data.toys
import saddlepoint.data.transposing  # noqa: F401  (these register their sources, and music's augmentation)
from saddlepoint.data import hdf5
from saddlepoint.data.archives import find_in_shards, find_in_zip, shards_of
from saddlepoint.data.arrayfile import SUFFIXES, holds_arrays, open_array_file
from saddlepoint.data.arrays import SPLITS, ArrayDataset, split_rows
from saddlepoint.data.audio import open_audio
from saddlepoint.data.captions import open_captions
from saddlepoint.data.dna import open_fasta
from saddlepoint.data.folder import IMAGE_SUFFIXES, folder_key, open_folder, open_with
from saddlepoint.data.hub import open_hub, urls_of
from saddlepoint.data.images import Resolution, size_of
from saddlepoint.data.melody import open_midi
from saddlepoint.data.meshes import open_meshes
from saddlepoint.data.packed import is_packed, open_packed
from saddlepoint.data.pairs import open_domains, open_pairs
from saddlepoint.data.parquet import open_tables, tables_of
from saddlepoint.data.registry import SOURCES, DataCard, Request
from saddlepoint.data.sequences import open_sequences
from saddlepoint.data.video import open_video
from saddlepoint.data.vocabulary import TOKENISERS, Tokeniser
from saddlepoint.data.volumes import open_voxels
from saddlepoint.errors import DataError, UsageError, nearest

log = logging.getLogger("saddlepoint")


def open_data(name_or_path: str, *, resolution: Resolution | None = None, channels: int | None = None, root: Path | None = None) -> ArrayDataset:
    """Open a data set by name or by path.

    Args:
        name_or_path: a name of :func:`list_data`; or a folder of images (sub-folders are classes), an archive, a table or a file of arrays (of
            an HDF5 file with several, FILE:ARRAY); or either behind a prefix of ``PREFIXES`` that says how to read it (pairs:PATH,
            see :mod:`saddlepoint.data.pairs`). Names win over files of that name: write ``./fashion`` for a folder. Behind it, ``:train``
            or ``:test`` chooses a fixed part: the authors' own where a public set has one, otherwise nine tenths and one
            tenth, shuffled by a seed made of the name (of a path: its last part).
        resolution: side of square images, or their height and width, in pixels; None keeps their own, which must then all be equal and square.
        channels: 1 (grey) or 3 (RGB); None keeps the data's own.
        root: where a public set lies; None: the folder ``torchvision`` of the cache. Only for public sets.

    Raises:
        DataError: the data is missing, damaged, empty or mixed.
        UsageError: the name is unknown or a setting does not apply.

    >>> open_data("ring8").spec.shape, len(open_data("ring8:test"))
    ((2,), 10000)
    """
    whole, split = _cut(name_or_path)
    kind, colon, place = whole.partition(":")
    if place.startswith("//"):
        kind, place = "stream", whole
    if colon and kind in PREFIXES and not Path(whole).expanduser().exists():
        if root is not None:
            raise UsageError(f"A root is for public sets ({', '.join(_public())}); {whole} is none. Leave the root out.")
        return PREFIXES[kind](place, Request(name=whole, resolution=resolution, channels=channels), split)
    request = Request(name=whole, resolution=resolution, channels=channels, root=root)
    if whole in SOURCES:
        if Path(whole).is_dir():
            log.warning(f"{whole} is the data set of that name; your folder of the same name is ./{whole}.")
        card, opener = SOURCES[whole]
        _check_settings(card, request)
        dataset, key = opener(request), whole
    else:
        path, inside = _inside(whole)
        if root is not None:
            raise UsageError(f"A root is for public sets ({', '.join(_public())}); {whole} is a path already. Leave the root out.")
        dataset, key = _open_path(path, request, inside), folder_key(path)
    return _part(dataset, split, key)


def _part(dataset: ArrayDataset, split: str | None, key: str) -> ArrayDataset:
    if split is None:
        return dataset
    return dataset.part(dataset.splits[split] if split in dataset.splits else split_rows(len(dataset), split, key), split)


def _fitting(data: ArrayDataset, request: Request) -> ArrayDataset:
    """Packed data as they are; another size is a matter of converting again."""
    asked = None if request.resolution is None else size_of(request.resolution)
    if data.spec.kind == "image" and (asked not in (None, data.spec.shape[1:]) or request.channels not in (None, data.spec.shape[0])):
        c, height, width = data.spec.shape
        raise DataError(
            f"{request.name} is packed at {height}x{width} pixels (height x width) with {c} channels. Leave --resolution at that, or convert its "
            "source again with another."
        )
    return data


def _pairs(place: str, request: Request, split: str | None) -> ArrayDataset:
    return _part(open_pairs(place, request, _side), split, place)


def _domains(place: str, request: Request, split: str | None) -> ArrayDataset:
    """Each side is divided by itself: no image is in both parts."""
    return open_domains(place, request, lambda side, asked: _side(side if split is None else f"{side}:{split}", asked))


def _hub(place: str, request: Request, split: str | None) -> ArrayDataset:
    return _part(open_hub(place, request), split, place)


def _stream(place: str, request: Request, split: str | None) -> ArrayDataset:
    """Shards at a path, at a URL, or on the hub."""
    from saddlepoint.data.streaming import open_stream

    urls = urls_of(place.removeprefix("hf:")) if place.startswith("hf:") else [place]
    return _part(open_stream(urls, request), split, place.rpartition("/")[2])


def _side(name: str, request: Request) -> ArrayDataset:
    return open_data(name, resolution=request.resolution, channels=request.channels)


def _captions(place: str, request: Request, split: str | None) -> ArrayDataset:
    return open_captions(place, request, lambda within, asked: _side(within if split is None else f"{within}:{split}", asked))


def _voxels(place: str, request: Request, split: str | None) -> ArrayDataset:
    return _part(open_voxels(place, request), split, folder_key(Path(place)))


def _meshes(up: str) -> Prefix:
    return lambda place, request, split: _part(open_meshes(place, request, up), split, folder_key(Path(place)))


def _recordings(opener: Callable[[str, Request], ArrayDataset]) -> Prefix:
    return lambda place, request, split: _part(opener(place, request), split, folder_key(Path(place.partition("?")[0])))


def _sequences(tokeniser: Tokeniser) -> Prefix:
    return lambda place, request, split: _part(open_sequences(place, request, tokeniser), split, Path(place.partition("?")[0]).name)


Prefix = Callable[[str, Request, str | None], ArrayDataset]
PREFIXES: dict[str, Prefix] = {
    "pairs": _pairs,
    "domains": _domains,
    "hf": _hub,
    "stream": _stream,
    "voxels": _voxels,
    "meshes": _meshes("y"),
    "video": _recordings(open_video),
    "audio": _recordings(open_audio),
    "meshes-z": _meshes("z"),
    "captions": _captions,
    "fasta": _recordings(open_fasta),
    "midi": _recordings(open_midi),
    **{name: _sequences(tokeniser) for name, tokeniser in TOKENISERS.items()},
}  # how a path is to be read: place, request, split -> data


def of_sequences(name_or_path: str) -> bool:
    """Whether data are sequences, as the first part of what names them says."""
    first = name_or_path.partition(":")[0]
    return first in (*TOKENISERS, "fasta", "midi") or (first in SOURCES and SOURCES[first][0].kind == "sequence")


def list_data() -> tuple[DataCard, ...]:
    """The cards of all named sources: shipped images, toys, public sets."""

    def place(card: DataCard) -> tuple[bool, bool, bool]:
        return not card.shipped, card.kind == "points", card.origin.startswith("saddlepoint.")  # drawn sets behind real ones

    return tuple(sorted((card for card, _ in SOURCES.values()), key=place))


def _cut(text: str) -> tuple[str, str | None]:
    whole, colon, split = text.rpartition(":")
    if not colon or Path(text).expanduser().exists():
        return text, None
    if split in SPLITS:
        return whole, split
    if whole in SOURCES:
        raise UsageError(f"{whole} has no part {split!r}. Write {whole}:train, {whole}:test, or {whole} for all records.")
    return text, None


def _check_settings(card: DataCard, request: Request) -> None:
    if card.kind in ("points", "sequence") and (request.resolution is not None or request.channels is not None):
        kind = f"{card.kind.removesuffix('s')}s"
        raise UsageError(f"{card.name} holds {kind}, which have no resolution and no channels. Leave those settings out.")
    if card.shipped and request.root is not None:
        raise UsageError(f"A root is for public sets ({', '.join(_public())}); {card.name} comes with the package. Leave the root out.")


def _public() -> list[str]:
    return [card.name for card, _ in SOURCES.values() if not card.shipped]


def _inside(text: str) -> tuple[Path, str | None]:
    """A path, and the name of an array in an HDF5 file where one stands behind it."""
    file, colon, key = text.rpartition(":")
    if colon and key and Path(file).suffix in hdf5.SUFFIXES and not Path(text).expanduser().exists():
        return _path(file), key
    return _path(text), None


def _path(text: str) -> Path:
    path = Path(text).expanduser()
    if path.exists():
        return path
    if "/" in text or "\\" in text or text.startswith(("~", ".")) or path.suffix in SUFFIXES:
        raise DataError(f"There is no folder or file {text}. Check the path, or name one of: {', '.join(SOURCES)}.")
    raise UsageError(f"No data is named {text!r}, and there is no folder or file of that name here. {nearest(text, SOURCES)}")


def _open_path(path: Path, request: Request, inside: str | None = None) -> ArrayDataset:
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise DataError(f"{path} cannot be read: it is there, but not for you. Allow it (chmod), or copy it.")
    if path.is_dir() and is_packed(path):
        return _fitting(open_packed(path, request.name), request)
    if holds_arrays(path):
        return open_array_file(path, request, inside)
    tables = tables_of(path)
    if tables:
        return open_tables(path, tables, request)
    shards = shards_of(path)
    if shards or path.suffix == ".zip":
        found, metadata = find_in_shards(path, shards) if shards else find_in_zip(path)
        return open_with(found, metadata, request.name, request.resolution, request.channels)
    if path.is_dir():
        return open_folder(path, request.name, request.resolution, request.channels)
    hint = (
        "it is one image: point at the folder it lies in"
        if path.suffix.lower() in IMAGE_SUFFIXES
        else "unpack it first"
        if path.suffix in (".gz", ".tgz", ".rar", ".7z")
        else ""
    )
    raise DataError(
        f"{path} is no data that can be opened{': ' + hint if hint else ''}; expected a folder, .zip or .tar file of images, a .parquet or .arrow "
        "table of images, or a file of arrays (.npy, .npz, .h5, IDX)."
    )
