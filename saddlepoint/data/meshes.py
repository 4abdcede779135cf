"""Meshes as voxel grids: surfaces put into a cube, and what they enclose filled.

    meshes:FOLDER       .obj .stl .ply .off .glb .gltf files, y up; sub-folders are classes; chair.png beside chair.obj is its picture
    meshes-z:FOLDER     the same, z up (ModelNet, most scans)
    meshes:FILE.sh3f    a furniture catalogue of Sweet Home 3D: its categories are classes, its icons pictures

Each mesh is moved to the middle, stands on the floor and fills the cube but a voxel on each side; that is 32 voxels wide where nothing else is asked
for. A voxel is occupied where the surface passes through it or the outside cannot reach it. Voxels are kept in the cache.

Axes: n meshes, v vertices, d h w depth height width, s side.
"""

from __future__ import annotations

import io
import json
import logging
import re
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.cache import Packed, PackWriter, pack_key, read_pack
from saddlepoint.data.folder import MIN_IMAGES, NAMED, classes_of
from saddlepoint.data.registry import Request
from saddlepoint.data.volumes import digest_of, fitted_grids, side_of, volume_dataset
from saddlepoint.errors import DataError, UsageError

SUFFIXES = (".obj", ".stl", ".ply", ".off", ".glb", ".gltf")
SIDE, PICTURE = 32, 128  # voxels, and pixels of a picture
MOST_BAD = 0.1  # share of the files that may be unusable
STEP, AT_ONCE = 0.3, 1_000_000  # voxels between the points that stand for a surface; points at once

log = logging.getLogger("saddlepoint")


@dataclass(frozen=True)
class Entry:
    """One mesh: its name, its class or None, the file, and that of its picture or None; files are paths, or names inside a catalogue."""

    name: str
    label: int | None
    file: str
    picture: str | None


