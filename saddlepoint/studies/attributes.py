"""``python -m saddlepoint.studies.attributes``: StarGAN for several attributes against one CycleGAN for each, at equal cost.

Drawn faces (``faces``) can be drawn again with any attribute turned over, so the exact target of every translation is known. Each of the attributes
is turned over alone, and all of them at once: StarGAN does it in one pass, CycleGANs one after the other. These share StarGAN's time equally.

Columns: translations that a classifier trained on real faces gives exactly the attributes asked for; mean absolute error from the exact target, in
percent of the range. "Left as they are" are the inputs, "real" the targets. With ``--keep`` the same command continues where it was stopped.
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
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.drawn_faces import ATTRIBUTES, draw_faces
from saddlepoint.data.records import DataSpec
from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.grid import image_grid, to_uint8
from saddlepoint.evaluation.paired import target_error
from saddlepoint.evaluation.trainee import train_classifier
from saddlepoint.games.game import Game
from saddlepoint.studies.budget import markdown, spread, trained
from saddlepoint.studies.pool import Job, Record, answered, run_missing, write_text
from saddlepoint.zoo.catalogue import find_recipe

FACES, TESTED, TAUGHT, SHOWN = 2_000, 200, 1_500, 8  # trained on, translated, for the classifier, in the picture
Translate = Callable[[Tensor, Tensor, Tensor], Tensor]


@functools.cache
def faces(resolution: int) -> ArrayDataset:
    """The faces that arms are trained on."""
    whole = open_data("faces:train", resolution=resolution)
    return whole.part(torch.arange(FACES), f"first{FACES}")


def columns_of(names: Sequence[str]) -> list[int]:
    """Where attributes stand among all."""
    return [ATTRIBUTES.index(name) for name in names]


@functools.cache
def classifier(resolution: int, names: tuple[str, ...]) -> Callable[[Tensor], NDArray[np.int64]]:
    """Faces uint8 -> the number whose bits are the attributes."""
    records = faces(resolution).records(torch.arange(TAUGHT))
    with torch.enable_grad():
        return train_classifier(records["image"], bits(records["attributes"][:, columns_of(names)]), 2 ** len(names))


def bits(attributes: Tensor) -> NDArray[np.int64]:
    """Attributes [n, k] of 0 and 1 as one number each."""
    return np.asarray((attributes.long() * 2 ** torch.arange(attributes.shape[1])).sum(1).numpy())


def domains(data: ArrayDataset, column: int) -> ArrayDataset:
    """Faces without an attribute, and others with it, for CycleGAN."""
    images, present = data.records(torch.arange(len(data)))["image"], data.column("attributes")[:, column] > 0.5
    without, those = images[~present], images[present]
    n = max(len(without), len(those))
    fields = {"image": without[torch.arange(n) % len(without)], "other": those[torch.arange(n) % len(those)]}
    shape = tuple(images.shape[1:])
    return ArrayDataset(fields, DataSpec(name="faces", kind="image", shape=shape, num_records=n, fields=tuple(fields), shapes={"other": shape}))


def stargan(job: Job) -> tuple[Translate, Record]:
    """One network for all attributes: x, known and wanted attributes [n, k] -> translations."""
    entry, data = find_recipe("stargan"), faces(job["resolution"])
    preset: Any = entry.preset("small")
    config = dataclasses.replace(preset, attributes=tuple(job["names"]), width=job["width"], d_width=2 * job["width"], resolution=job["resolution"])
    game, rounds = trained(lambda: entry.game(config, data), data, config, seconds=job["seconds"], seed=job["seed"])
    made: Any = game
    return lambda x, known, wanted: made.generator(x, wanted), {"rounds": rounds, "parameters": _parameters([game])}


def cyclegans(job: Job) -> tuple[Translate, Record]:
    """A pair of networks for each attribute, applied one after the other where several change."""
    entry, games, rounds = find_recipe("cyclegan"), [], []
    preset: Any = entry.preset("small")
    config = dataclasses.replace(preset, width=job["width"], d_width=2 * job["width"], resolution=job["resolution"])
    for column in columns_of(job["names"]):
        data = domains(faces(job["resolution"]), column)
        build = functools.partial(entry.game, config, data)
        game, played = trained(build, data, config, seconds=job["seconds"] / len(job["names"]), seed=job["seed"])
        games.append(game)
        rounds.append(played)

    def translate(x: Tensor, known: Tensor, wanted: Tensor) -> Tensor:
        for k, game in enumerate(games):
            made: Any = game
            for back in (False, True):
                rows = known[:, k] - wanted[:, k] == (1 if back else -1)
                if rows.any():
                    x = x.clone()
                    x[rows] = made.translate(x[rows], back=back)
        return x

    return translate, {"rounds": round(float(np.mean(rounds))), "parameters": _parameters(games)}


def _parameters(games: Sequence[Game]) -> int:
    return sum(p.numel() for game in games for p in game.parameters())


ARMS: dict[str, Callable[[Job], tuple[Translate, Record]]] = {
    "left as they are": lambda job: (lambda x, known, wanted: x, {"rounds": 0, "parameters": 0}),
    "one CycleGAN an attribute": cyclegans,
    "StarGAN": stargan,
}


@torch.no_grad()
def work(job: Job) -> Record:
    """Train one arm, and translate the test faces."""
    with torch.enable_grad():
        translate, record = ARMS[job["arm"]](job)
    names, side = tuple(job["names"]), job["resolution"]
    columns = columns_of(names)
    tests = open_data("faces:test", resolution=side).records(torch.arange(TESTED))
    x, known = tests["image"].float() / 127.5 - 1, tests["attributes"]
    changes = torch.cat([torch.eye(len(names)), torch.ones(1, len(names))])
    shown = [tests["image"][:SHOWN]]
    for label, change in zip([*names, "all at once"], changes, strict=True):
        wanted = known.clone()
        wanted[:, columns] = (known[:, columns] - change).abs()
        target = draw_faces(tests["identity"], wanted, side)
        made = torch.from_numpy(to_uint8(torch.cat([translate(*part) for part in _pieces(x, known[:, columns], wanted[:, columns])])))
        truth = bits(wanted[:, columns])
        record[label] = {
            "right": float(np.mean(classifier(side, names)(made) == truth)),
            "error": 100 * float(np.mean(target_error(made, target))),
            "real": float(np.mean(classifier(side, names)(target) == truth)),
        }
        shown += [made[:SHOWN], target[:SHOWN]]
    picture = Path(job["folder"]) / f"{job['arm'].replace(' ', '-')}-{job['seed']}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    image_grid(torch.cat(shown), columns=SHOWN).save(picture)
    return record


def _pieces(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    return list(zip(*(torch.split(tensor, 50) for tensor in tensors), strict=True))


def as_table(records: Sequence[Record]) -> str:
    """A row an arm."""
    labels = [*records[0]["job"]["names"], "all at once"]
    head = ["arm", *(f"{label}: {what}" for label in labels for what in ("right", "error")), "rounds", "parameters"]
    rows = []
    for arm in ARMS:
        mine = [record for record in records if record["job"]["arm"] == arm]
        cells = [
            spread([100 * record[label]["right"] for record in mine], "{:.0f} %") if what == "right" else spread([r[label]["error"] for r in mine])
            for label in labels
            for what in ("right", "error")
        ]
        rows.append([arm, *cells, spread([record["rounds"] for record in mine], "{:.0f}"), f"{mine[0]['parameters'] / 1e6:.2f} M"])
    real = [item for label in labels for item in (f"{100 * records[0][label]['real']:.0f} %", "0")]
    return markdown(head, [["*real*", *real, "", ""], *rows])


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, train what is missing, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.attributes", description="StarGAN and one CycleGAN an attribute, on faces.")
    parser.add_argument("--names", nargs="+", default=["glasses", "hat", "long-hair"], choices=ATTRIBUTES, help="attributes that are turned over")
    parser.add_argument("--seconds", type=float, default=20, help="of the processor, for StarGAN, and for all CycleGANs together")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--resolution", type=int, default=16)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--keep", type=Path, help="folder of finished runs and their pictures; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as aside:
        keep = given.keep or Path(aside)
        common = {"names": given.names, "seconds": given.seconds, "resolution": given.resolution, "width": given.width, "folder": str(keep)}
        jobs = [{"arm": arm, "seed": seed, **common} for arm in ARMS for seed in range(1 if arm.startswith("left") else given.seeds)]
        text = as_table(run_missing(work, jobs, keep / "runs.jsonl"))
    write_text(text, given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
