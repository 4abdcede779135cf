"""Public sets that are not shipped: MNIST and Fashion-MNIST from their IDX files, CIFAR, SVHN and CelebA through torchvision.

Nothing is downloaded: a set that is not there is answered with the one line that fetches it. Axes: n images, c channels, h w image, a attributes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.data.cache import cache_root
from saddlepoint.data.folder import Found, open_found
from saddlepoint.data.idx import read_idx_file
from saddlepoint.data.registry import DataCard, Request, source
from saddlepoint.data.shipped import FASHION_CLASSES, image_dataset
from saddlepoint.errors import DataError

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def root_of(request: Request) -> Path:
    """Where the public sets lie: what was given, or the folder ``torchvision`` of the cache."""
    return request.root.expanduser() if request.root is not None else cache_root() / "torchvision"


def missing(request: Request) -> DataError:
    """The line for a set that is not there: what fetches it, and where to."""
    where = "" if request.root is None else f" --root {request.root}"
    return DataError(
        f"{request.name} is not in {root_of(request)}, or not whole. Fetch it once with: saddlepoint data get {request.name}{where}. "
        "If you have it elsewhere, give that folder as the data's root."
    )


def official(request: Request, parts: list[tuple[Tensor, Tensor]], class_names: tuple[str, ...], *, pad: bool = False) -> ArrayDataset:
    """Training and test part behind one another, as one set that knows the authors' own split."""
    dataset = image_dataset(request, torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts]), class_names, pad=pad)
    (train, _), _ = parts
    rows = torch.arange(len(dataset))
    dataset.splits = {"train": rows[: len(train)], "test": rows[len(train) :]}
    return dataset


def _card(name: str, title: str, shape: tuple[int, ...], num_records: int, *, licence: str, origin: str, credits: str) -> DataCard:
    return DataCard(
        name=name, title=title, kind="image", shape=shape, num_records=num_records, licence=licence, origin=origin, credits=credits, shipped=False
    )


def _open_idx(request: Request, torchvision_name: str, class_names: tuple[str, ...]) -> ArrayDataset:
    root = root_of(request)
    parts = []
    for part in ("train", "t10k"):
        pair = []
        for kind in ("images-idx3", "labels-idx1"):
            names = [f"{part}-{kind}-ubyte", f"{part}-{kind}-ubyte.gz"]
            places = [folder / name for folder in (root, root / torchvision_name / "raw") for name in names]
            found = next((place for place in places if place.is_file()), None)
            if found is None:
                raise missing(request)
            pair.append(read_idx_file(found))
        parts.append((pair[0][:, None], pair[1].to(torch.int64)))
    return official(request, parts, class_names, pad=True)


@source(
    _card(
        "mnist",
        "Handwritten digits in 10 classes, grey",
        (1, 28, 28),
        70_000,
        licence="usually given as CC BY-SA 3.0",
        origin="yann.lecun.org/exdb/mnist",
        credits="Yann LeCun, Corinna Cortes, Christopher J. C. Burges",
    )
)
def open_mnist(request: Request) -> ArrayDataset:
    """MNIST: 60,000 for training and 10,000 to test."""
    return _open_idx(request, "MNIST", tuple("0123456789"))


@source(
    _card(
        "fashion-mnist",
        "Photographs of clothes in 10 classes, grey; the whole set",
        (1, 28, 28),
        70_000,
        licence="MIT",
        origin="github.com/zalandoresearch/fashion-mnist",
        credits="Han Xiao, Kashif Rasul, Roland Vollgraf (Zalando SE), arXiv:1708.07747",
    )
)
def open_fashion_mnist(request: Request) -> ArrayDataset:
    """Fashion-MNIST: 60,000 for training and 10,000 to test (the test part is also shipped, as "fashion")."""
    return _open_idx(request, "FashionMNIST", FASHION_CLASSES)


def _through_torchvision(request: Request, torchvision_name: str, make: Callable[[Any], list[Any]]) -> list[Any]:
    """``make`` applied to torchvision's class, whose refusal becomes our line."""
    try:
        import torchvision.datasets
    except ImportError as error:
        raise DataError(f"{request.name} is read through torchvision, which is not installed: pip install torchvision.") from error
    try:
        return make(getattr(torchvision.datasets, torchvision_name))
    except (RuntimeError, OSError) as error:
        raise missing(request) from error


