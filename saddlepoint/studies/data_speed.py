"""``python -m saddlepoint.studies.data_speed``: the speed of the data room, beside torchvision and ``datasets``, and its memory.

Three parts, each on files that it makes itself in a temporary folder:

reading   images of 64 pixels a second, as float batches in [-1, 1] on the CPU: from packed data, from torchvision's ImageFolder, and from Hugging
          Face's ``datasets`` (image files in Arrow, bare pixels in Arrow); and how many a recipe takes
convert   a folder of images decoded and written packed, as a zip and as shards
memory    packed data of ten times the memory (a sparse file) read by training's feed, and a conversion of data that are not held in memory

The least time of each counts, for a busy machine only adds; processor seconds are of all threads and processes of a reader. ``datasets`` (the extra
``compare``) is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import itertools
import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.converting import convert
from saddlepoint.data.images import in_order
from saddlepoint.data.packed import INDEX, write_packed
from saddlepoint.data.sources import open_data
from saddlepoint.studies.case import open_case, start
from saddlepoint.studies.data_readers import BATCH, SIDE, Batches, folder_batches, hub_readers, packed_batches, shared_batches
from saddlepoint.studies.pool import answered
from saddlepoint.training.batches import Feed
from saddlepoint.training.machine import hardware, versions

PARTS = ("reading", "convert", "memory")


@dataclass
class Cost:
    """Seconds of the clock and of processors, of one pass."""

    wall: float
    cpu: float


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write JSON or a table."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.data_speed", description="Time the data room.")
    parser.add_argument("--images", type=int, default=6000, help="read in a pass")
    parser.add_argument("--converted", type=int, default=60_000, help="images")
    parser.add_argument("--pixels", type=int, default=2 * SIDE, help="side of the converted images")
    parser.add_argument("--forms", nargs="+", default=["packed", "zip", "shards"], help="to convert to")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--times", type=float, default=10.0, help="of the memory that the sparse file is as large as")
    parser.add_argument("--recipes", nargs="*", default=["dcgan", "sngan"], help="whose need is measured")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    parts = {"reading": _reading, "convert": _converting, "memory": _memory}
    result: dict[str, Any] = {"machine": hardware(), "versions": versions(), "load": os.getloadavg(), "settings": vars(given)}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SADDLEPOINT_CACHE"] = f"{folder}/cache"
        for name, part in parts.items():
            if given.only in (None, name):
                place = Path(folder) / name
                place.mkdir()
                result[name] = part(place, given)
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if given.json else "\n".join(_lines(result)) + "\n")
    return 0


# -- reading -----------------------------------------------------------------------------------------------------------------------------


def _reading(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Every reader in turn, several times; images a second of the clock and of a processor."""
    make_images(place / "files" / "all", given.images)
    data = open_data(str(place / "files"), resolution=SIDE)
    write_packed(data, place / "packed", "made")
    packed = open_data(str(place / "packed"))
    readers: dict[str, Batches] = {
        "packed, as training reads it": lambda: packed_batches(packed),
        "packed, two workers": lambda: shared_batches(packed),
        "torchvision ImageFolder, two workers": lambda: folder_batches(place / "files"),
    }
    if importlib.util.find_spec("datasets"):
        readers |= hub_readers(place, packed)
    costs: dict[str, list[Cost]] = {name: [] for name in readers}
    for _, (name, batches) in itertools.product(range(given.repeats), readers.items()):
        costs[name].append(_timed(batches, given.images))
    found = {name: _rates(each, given.images) for name, each in costs.items()}
    for recipe in given.recipes:
        found[f"{recipe} small takes"] = _need(recipe, given.repeats)
    return found


