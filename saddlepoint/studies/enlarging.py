"""``python -m saddlepoint.studies.enlarging``: what SRGAN gains over the squared error, and what it gives for it.

Clothes of 28 pixels (Fashion-MNIST, shipped) are made again from 7, or emoji of 32 from 8 (``--data emoji``): by repeating pixels, by bicubic
interpolation, by SRResNet (squared error), and by SRGAN, which begins with a squared error too and has the same time of the processor, half of it for
the second phase. "Features alone" is SRGAN without its adversary, "SRGAN on pixels" with the squared error in the place of the features. All are
judged on images that none was trained on.

Columns. Nearness to the true image: PSNR and SSIM of the brightness (higher is nearer), distance of the shipped classifier's features (SRGAN learnt
on the second of its five layers) and of EfficientNet-Lite0's (which SRGAN never saw). Likeness to true images as a set, beside other ones: kernel
distance x 1000 of both networks' features, and the share that a linear classifier of the shipped classifier's features, fitted on half of them,
mixes up on the other half (50 %: it cannot tell). Sharpness: power at the upper half of the frequencies against the true images', in decibels, and
the length of the gradients over theirs. With ``--keep`` the same command continues where it was stopped.
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
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.distances import open_distance
from saddlepoint.evaluation.extractors import open_extractor
from saddlepoint.evaluation.grid import image_grid, to_uint8
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.paired import luma, paired_distance, psnr, ssim
from saddlepoint.evaluation.probes import linear_probe
from saddlepoint.evaluation.spectra import fine_gap, sharpness
from saddlepoint.studies.budget import markdown, spread, trained
from saddlepoint.studies.pool import Job, Record, answered, run_missing, write_text
from saddlepoint.zoo.catalogue import find_recipe

FACTOR, TESTED, SHOWN = 4, 500, 12
RESOLUTION = {"fashion": 28, "emoji": 32}
RATE = 0.3  # of the first phase's 1e-3, in the second, which has a few hundred rounds of the paper's 200,000
COLUMNS = {
    "psnr": ("PSNR", "{:.2f}"),
    "ssim": ("SSIM", "{:.3f}"),
    "quick": ("quick distance", "{:.3f}"),
    "lite0": ("Lite0 distance", "{:.3f}"),
    "quick_kid": ("quick KID x 1000", "{:.0f}"),
    "lite0_kid": ("Lite0 KID x 1000", "{:.0f}"),
    "mixed": ("mixed up", "{:.1f} %"),
    "spectrum": ("fine power, dB", "{:.1f}"),
    "sharpness": ("sharpness", "{:.2f}"),
}
ARMS = {
    "pixels repeated": "nearest",
    "bicubic": "bicubic",
    "SRResNet": "small-srresnet",
    "SRGAN on pixels": "small-mse",
    "features alone": "small-srresnet-features",
    "SRGAN": "small",
}


@functools.cache
def opened(name: str, part: str) -> ArrayDataset:
    """The images that arms are trained on ("train"), and those they are judged by ("test")."""
    return open_data(f"{name}:{part}", resolution=RESOLUTION[name])


def judges(name: str) -> tuple[Tensor, Tensor]:
    """True images of the test part, and as many others, or more: the rest of it, or where it is small images of the training part."""
    tests, train = opened(name, "test"), opened(name, "train")
    true = tests.records(torch.arange(min(len(tests), TESTED)))["image"]
    rest = tests if len(tests) >= 2 * TESTED else train
    rows = torch.arange(TESTED, 2 * TESTED) if rest is tests else torch.arange(min(len(train), 2 * TESTED))
    return true, rest.records(rows)["image"]


def enlarger(job: Job) -> tuple[Callable[[Tensor], Tensor], int]:
    """Small images in [-1, 1] -> large ones, and the rounds they were learnt in."""
    how, side = ARMS[job["arm"]], RESOLUTION[job["data"]]
    if how in ("nearest", "bicubic"):
        settings: dict[str, Any] = {"mode": how} | ({"align_corners": False} if how == "bicubic" else {})
        return lambda small: F.interpolate(small, (side, side), **settings).clamp(-1, 1), 0
    entry, data = find_recipe("srgan"), opened(job["data"], "train")
    preset: Any = entry.preset(how)
    config = dataclasses.replace(preset, width=job["width"], resolution=side, adversarial_rate=RATE)
    if how == "small-srresnet":
        game, rounds = trained(lambda: entry.game(config, data), data, config, seconds=job["seconds"], seed=job["seed"])
    else:
        game, rounds = _in_two_parts(config, data, job)
    made: Any = game
    return made.translate, rounds


def _in_two_parts(config: Any, data: Any, job: Job) -> tuple[Any, int]:
    """SRGAN's two phases, half of the time for each: their rounds have different cost, so each is measured."""
    entry = find_recipe("srgan")
    first = dataclasses.replace(config, adversarial_weight=0.0, content="pixels", pretrain=0)
    start, before = trained(lambda: entry.game(first, data), data, first, seconds=job["seconds"] / 2, seed=job["seed"])
    second = dataclasses.replace(config, pretrain=0)
    if not config.adversarial_weight:  # at the same rate as with one
        second = dataclasses.replace(second, optimizer=dataclasses.replace(config.optimizer, lr=config.optimizer.lr * config.adversarial_rate))

    def build() -> Any:
        game = entry.game(second, data)
        game.generator.load_state_dict(start.generator.state_dict())  # type: ignore[union-attr]
        return game

    game, after = trained(build, data, second, seconds=job["seconds"] / 2, seed=job["seed"])
    return game, before + after


