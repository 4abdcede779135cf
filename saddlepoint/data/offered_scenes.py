"""Photographs, furniture and a street to fetch: crops of landscapes, voxels with the picture of each piece, clips of people who walk.

Axes: n records, t frames, c channels, h w image, d h w volume.
"""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.fetching import Package, Show, members
from saddlepoint.data.images import Pixels
from saddlepoint.data.meshes import open_meshes
from saddlepoint.data.offered_pictures import card_of, image_set, numbered, stacked
from saddlepoint.data.offers import Offer, offer, open_built, place_of
from saddlepoint.data.packed import write_packed
from saddlepoint.data.registry import Request, source
from saddlepoint.data.volumes import digest_of, fitted_grids, side_of, volume_dataset
from saddlepoint.errors import DataError

# -- photographs ----------------------------------------------------------------------------------------------------------------------------

CROP, STRIDE = 128, 64
SHARP = 4.0  # mean step between neighbouring grey levels; a crop with less is sky, or out of focus
HELD_OUT = ("Picture_1A_by_freespace", "picosdeeuropa_by_Aitzol_Berasategi")  # photographs of the part "test"


def crops(image: Image.Image) -> list[tuple[int, int, Pixels]]:
    """Crops of an image at half its size, uint8 [3, CROP, CROP], every STRIDE pixels, with their corners; dull ones are left out."""
    pixels = np.asarray(image.convert("RGB").reduce(2))
    found = []
    for top in range(0, pixels.shape[0] - CROP + 1, STRIDE):
        for left in range(0, pixels.shape[1] - CROP + 1, STRIDE):
            crop = pixels[top : top + CROP, left : left + CROP]
            grey = crop.mean(2)
            if (np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2 >= SHARP:
                found.append((top, left, np.ascontiguousarray(crop.transpose(2, 0, 1))))
    return found


def build_photos(file: Path, out: Path, show: Show | None) -> None:
    """Crops of all photographs, each labelled by the one that it is of."""
    pictures: list[Pixels] = []
    of: list[str] = []
    names: list[str] = []
    for done, (name, data) in enumerate(sorted(members(file, lambda name: name.endswith(".jpg"))), 1):
        stem = PurePosixPath(name).stem
        with Image.open(io.BytesIO(data)) as image:
            for top, left, crop in crops(image):
                pictures.append(crop)
                of.append(stem)
                names.append(f"{stem} {left}+{top}")
        if show is not None:
            show(done, 15)
    label, classes = numbered(of)
    write_packed(image_set("photos", {"image": stacked(pictures), "label": label}, classes, names=names), out / "crops", file.name)


PHOTOS = offer(
    Offer(
        name="photos",
        title="15 photographs of 1.5 to 16 megapixels, in crops",
        package=Package(
            registry="debian",
            name="lomiri-wallpapers-16.04",
            version="20.04.0-2",
            file="pool/main/l/lomiri-wallpapers/lomiri-wallpapers-16.04_20.04.0-2_all.deb",
            size=15_783_184,
            sha256="a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
        ),
        licence="CC BY 4.0, CC BY-SA 4.0 and CC0 1.0, by photograph",
        credits="Aitzol Berasategi, Peter Nerlich, Sander Klootwijk, Bolly, Trevor (Freespace), Clemens Engelhardt, Jakkub Mede, Abhishek Mudgal",
        sources=("photos",),
        build=build_photos,
    )
)


@source(card_of("photos", "Crops of 128 pixels from 15 photographs, mostly of nature", (3, CROP, CROP), 1848, PHOTOS))
def open_photos(request: Request) -> ArrayDataset:
    """The crops, at half the photographs' size; the class is the photograph. Train and test part the photographs."""
    data = open_built(request, "photos", "crops")
    held = torch.tensor([name in HELD_OUT for name in data.spec.class_names])[data.column("label")]
    data.splits = {"train": (~held).nonzero()[:, 0], "test": held.nonzero()[:, 0]}
    return data


# -- furniture ---------------------------------------------------------------------------------------------------------------------------------

VOXELS = 32
CATALOGUES = ("BlendSwap-CC-0", "BlendSwap-CC-BY", "KatorLegaz", "Reallusion", "Scopia")


def build_furniture(file: Path, out: Path, show: Show | None) -> None:
    """The five catalogues as they stand in the package; their meshes become voxels when the set is opened, and are kept in the cache."""
    wanted = {f"{name}.sh3f" for name in CATALOGUES}
    for done, (name, data) in enumerate(members(file, lambda name: PurePosixPath(name).name in wanted), 1):
        (out / PurePosixPath(name).name).write_bytes(data)
        if show is not None:
            show(done, len(wanted))


FURNITURE = offer(
    Offer(
        name="furniture",
        title="820 pieces of furniture as voxels, each with its picture",
        package=Package(
            registry="debian",
            name="sweethome3d-furniture",
            version="1.8-1",
            file="pool/main/s/sweethome3d-furniture/sweethome3d-furniture_1.8-1_all.deb",
            size=119_782_356,
            sha256="3ccb90c63f9525e887a767b9cd5c8b6933b8b6b2973a615a5359ee68a2118668",
        ),
        licence="CC0 (BlendSwap-CC-0) and CC BY 3.0 (the other four catalogues)",
        credits="Sweet Home 3D (eTeks), Scopia, Kator Legaz, Reallusion, and the authors at Blend Swap, named in the catalogues",
        sources=("furniture",),
        build=build_furniture,
    )
)


@source(card_of("furniture", "Furniture as voxels, with the picture of each", (1, VOXELS, VOXELS, VOXELS), 820, FURNITURE, "volume"))
def open_furniture(request: Request) -> ArrayDataset:
    """Volumes with "image" (uint8 [3, 128, 128], the same view of all) and the category as class; a resolution makes them anew of the meshes."""
    side, place = side_of(request), place_of(request, "furniture")
    parts = [open_meshes(str(place / f"{name}.sh3f"), Request(name=name, resolution=side or VOXELS), tell=False) for name in CATALOGUES]
    volumes = torch.cat([_levels(part) for part in parts])
    label, classes = numbered([part.spec.class_names[label] for part in parts for label in part.column("label").tolist()])
    images = torch.cat([part.column("image")[:] for part in parts])
    digest = digest_of(volumes, label, images)
    names = tuple(f"{part.spec.name}/{name}" for part in parts for name in part.names)
    notes = tuple(note for part in parts for note in part.notes)
    grids = fitted_grids(volumes, side)
    return volume_dataset(request, grids, digest, images=images, labels=label, class_names=classes, names=names, notes=notes)


def _levels(part: ArrayDataset) -> Tensor:
    """Volumes of a catalogue as uint8 [n, d, h, w], 0 or 255."""
    pieces = torch.split(torch.arange(len(part)), 64)
    return torch.cat([(part.records(rows)["volume"][:, 0] > 0.5).to(torch.uint8) * 255 for rows in pieces])


# -- a street --------------------------------------------------------------------------------------------------------------------------------------

FRAMES, STEP, WINDOW = 16, 8, 64
MOVES = 30.0  # grey levels from the empty street that count as something there
BUSY = 0.08  # share of a window's pixels that must


def walkers(frames: Tensor, empty: Tensor) -> list[tuple[int, int]]:
    """Corners (top, left) of windows of a clip in which something moves, the busiest first, none of which overlap.

    Args:
        frames: grey levels, float [t, h, w].
        empty: the street without people, [h, w].
    """
    there = ((frames - empty).abs() > MOVES).float()
    share = avg_pool2d(there.mean(0, keepdim=True), WINDOW, WINDOW // 4)[0]  # over time and window
    peaks = max_pool2d(share[None], 7, 1, 3)[0] == share  # none busier within 3 steps: windows do not overlap
    found = ((share >= BUSY) & peaks).nonzero()
    order = share[found[:, 0], found[:, 1]].argsort(descending=True, stable=True)
    chosen: list[tuple[int, int]] = []
    for top, left in (found[order] * (WINDOW // 4)).tolist():
        if all(abs(top - other) >= WINDOW or abs(left - beside) >= WINDOW for other, beside in chosen):
            chosen.append((top, left))
    return chosen


def build_street(file: Path, out: Path, show: Show | None) -> None:
    """Clips of 16 frames, 64 pixels square, around what moves; one begins every 8 frames."""
    try:
        import av
    except ImportError:
        raise DataError("A video is read by PyAV, which is not installed: pip install 'saddlepoint[video]', then the same command again.") from None
    ((_, data),) = members(file, lambda name: name.endswith("/vtest.avi"))
    with av.open(io.BytesIO(data)) as video:
        assert isinstance(video, av.container.InputContainer)
        frames = torch.stack([torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)])  # t h w c
    grey = frames.float().mean(3)
    empty = grey[:: max(1, len(grey) // 50)].median(0).values
    clips, names = [], []
    starts = range(0, len(frames) - FRAMES + 1, STEP)
    for done, start in enumerate(starts, 1):
        for top, left in walkers(grey[start : start + FRAMES], empty):
            clips.append(frames[start : start + FRAMES, top : top + WINDOW, left : left + WINDOW].permute(0, 3, 1, 2))
            names.append(f"{start} {left}+{top}")
        if show is not None:
            show(done, len(starts))
    made = torch.stack(clips).contiguous()  # n t c h w
    write_packed(image_set("street", {"image": made[:, 0].contiguous(), "frames": made}, names=names), out / "clips", file.name)


STREET = offer(
    Offer(
        name="street",
        title="People who walk through a street, in clips of 16 frames",
        package=Package(
            registry="debian",
            name="opencv-doc",
            version="4.6.0+dfsg-12",
            file="pool/main/o/opencv/opencv-doc_4.6.0+dfsg-12_all.deb",
            size=95_715_012,
            sha256="4b12681df35878207ac7097dc66184b2ae552e4bf4ddd2af04a0f03ed0b8682a",
        ),
        licence="Apache-2.0 (the package; it states no terms of the video's own)",
        credits="the OpenCV project (samples/data/vtest.avi)",
        sources=("street",),
        build=build_street,
    )
)


@source(card_of("street", "Clips of 16 frames of people who walk through one street", (3, WINDOW, WINDOW), 394, STREET))
def open_street(request: Request) -> ArrayDataset:
    """Clips: frames uint8 [16, 3, 64, 64], 10 a second, and image, the first of them. The last tenth of the time is the part "test"."""
    data = open_built(request, "street", "clips")
    begin = torch.tensor([int(name.split()[0]) for name in data.names])
    edge = int(begin.max()) * 9 // 10
    train, test = begin + FRAMES <= edge, begin >= edge  # no frame is in both
    data.splits = {"train": train.nonzero()[:, 0], "test": test.nonzero()[:, 0]}
    return data
