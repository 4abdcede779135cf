"""``python -m saddlepoint.studies.completing``: Context Encoders by squared error alone, and with an adversary.

The middle of clothes (Fashion-MNIST at 32 pixels) is predicted from what is around it, by arms that have the same time of the processor; "mean" fills
in the mean of the training images' middles. Judged on clothes that none was trained on: squared error and PSNR of the hole, the length of its
gradients over the true ones', how much less power it has than the true ones in the upper half of the frequencies, in decibels, and the accuracy of a
linear probe on the encoders' codes beside that of an autoencoder with as many numbers.
With ``--keep`` the same command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.grid import image_grid, to_uint8
from saddlepoint.evaluation.paired import psnr
from saddlepoint.evaluation.probes import linear_probe
from saddlepoint.evaluation.spectra import fine_gap, sharpness
from saddlepoint.studies.budget import markdown, spread, trained
from saddlepoint.studies.pool import Job, Record, answered, run_missing, write_text
from saddlepoint.zoo.catalogue import find_recipe

SIDE, TESTED, PROBED, SHOWN = 32, 500, 1_000, 12
HOLE = slice(9, 23)  # rows and columns: the middle half without the overlap of a pixel
COLUMNS = {
    "l2": ("squared error, %", "{:.2f}"),
    "psnr": ("PSNR", "{:.2f}"),
    "sharpness": ("sharpness", "{:.2f}"),
    "spectrum": ("fine power, dB", "{:.1f}"),
    "probe": ("linear probe", "{:.1f} %"),
}
ARMS = {"mean": "", "squared error alone": "small-l2", "with the adversary": "small", "autoencoder": "autoencoder"}


@functools.cache
def clothes(part: str) -> ArrayDataset:
    """The clothes that arms are trained on ("train"), and those they are judged by ("test")."""
    return open_data(f"fashion:{part}", resolution=SIDE)


def work(job: Job) -> Record:
    """Train one arm, and judge what it fills in and what its codes know."""
    torch.set_num_threads(1)
    data, tests = clothes("train"), clothes("test")
    true = tests.records(torch.arange(TESTED))["image"]
    x = true.float() / 127.5 - 1
    fill, encode, rounds = _arm(job, data)
    record: Record = {"rounds": rounds}
    with torch.no_grad():
        if fill is not None:
            hole = torch.zeros(TESTED, 1, SIDE, SIDE)
            hole[:, :, HOLE, HOLE] = 1
            made = torch.from_numpy(to_uint8(torch.cat([fill(*part) for part in _pieces(x, hole)])))
            picture = Path(job["folder"]) / f"{job['arm'].replace(' ', '-')}-{job['seed']}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            image_grid(torch.cat([made[:SHOWN], true[:SHOWN]]), columns=SHOWN).save(picture)
            inside, truth = made[:, :, HOLE, HOLE], true[:, :, HOLE, HOLE]
            record |= {
                "l2": 100 * float((inside.double() / 255 - truth.double() / 255).square().mean()),
                "psnr": float(np.mean(psnr(inside, truth))),
                "sharpness": float(np.mean(sharpness(inside)) / np.mean(sharpness(truth))),
                "spectrum": fine_gap(truth, inside),
            }
        if encode is not None:
            known = data.records(torch.arange(PROBED))
            codes = [torch.cat([encode(part) for part in torch.split(images, 50)]) for images in (known["image"].float() / 127.5 - 1, x)]
            found = linear_probe(codes[0], known["label"], codes[1], tests.column("label")[:TESTED], penalties=(1e-3, 1e-2, 1e-1))
            record["probe"] = 100 * found.accuracy
    return record


Fill = Callable[[Tensor, Tensor], Tensor]


def _arm(job: Job, data: ArrayDataset) -> tuple[Fill | None, Callable[[Tensor], Tensor] | None, int]:
    """What fills holes, what gives codes, and the rounds it was trained for."""
    how = ARMS[job["arm"]]
    if not how:
        middle = data.records(torch.arange(PROBED))["image"].float().mean(0) / 127.5 - 1
        return lambda x, hole: torch.where(hole > 0, middle, x), None, 0
    entry = find_recipe("autoencoder" if how == "autoencoder" else "context-encoder")
    preset: Any = entry.preset("small" if how == "autoencoder" else how)
    codes = {"latent_dim": job["codes"], "network": "conv"} if how == "autoencoder" else {"bottleneck": job["codes"]}
    config = dataclasses.replace(preset, resolution=SIDE, **codes)
    game, rounds = trained(lambda: entry.game(config, data), data, config, seconds=job["seconds"], seed=job["seed"])
    made: Any = game
    return None if how == "autoencoder" else made.complete, made.encode, rounds


def _pieces(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    return list(zip(*(torch.split(tensor, 50) for tensor in tensors), strict=True))


def as_table(records: Sequence[Record]) -> str:
    """A row an arm."""
    rows = []
    for arm in ARMS:
        mine = [record for record in records if record["job"]["arm"] == arm]
        cells = [spread([record[key] for record in mine], form) if key in mine[0] else "" for key, (_, form) in COLUMNS.items()]
        rows.append([arm, *cells, spread([record["rounds"] for record in mine], "{:.0f}")])
    return markdown(["arm", *(name for name, _ in COLUMNS.values()), "rounds"], rows)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, train what is missing, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.completing", description="Context Encoders with an adversary and without.")
    parser.add_argument("--seconds", type=float, default=15, help="of the processor, for each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--codes", type=int, default=128, help="numbers in a code")
    parser.add_argument("--keep", type=Path, help="folder of finished runs and their pictures; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as aside:
        keep = given.keep or Path(aside)
        common = {"seconds": given.seconds, "codes": given.codes, "folder": str(keep)}
        jobs = [{"arm": arm, "seed": seed, **common} for arm, how in ARMS.items() for seed in range(given.seeds if how else 1)]
        text = as_table(run_missing(work, jobs, keep / "runs.jsonl"))
    write_text(text, given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