def work(job: Job) -> Record:
    """Train one arm, and judge its enlargements of the test images."""
    torch.set_num_threads(1)
    translate, rounds = enlarger(job)
    true, others = judges(job["data"])
    small = F.interpolate(true.float() / 127.5 - 1, [side // FACTOR for side in true.shape[2:]], mode="bicubic", antialias=True, align_corners=False)
    with torch.no_grad():
        made = torch.from_numpy(to_uint8(torch.cat([translate(part) for part in torch.split(small.clamp(-1, 1), 50)])))
    picture = Path(job["folder"]) / f"{job['data']}-{job['arm'].replace(' ', '-')}-{job['seed']}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    image_grid(torch.cat([made[:SHOWN], true[:SHOWN]]), columns=SHOWN).save(picture)
    bright, truth = (luma(images, border=FACTOR) for images in (made, true))
    record: Record = {"rounds": rounds, "psnr": float(np.mean(psnr(bright, truth))), "ssim": float(np.mean(ssim(bright, truth)))}
    for name, network in (("quick", "quick"), ("lite0", "lite0@64")):
        look = open_extractor(network)
        ours, theirs = (look(images)["features"] for images in (made, others))
        record[name] = float(np.mean(paired_distance(made, true, open_distance(network).between)))
        record[f"{name}_kid"] = 1000 * kernel_distance(theirs, ours).value
        if name == "quick":
            record["mixed"] = 100 * _mixed_up(ours, theirs[: len(ours)], job["seed"])
    return record | {"spectrum": fine_gap(true, made), "sharpness": float(np.mean(sharpness(made)) / np.mean(sharpness(true)))}


def _mixed_up(ours: Tensor, theirs: Tensor, seed: int) -> float:
    """Error of a linear classifier that tells features of enlarged from those of true images; half of them are for its training."""
    half = len(ours) // 2
    labels = [np.repeat([0, 1], n) for n in (half, len(ours) - half)]
    found = linear_probe(torch.cat([ours[:half], theirs[:half]]), labels[0], torch.cat([ours[half:], theirs[half:]]), labels[1], seed=seed)
    return 1 - found.accuracy


def as_table(records: Sequence[Record]) -> str:
    """A row an arm."""
    rows = []
    for arm in ARMS:
        mine = [record for record in records if record["job"]["arm"] == arm]
        if not mine:
            continue
        cells = [spread([record[key] for record in mine], form) for key, (_, form) in COLUMNS.items()]
        rows.append([arm, *cells, spread([record["rounds"] for record in mine], "{:.0f}")])
    return markdown(["arm", *(name for name, _ in COLUMNS.values()), "rounds"], rows)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, train what is missing, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.enlarging", description="SRGAN and the squared error.")
    parser.add_argument("--data", choices=list(RESOLUTION), default="fashion")
    parser.add_argument("--seconds", type=float, default=40, help="of the processor, for each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--arms", nargs="+", default=[arm for arm in ARMS if arm != "SRGAN on pixels"], choices=list(ARMS))
    parser.add_argument("--keep", type=Path, help="folder of finished runs and their pictures; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as aside:
        keep = given.keep or Path(aside)
        common = {"data": given.data, "seconds": given.seconds, "width": given.width, "folder": str(keep)}
        jobs = [{"arm": arm, "seed": seed, **common} for arm in given.arms for seed in range(given.seeds if ARMS[arm].startswith("small") else 1)]
        text = as_table(run_missing(work, jobs, keep / "runs.jsonl"))
    write_text(text, given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