@dataclass
class Shelf:
    """Meshes to be read: ``root`` is a folder or a catalogue; files without faces and such are told in ``bad``, those with holes in ``open``."""

    root: Path
    entries: list[Entry]
    class_names: tuple[str, ...]
    bad: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Refuse when too many cannot be used."""
        left = len(self.entries) - len(self.bad)
        if len(self.bad) > MOST_BAD * len(self.entries) or left < MIN_IMAGES:
            first = "; ".join(f"{path} ({reason})" for path, reason in list(self.bad.items())[:NAMED])
            raise DataError(
                f"{len(self.bad)} of the {len(self.entries)} meshes in {self.root} cannot be used: {first}. At most a tenth may be left out, and "
                f"{MIN_IMAGES} must be left. Repair or remove them."
            )

    def notes(self) -> list[str]:
        """What the user is told."""
        found = [f"Left out {path}: {reason}." for path, reason in list(self.bad.items())[:NAMED]]
        if len(self.bad) > NAMED:
            found.append(f"Left out {len(self.bad) - NAMED} more meshes in {self.root}.")
        if self.open:
            first = ", ".join(self.open[:NAMED])
            found.append(
                f"{len(self.open)} of the {len(self.entries)} meshes in {self.root} are not watertight (the first: {first}): where a hole is wider "
                "than a voxel they stay hollow."
            )
        return found


def voxelise(vertices: NDArray[np.float64], faces: NDArray[np.int64], side: int) -> NDArray[np.bool_]:
    """Voxels [s, s, s] (depth, height, width) of a mesh, y up, interior filled; it stands on the floor.

    Args:
        vertices: [v, 3], x y z in any unit.
        faces: [f, 3], indices of vertices.
        side: s, at least 4.
    Raises:
        DataError: without faces or extent.
    """
    if not len(faces):
        raise DataError("it has no faces")
    used = vertices[np.unique(faces)]
    low, high = used.min(0), used.max(0)
    extent = float((high - low).max())
    if not np.isfinite(extent) or extent <= 0:
        raise DataError("it has no extent")
    scale = (side - 2) * (1 - 1e-6) / extent
    points = (vertices - (low + high) / 2) * scale + side / 2
    points[:, 1] = (vertices[:, 1] - low[1]) * scale + 1 + 1e-6
    whole = np.zeros((side, side, side), dtype=np.bool_)
    for places in _surface(points[faces]):
        x, y, z = np.floor(places).astype(np.int64).clip(0, side - 1).T
        whole[z, y, x] = True
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(whole)
    return filled


def _surface(corners: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Points [m, 3] of triangles [f, 3, 3], in pieces: rows along the longest side of each, rows and points no farther apart than ``STEP``."""
    sides = np.linalg.norm(corners[:, [1, 2, 0]] - corners, axis=2)  # from corner i to the next
    first = sides.argmax(1)
    a, b, c = (corners[np.arange(len(corners)), (first + turn) % 3] for turn in range(3))  # ab is the longest
    longest = sides.max(1)
    height = np.linalg.norm(np.cross(b - a, c - a), axis=1) / np.maximum(longest, 1e-12)
    along, rows = (np.ceil(length / STEP).astype(np.int64) + 1 for length in (longest, height))
    ends = np.cumsum(along * rows)
    start = 0
    while start < len(corners):
        stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + AT_ONCE)))
        counts = (along * rows)[start:stop]
        triangle = np.repeat(np.arange(start, stop), counts)
        place = np.arange(len(triangle)) - np.repeat(np.cumsum(counts) - counts, counts)
        t = (place // along[triangle] / np.maximum(rows[triangle] - 1, 1))[:, None]
        s = (place % along[triangle] / np.maximum(along[triangle] - 1, 1))[:, None]
        yield a[triangle] + t * (c - a)[triangle] + s * (1 - t) * (b - a)[triangle]
        start = stop


def open_meshes(place: str, request: Request, up: str = "y", *, tell: bool = True) -> ArrayDataset:
    """Meshes as volumes, see the module.

    Args:
        place: what stands behind "meshes:".
        request: side of the cubes.
        up: "y" or "z".
        tell: say what was left out and what has holes; it stands in the data's notes either way.
    Raises:
        DataError: if nothing is there, or more than a tenth of the meshes cannot be used.
        UsageError: without trimesh.
    """
    side, root = side_of(request) or SIDE, Path(place).expanduser()
    if side < 8:
        raise UsageError(f"Meshes need at least 8 voxels a side; {side} came.")
    shelf, states = _catalogue(root) if root.suffix == ".sh3f" else _folder(root)
    keys = [pack_key(root, states, {"kind": kind, "side": side, "up": up}) for kind in ("voxels", "pictures")]
    packs = [read_pack(key) for key in keys]
    if packs[0] is None:
        packs = _make(shelf, side, up, keys)
    volumes, pictures = packs
    assert volumes is not None
    for note in volumes.notes if tell else ():
        log.warning(note)
    grids = fitted_grids(volumes.images.view(torch.bool), side)
    labels = torch.tensor(volumes.labels) if volumes.labels else None
    images = None if pictures is None else pictures.images
    digest = digest_of(volumes.images, labels, images)
    about: dict[str, Any] = {"names": volumes.names, "notes": volumes.notes, "class_names": shelf.class_names}
    return volume_dataset(request, grids, digest, images=images, labels=labels, **about)


def _make(shelf: Shelf, side: int, up: str, keys: list[str]) -> list[Packed | None]:
    """Voxelise everything into the cache; pictures too, where every mesh has one."""
    try:
        import trimesh  # noqa: F401
    except ImportError:
        raise UsageError("Meshes are read by trimesh, which is not installed: pip install 'saddlepoint[volumes]'.") from None
    kept, with_pictures = [], all(entry.picture for entry in shelf.entries)
    with PackWriter(keys[0]) as volumes, PackWriter(keys[1]) as pictures:
        for entry, mesh, picture in _read(shelf):
            try:
                voxels = voxelise(*_upright(mesh, up), side)
                image = _picture(picture) if with_pictures else None
            except MemoryError:
                raise
            except Exception as error:  # a damaged file may make a reader raise anything
                shelf.bad[entry.file] = _reason(error)
                continue
            if not mesh.is_watertight:
                shelf.open.append(entry.file)
            kept.append(entry)
            volumes.append(voxels.view(np.uint8))
            if image is not None:
                pictures.append(image)
        shelf.check()
        names, labels = [entry.name for entry in kept], [entry.label for entry in kept if entry.label is not None]
        drawn = pictures.finish(names=names, labels=[], notes=[]) if with_pictures else None
        return [volumes.finish(names=names, labels=labels, notes=shelf.notes()), drawn]


def _upright(mesh: Any, up: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    vertices = np.asarray(mesh.vertices, np.float64)
    return (vertices if up == "y" else vertices[:, [0, 2, 1]] * [1, 1, -1]), np.asarray(mesh.faces, np.int64)


def _picture(content: bytes) -> NDArray[np.uint8]:
    """A picture on white, uint8 [3, PICTURE, PICTURE]."""
    with Image.open(io.BytesIO(content)) as opened:
        picture = opened.convert("RGBA").resize((PICTURE, PICTURE), Image.Resampling.LANCZOS)
    white = Image.new("RGBA", picture.size, "white")
    return np.ascontiguousarray(np.asarray(Image.alpha_composite(white, picture).convert("RGB"), np.uint8).transpose(2, 0, 1))


def _reason(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:120] or type(error).__name__


def _folder(root: Path) -> tuple[Shelf, list[tuple[str, str]]]:
    """The meshes of a folder, and what changes when they do."""
    if not root.is_dir():
        raise DataError(f"There is no folder {root}. meshes: reads a folder of {', '.join(SUFFIXES)} files, or a .sh3f catalogue.")
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise DataError(f"{root} holds no meshes: expected {', '.join(SUFFIXES)} files, or sub-folders of them, one a class.")
    names = [path.relative_to(root).as_posix() for path in files]
    labels, class_names = classes_of(str(root), names)
    entries = []
    for row, path in enumerate(files):
        picture = path.with_suffix(".png")
        entries.append(Entry(names[row], None if labels is None else labels[row], str(path), str(picture) if picture.is_file() else None))
    used = [Path(file) for entry in entries for file in (entry.file, entry.picture) if file is not None]
    return Shelf(root, entries, class_names), [(str(path.relative_to(root)), f"{path.stat().st_size} {path.stat().st_mtime_ns}") for path in used]


def _catalogue(path: Path) -> tuple[Shelf, list[tuple[str, str]]]:
    """The furniture of a catalogue, by its description file."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read("PluginFurnitureCatalog.properties").decode("latin1")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a furniture catalogue ({_reason(error)}). meshes: reads a folder, or a .sh3f file.") from error
    values = {key: json.loads(f'"{value}"') if "\\u" in value else value for key, value in re.findall(r"^([\w#]+)\s*=\s*(.*?)\s*$", text, re.M)}
    rows = [key.removeprefix("model") for key in values if key.startswith("model#")]
    classes = tuple(sorted({values.get(f"category{row}", "other") for row in rows}))
    entries = []
    for row in rows:
        picture, name = values.get(f"icon{row}", "").lstrip("/") or None, values.get(f"name{row}", row)
        entries.append(Entry(name, classes.index(values.get(f"category{row}", "other")), values[f"model{row}"].lstrip("/"), picture))
    return Shelf(path, entries, classes), [(path.name, f"{path.stat().st_size} {path.stat().st_mtime_ns}")]


def _read(shelf: Shelf) -> Iterator[tuple[Entry, Any, bytes]]:
    """Each mesh with its picture's bytes (none: empty); those that cannot be read go to ``bad``."""
    with tempfile.TemporaryDirectory() as aside:
        archive = zipfile.ZipFile(shelf.root) if shelf.root.is_file() else None
        for entry in shelf.entries:
            try:
                if archive:
                    folder = str(Path(entry.file).parent)
                    archive.extractall(aside, [name for name in archive.namelist() if str(Path(name).parent) == folder])
                mesh = _mesh(Path(aside) / entry.file if archive else Path(entry.file))
                picture = b"" if entry.picture is None else archive.read(entry.picture) if archive else Path(entry.picture).read_bytes()
            except MemoryError:
                raise
            except Exception as error:  # a damaged file may make a reader raise anything
                shelf.bad[entry.file] = _reason(error)
                continue
            yield entry, mesh, picture


def _mesh(path: Path) -> Any:
    """One mesh of everything in a file.

    Raises:
        DataError: if it is empty or has no faces.
    """
    import trimesh

    if not path.stat().st_size:
        raise DataError("the file is empty")
    mesh = trimesh.load(path, force="mesh", skip_materials=True)
    if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
        raise DataError("it has no faces")
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    return mesh
