"""``python -m saddlepoint.studies.shapes``: 3D-GAN with and without its gate, and shapes from pictures with an opponent and without.

    samples    "gated" is 3D-GAN's preset "small-16", whose D moves only while it is right about at most 80 % of a batch; "always" is the same without
               the gate. Samples are compared with as many volumes that were held out, by intersection over union at .5: the mean distance 1 - IoU of
               held-out volumes to their nearest sample (mmd, lower is better), the share of held-out volumes that are the nearest of some sample
               (coverage), the mean IoU of samples with their nearest training volume (1: learnt by heart), and the share of a sample's voxels that
               hang together. "real" puts other real volumes in the place of samples
    pictures   volumes made of the pictures of held-out records: "joint" is 3D-VAE-GAN's preset "small-16", "regression" the same without D and KL,
               "weighed as at 32" is "joint" with the weight of the error that fits eight times as many voxels. Beside them what needs no training:
               "nearest picture" takes the training volume with the most alike picture, "mean volume" the average of all. IoU and average precision

``--data`` is any data of volumes, for example ``furniture``; ``--words`` keeps the records whose names have one of them. Cells are means over seeds
with their least and most. Writes Markdown tables, and with ``--picture`` what the first seed made, above its nearest training volumes (samples) and
beside picture and truth (pictures); with ``--keep`` every finished run is kept, and the same command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import Batch, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed, use
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.gan3d import VAEGAN3DGame
from saddlepoint.objectives.overlap import average_precision, iou, pairwise_iou
from saddlepoint.report.volumes import connectedness, picture
from saddlepoint.studies.pool import Job, Record, answered, run_missing, write_text
from saddlepoint.studies.questions import Arm, trained
from saddlepoint.training import machine

SIDE, SHOWN = 16, 8
ARMS: dict[str, dict[str, Arm | None]] = {
    "samples": {"real": None, "gated": ("3d-gan", "small-16", {}), "always": ("3d-gan", "small-16", {"most_accuracy": None})},
    "pictures": {
        "mean volume": None,
        "nearest picture": None,
        "regression": ("3d-vae-gan", "small-16-regression", {}),
        "joint": ("3d-vae-gan", "small-16", {}),
        "weighed as at 32": ("3d-vae-gan", "small-16", {"reconstruction_weight": 5e-3}),
    },
}
ROUNDS = {"samples": 400, "pictures": 250}
Head = dict[str, tuple[str, str]]
COLUMNS: dict[str, Head] = {
    "samples": {
        "mmd": ("mmd", "{:.3f}"),
        "coverage": ("coverage", "{:.2f}"),
        "nearest": ("IoU with nearest training volume", "{:.2f}"),
        "connected": ("connected", "{:.2f}"),
        "moves": ("rounds that D moved in", "{:.0%}"),
        "cpu_sec": ("CPU seconds", "{:.0f}"),
    },
    "pictures": {"iou": ("IoU", "{:.3f}"), "precision": ("average precision", "{:.3f}"), "cpu_sec": ("CPU seconds", "{:.0f}")},
}


def opened(job: Job) -> tuple[ArrayDataset, ArrayDataset]:
    """The records to train with, and those held out: the data's own parts, or, of those with a word, three of four and every fourth."""
    if not job["words"]:
        return open_data(f"{job['data']}:train", resolution=SIDE), open_data(f"{job['data']}:test", resolution=SIDE)
    data = open_data(job["data"], resolution=SIDE)
    rows = torch.tensor([row for row, name in enumerate(data.names) if any(word in name.lower() for word in job["words"])])
    if len(rows) < 4 * SHOWN:
        raise UsageError(f"{len(rows)} records of {job['data']} have {', '.join(job['words'])} in their names; {4 * SHOWN} are needed.")
    held = torch.arange(len(rows)) % 4 == 3
    return data.part(rows[~held], "train"), data.part(rows[held], "test")


def volumes_of(data: ArrayDataset) -> Tensor:
    """All volumes [n, 1, s, s, s]."""
    return data.records(torch.arange(len(data)))["volume"]


def work(job: Job) -> Record:
    """One run: its scores, and the first volumes it made, rounded, as bits."""
    torch.set_num_threads(1)
    return _samples(job) if job["question"] == "samples" else _pictures(job)


# -- samples ------------------------------------------------------------------------------------------------------------------------------------


def compare(samples: Tensor, held_out: Tensor, train: Tensor) -> dict[str, float]:
    """The scores of samples [n, 1, s, s, s]."""
    found = pairwise_iou(held_out, samples)  # held out, sample
    return {
        "mmd": 1 - float(found.amax(1).mean()),
        "coverage": len(torch.unique(found.argmax(0))) / len(held_out),
        "nearest": float(pairwise_iou(samples, train).amax(1).mean()),
        "connected": float(connectedness(samples).mean()),
    }


def _samples(job: Job) -> Record:
    data, others = opened(job)
    held_out, train = volumes_of(others), volumes_of(data)
    arm = ARMS["samples"][job["arm"]]
    if arm is None:
        rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(job["seed"]))[: len(others)]
        rest = torch.ones(len(data), dtype=torch.bool).index_fill(0, rows, False)
        return compare(train[rows], held_out, train[rest]) | {"samples": _bits(train[rows[:SHOWN]])}
    moves, began = 0, time.process_time()

    def count(round: int, values: dict[str, Tensor]) -> None:
        nonlocal moves
        moves += "discriminator/adversarial" in values

    game = trained(arm, data, job["rounds"], job["seed"], record=count)
    seconds = round(time.process_time() - began, 1)
    samples = draw_samples(game, len(others), seed=job["seed"])
    return compare(samples, held_out, train) | {"cpu_sec": seconds, "moves": moves / job["rounds"], "samples": _bits(samples[:SHOWN])}