def _open_cifar(request: Request, torchvision_name: str) -> ArrayDataset:
    sets = _through_torchvision(request, torchvision_name, lambda kind: [kind(root_of(request), train=train) for train in (True, False)])
    parts = [
        (torch.from_numpy(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2))), torch.tensor(part.targets)) for part in sets
    ]  # n h w c -> n c h w
    return official(request, parts, tuple(sets[0].classes))


@source(
    _card(
        "cifar10",
        "Photographs at 32 pixels in 10 classes",
        (3, 32, 32),
        60_000,
        licence="none stated",
        origin="cs.toronto.edu/~kriz/cifar.html",
        credits="Alex Krizhevsky, Vinod Nair, Geoffrey Hinton",
    )
)
def open_cifar10(request: Request) -> ArrayDataset:
    """CIFAR-10: 50,000 for training and 10,000 to test."""
    return _open_cifar(request, "CIFAR10")


@source(
    _card(
        "cifar100",
        "Photographs at 32 pixels in 100 classes",
        (3, 32, 32),
        60_000,
        licence="none stated",
        origin="cs.toronto.edu/~kriz/cifar.html",
        credits="Alex Krizhevsky, Vinod Nair, Geoffrey Hinton",
    )
)
def open_cifar100(request: Request) -> ArrayDataset:
    """CIFAR-100: 50,000 for training and 10,000 to test."""
    return _open_cifar(request, "CIFAR100")


@source(
    _card(
        "svhn",
        "House numbers at 32 pixels, the middle digit as class",
        (3, 32, 32),
        99_289,
        licence="non-commercial use only",
        origin="ufldl.stanford.edu/housenumbers, the cropped digits without the extra part",
        credits="Yuval Netzer, Tao Wang, Adam Coates, Alessandro Bissacco, Bo Wu, Andrew Y. Ng",
    )
)
def open_svhn(request: Request) -> ArrayDataset:
    """SVHN: 73,257 for training and 26,032 to test."""
    sets = _through_torchvision(request, "SVHN", lambda kind: [kind(root_of(request), split=split) for split in ("train", "test")])
    parts = [(torch.from_numpy(np.ascontiguousarray(part.data)), torch.from_numpy(part.labels).to(torch.int64)) for part in sets]
    return official(request, parts, tuple("0123456789"))


@source(
    _card(
        "celeba",
        "Photographs of faces, aligned, with 40 attributes",
        (3, 218, 178),
        202_599,
        licence="non-commercial research only",
        origin="mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        credits="Ziwei Liu, Ping Luo, Xiaogang Wang, Xiaoou Tang",
    )
)
def open_celeba(request: Request) -> ArrayDataset:
    """CelebA, aligned: the middle 178x178 of each image, resized; attributes 0 or 1, int64 [n, 40].

    The authors' validation part is in neither split.
    """
    sets = _through_torchvision(request, "CelebA", lambda kind: [kind(root_of(request), split=split) for split in ("all", "train", "test")])
    whole = sets[0]
    found = Found(Path(whole.root) / whole.base_folder / "img_align_celeba", list(whole.filename), None, ())
    dataset = open_found(found, request.name, request.resolution, request.channels)
    row_of = {name: row for row, name in enumerate(dataset.names)}  # a file that could not be read has no row
    kept = torch.tensor([i for i, name in enumerate(whole.filename) if name in row_of])
    attributes = whole.attr[kept]
    names = tuple(name for name in whole.attr_names if name)
    fields = {"image": dataset.column("image"), "attributes": attributes}
    digest = content_hash({"attributes": attributes})
    spec = dataclasses.replace(dataset.spec, fields=tuple(fields), content_hash=f"{dataset.spec.content_hash[:8]}{digest[:8]}")
    chosen = ArrayDataset(fields, spec, names=dataset.names, attribute_names=names, notes=dataset.notes)
    chosen.splits = {
        split: torch.tensor([row_of[name] for name in part.filename if name in row_of])
        for split, part in zip(("train", "test"), sets[1:], strict=True)
    }
    return chosen