def _need(recipe: str, repeats: int) -> dict[str, float]:
    """Real images that whole rounds of a recipe take."""
    trainer = start(open_case(recipe, resolution=SIDE, batch=BATCH, device="cpu"))
    costs = []
    try:
        trainer.play_round()
        first = trainer.game.clock.images_seen
        for _ in range(repeats):
            begun = time.perf_counter(), _cpu_seconds()
            trainer.play_round()
            costs.append(Cost(time.perf_counter() - begun[0], _cpu_seconds() - begun[1]))
        return _rates(costs, (trainer.game.clock.images_seen - first) // repeats)
    finally:
        trainer.close()


def _rates(costs: list[Cost], images: int) -> dict[str, float]:
    return {
        "images_per_sec": images / min(cost.wall for cost in costs),
        "images_per_sec_least": images / max(cost.wall for cost in costs),
        "images_per_cpu_sec": images / min(cost.cpu for cost in costs),
    }


def _timed(batches: Batches, images: int) -> Cost:
    """One pass over the images."""
    start, cpu, count = time.perf_counter(), _cpu_seconds(), 0
    for batch in batches():
        assert batch.dtype == torch.float32 and batch.shape[1:] == (3, SIDE, SIDE), f"{batch.dtype} {batch.shape}"
        count += len(batch)
    assert count == images, f"{count} of {images} images came"
    return Cost(time.perf_counter() - start, _cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def make_images(folder: Path, count: int, side: int = SIDE) -> None:
    """Smooth random PNG files: as large as a photograph's thumbnail."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(i: int) -> None:
        small = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{i:06d}.png")

    for _ in in_order(write, range(count)):
        pass


# -- converting --------------------------------------------------------------------------------------------------------------------------


def _converting(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Seconds of decoding a folder and of writing it in each form, and how many cores were busy."""
    make_images(place / "files", given.converted, given.pixels)
    found: dict[str, Any] = {"images": given.converted, "pixels": given.pixels, "to": SIDE, "cores": os.cpu_count()}
    opened: list[ArrayDataset] = []
    found["decoded into the cache"] = _once(lambda: opened.append(open_data(str(place / "files"), resolution=SIDE)))
    for form in given.forms:
        out = place / (f"{form}.zip" if form == "zip" else form)
        found[form] = _once(functools.partial(convert, opened[0], out, source="made", form=form))
    return found


def _once(job: Callable[[], Any]) -> dict[str, float]:
    start, cpu = time.perf_counter(), _cpu_seconds()
    job()
    wall, busy = time.perf_counter() - start, _cpu_seconds() - cpu
    return {"sec": wall, "cpu_sec": busy, "cores_busy": busy / wall}


# -- memory ------------------------------------------------------------------------------------------------------------------------------


class _Watch:
    """The most memory of this process that is no file's, and the most that is a file's, while something runs; in bytes."""

    def __enter__(self) -> _Watch:
        self.before = self.most = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while True:
            over = self._over.wait(0.02)
            now = _resident()
            self.most = tuple(max(pair) for pair in zip(self.most, now, strict=True))
            if over:
                return

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def more(self) -> dict[str, int]:
        """Bytes above the start."""
        names = "anonymous", "mapped"
        return {name: most - start for name, most, start in zip(names, self.most, self.before, strict=True)}


def _resident() -> tuple[int, ...]:
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) << 10 for name in ("RssAnon", "RssFile"))


def _memory(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Memory that reading and converting data needs that do not fit it."""
    total, record = psutil.virtual_memory().total, 3 * SIDE * SIDE
    data = open_data(str(sparse(place / "large", int(given.times * total) // record)))
    feed = Feed(data, seed=0, batch=BATCH, rank=0, processes=1, device=torch.device("cpu"), dtype=torch.float32)
    len(feed.next().image)  # the order of an epoch: eight bytes a record
    with _Watch() as reading:
        for _ in range(given.images // BATCH):
            feed.next().image.sum()
    feed.close()
    some = open_data(str(sparse(place / "some", given.converted)))
    with _Watch() as converting:
        convert(some, place / "again", source="made", form="packed")
    return {
        "memory": total,
        "packed": len(data) * record,
        "records": len(data),
        "reading": {"images": given.images // BATCH * BATCH, **reading.more()},
        "converting": {"bytes": len(some) * record, **converting.more()},
    }


def sparse(out: Path, count: int) -> Path:
    """Packed black images that take no room on the disk."""
    one = out.with_name(f"{out.name}-one")
    one.mkdir(parents=True)
    np.save(one / "x.npy", np.zeros((2, SIDE, SIDE, 3), np.uint8))
    write_packed(open_data(str(one / "x.npy")), out, "made")
    index = json.loads((out / INDEX).read_text(encoding="utf-8"))
    index["spec"]["num_records"] = index["fields"]["image"]["shape"][0] = count
    (out / INDEX).write_text(json.dumps(index), encoding="utf-8")
    with (out / "image.bin").open("r+b") as file:
        file.truncate(count * 3 * SIDE * SIDE)
    return out


# -- tables ------------------------------------------------------------------------------------------------------------------------------


def _lines(result: dict[str, Any]) -> list[str]:
    """Tables in Markdown."""
    lines = [f"load {result['load'][0]:.1f} on {os.cpu_count()} cores", ""]
    if "reading" in result:
        lines += ["| reader | images a second, best | least | images a processor second |", "| --- | --- | --- | --- |"]
        for name, row in result["reading"].items():
            numbers = [row.get(each) for each in ("images_per_sec", "images_per_sec_least", "images_per_cpu_sec")]
            lines.append(f"| {name} | {' | '.join('' if number is None else f'{number:,.0f}' for number in numbers)} |")
    if "convert" in result:
        lines += ["", "| step | seconds | processor seconds | cores busy |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {name} | {row['sec']:.1f} | {row['cpu_sec']:.1f} | {row['cores_busy']:.2f} |"
            for name, row in result["convert"].items()
            if isinstance(row, dict)
        ]
    if "memory" in result:
        row = result["memory"]
        lines += ["", f"memory {row['memory'] >> 20:,} MiB; packed data {row['packed'] >> 20:,} MiB, {row['records']:,} records"]
        for name in ("reading", "converting"):
            lines.append(f"{name}: {row[name]['anonymous'] >> 20} MiB more of memory, {row[name]['mapped'] >> 20} MiB of the file mapped")
    return lines


if __name__ == "__main__":
    raise SystemExit(answered(main))