# -- pictures -----------------------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _pictures(job: Job) -> Record:
    data, others = opened(job)
    arm, began = ARMS["pictures"][job["arm"]], time.process_time()
    game: VAEGAN3DGame = trained(arm or ("3d-vae-gan", "small-16", {"rounds": 1}), data, job["rounds"], job["seed"])
    seconds = round(time.process_time() - began, 1)
    batch = _looked_at(game, others)
    if arm is not None:
        made = game.shapes_of(batch["image"])
    else:
        known = _looked_at(game, data)
        mean = known["volume"].mean(0, keepdim=True).expand_as(batch["volume"])
        near = torch.cdist(batch["image"].flatten(1), known["image"].flatten(1)).argmin(1)
        made = mean if job["arm"] == "mean volume" else known["volume"][near]
    scores = {"iou": float(iou(made, batch["volume"]).mean()), "precision": float(average_precision(made, batch["volume"]).mean())}
    return scores | ({} if arm is None else {"cpu_sec": seconds}) | {"samples": _bits(made[:SHOWN])}


def _looked_at(game: VAEGAN3DGame, data: ArrayDataset) -> Batch:
    """Volumes and what E sees of them."""
    batch = to_device(data.records(torch.arange(len(data))), "cpu")
    with use(Draws.seeded(derive_seed("pictures of shapes"))):
        images = game.images(batch) if "image" not in batch.fields else game.fitted(batch["image"])
    return Batch({"volume": batch["volume"], "image": images})


# -- tables and pictures ------------------------------------------------------------------------------------------------------------------------


def _bits(volumes: Tensor) -> str:
    return np.packbits((volumes > 0.5).numpy()).tobytes().hex()


def _volumes(bits: str) -> Tensor:
    flat = np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8))
    return torch.from_numpy(flat.astype(np.float32)).view(-1, 1, SIDE, SIDE, SIDE)


def as_table(records: Sequence[Record], question: str) -> str:
    """A row an arm."""
    columns, rows = COLUMNS[question], []
    for arm in ARMS[question]:
        mine = [record for record in records if record["job"]["question"] == question and record["job"]["arm"] == arm]
        if mine:
            rows.append([arm, *(_spread([record[name] for record in mine], form) if name in mine[0] else "" for name, (_, form) in columns.items())])
    lines = [["", *(head for head, _ in columns.values())], ["---"] * (len(columns) + 1), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _spread(values: Sequence[float], form: str) -> str:
    mean, least, most = (form.format(value) for value in (float(np.mean(values)), min(values), max(values)))
    return mean if least == most else f"{mean} ({least} to {most})"


def draw(records: Sequence[Record], path: Path) -> None:
    """The first seed's volumes: samples of each arm, each above its nearest training volume; then what arms made of the pictures, above the truth."""
    firsts = [record for record in records if record["job"]["seed"] == 0]
    data, others = opened(firsts[0]["job"])
    train, rows = volumes_of(data), []
    for record in firsts:
        made = _volumes(record["samples"])
        if record["job"]["question"] == "pictures":
            rows.append(made)
        elif record["job"]["arm"] != "real":
            rows += [made, train[pairwise_iou(made, train).argmax(1)]]
    if any(record["job"]["question"] == "pictures" for record in firsts):
        rows.append(volumes_of(others)[:SHOWN])
    picture(torch.cat(rows), columns=SHOWN).save(path)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.shapes", description="3D-GAN's gate, and shapes from pictures.")
    parser.add_argument("--questions", nargs="+", choices=[*ARMS], default=["samples"])
    parser.add_argument("--data", default="shapes3d", help="volumes by name or path")
    parser.add_argument("--words", nargs="+", default=[], help="of names: records without any of them are left out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, help="of every run; left out: a number of the question's own")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file of finished runs; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    parser.add_argument("--picture", type=Path, help="PNG file")
    given = parser.parse_args(arguments)
    rounds = {question: given.rounds or ROUNDS[question] for question in given.questions}
    common: dict[str, Any] = {"data": given.data, "words": given.words}
    jobs = [
        common | {"question": question, "arm": arm, "seed": seed, "rounds": rounds[question]}
        for question in given.questions
        for arm in ARMS[question]
        for seed in range(given.seeds if ARMS[question][arm] or arm == "real" else 1)
    ]
    with tempfile.TemporaryDirectory() as aside:
        records = run_missing(work, jobs, given.keep or Path(aside) / "runs.jsonl", processes=given.processes)
    kept = f" (names with {', '.join(given.words)})" if given.words else ""
    about = f"{given.data}{kept} at {SIDE} voxels a side, {given.seeds} seeds; mean (least to most)."
    made = f"On {machine.hardware()}, torch {machine.versions()['torch']}, commit {machine.commit() or 'unknown'}, one thread a run."
    tables = [f"{question}, {rounds[question]} rounds\n\n{as_table(records, question)}" for question in given.questions]
    write_text(f"{about} {made}\n\n" + "\n".join(tables), given.out)
    if given.picture is not None:
        draw(records, given.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
