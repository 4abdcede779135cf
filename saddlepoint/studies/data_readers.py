"""The readers that :mod:`saddlepoint.studies.data_speed` compares: each gives all images once, shuffled, as float batches in [-1, 1] on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.training.batches import Feed

SIDE, BATCH = 64, 64
Batches = Callable[[], Iterator[Tensor]]


def packed_batches(data: ArrayDataset, rank: int = 0, processes: int = 1) -> Iterator[Tensor]:
    """One epoch, as a run reads it: shuffled, one batch ahead in one thread."""
    batch = BATCH * processes
    feed = Feed(data, seed=0, batch=batch, rank=rank, processes=processes, device=torch.device("cpu"), dtype=torch.float32)
    try:
        for start in range(0, len(data), batch):
            records = feed.next()
            left = len(data) - start - rank * BATCH
            if left > 0:
                yield records.image[:left]
    finally:
        feed.close()


def shared_batches(data: ArrayDataset) -> Iterator[Tensor]:
    """The same by two feeds, each in a thread, each with its half of every batch."""
    with ThreadPoolExecutor(2) as workers:
        halves = workers.map(lambda rank: sum(len(batch) for batch in packed_batches(data, rank, 2)), range(2))
        read = sum(halves)
    yield torch.empty(1, 3, SIDE, SIDE).expand(read, -1, -1, -1)


def folder_batches(root: Path) -> Iterator[Tensor]:
    """ImageFolder and a DataLoader with two workers."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    change = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)])
    for images, _ in DataLoader(ImageFolder(root, change), batch_size=BATCH, shuffle=True, num_workers=2):
        yield images


def hub_readers(place: Path, data: ArrayDataset) -> dict[str, Batches]:
    """``datasets`` with a DataLoader of two workers: image files inside Arrow, and pixels inside Arrow."""
    import datasets
    from torch.utils.data import DataLoader

    datasets.disable_progress_bars()
    files = sorted(str(path) for path in (place / "files").rglob("*.png"))
    coded = datasets.Dataset.from_dict({"image": files}).cast_column("image", datasets.Image())
    coded.save_to_disk(place / "coded")
    pixels = {"image": [image.numpy() for image in data.column("image")]}
    features = datasets.Features({"image": datasets.Array3D((3, SIDE, SIDE), "uint8")})
    datasets.Dataset.from_dict(pixels, features=features).save_to_disk(place / "plain")

    def batches(name: str) -> Iterator[Tensor]:
        loader: Any = DataLoader(datasets.load_from_disk(place / name).with_format("torch"), batch_size=BATCH, shuffle=True, num_workers=2)
        for batch in loader:
            yield batch["image"].float().div_(127.5).sub_(1)

    return {
        "datasets, image files in Arrow, two workers": lambda: batches("coded"),
        "datasets, pixels in Arrow, two workers": lambda: batches("plain"),
    }
