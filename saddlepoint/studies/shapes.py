"""``python -m saddlepoint.studies.shapes``: 3D-GAN with and without its gate, against the furniture it was trained on.

"gated" is the recipe's preset "small-16", whose D moves only while it is right about at most 80 % of a batch; "always" is the same without the gate.
Samples are compared with as many volumes that were held out, by intersection over union at .5: the mean distance 1 - IoU of held-out volumes to
their nearest sample (mmd, lower is better), the share of held-out volumes that are the nearest of some sample (coverage), the mean IoU of samples
with their nearest training volume (1: learnt by heart), and the share of a sample's voxels that hang together. "real" puts other real volumes in the
place of samples.

Cells are means over seeds with their least and most. Writes a Markdown table, and with ``--picture`` each arm's samples above their nearest training
volumes; with ``--keep`` every finished run is kept, and the same command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.gan3d import GAN3DGame
from saddlepoint.objectives.overlap import pairwise_iou
from saddlepoint.report.volumes import connectedness, picture
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, run_missing, write_text
from saddlepoint.training import machine
from saddlepoint.zoo.catalogue import find_recipe

DATA = "shapes3d"
ARMS: dict[str, dict[str, Any]] = {"gated": {}, "always": {"most_accuracy": None}}
COLUMNS = {"mmd": "{:.3f}", "coverage": "{:.2f}", "nearest": "{:.2f}", "connected": "{:.2f}", "cpu_sec": "{:.0f}"}
SHOWN = 8


def compare(samples: Tensor, held_out: Tensor, train: Tensor) -> dict[str, float]:
    """The scores of samples [n, 1, s, s, s]."""
    found = pairwise_iou(held_out, samples)  # held out, sample
    return {
        "mmd": 1 - float(found.amax(1).mean()),
        "coverage": len(torch.unique(found.argmax(0))) / len(held_out),
        "nearest": float(pairwise_iou(samples, train).amax(1).mean()),
        "connected": float(connectedness(samples).mean()),
    }


def work(job: Job) -> Record:
    """One run: its scores, the share of the rounds that D moved in, and its first samples, rounded, as bits."""
    torch.set_num_threads(1)
    entry = find_recipe("3d-gan")
    data, others = (open_data(f"{DATA}:{part}", resolution=16) for part in ("train", "test"))
    held_out, train = (each.records(torch.arange(len(each)))["volume"] for each in (others, data))
    if job["arm"] == "real":
        rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(job["seed"]))[: len(others)]
        rest = torch.ones(len(data), dtype=torch.bool).index_fill(0, rows, False)
        return compare(train[rows], held_out, train[rest]) | {"cpu_sec": 0.0, "moves": 1.0, "samples": _bits(train[rows[:SHOWN]])}
    small: Any = entry.preset("small-16")
    config = dataclasses.replace(small, rounds=job["rounds"], **ARMS[job["arm"]])
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game, moves, began = entry.game(config, data), 0, time.process_time()
    assert isinstance(game, GAN3DGame)

    def count(round: int, values: dict[str, Tensor]) -> None:
        nonlocal moves
        moves += "discriminator/adversarial" in values

    play(game, data, rounds=config.rounds, batch=config.batch, seed=job["seed"], every=config.rounds, record=count)
    seconds = round(time.process_time() - began, 1)
    samples = draw_samples(game, len(others), seed=job["seed"])
    return compare(samples, held_out, train) | {"cpu_sec": seconds, "moves": moves / config.rounds, "samples": _bits(samples[:SHOWN])}


def _bits(volumes: Tensor) -> str:
    return np.packbits((volumes > 0.5).numpy()).tobytes().hex()


def _volumes(bits: str) -> Tensor:
    flat = np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8))
    return torch.from_numpy(flat.astype(np.float32)).view(SHOWN, 1, 16, 16, 16)


def as_table(records: Sequence[Record]) -> str:
    """A row an arm."""
    head = ["", "mmd", "coverage", "IoU with nearest training volume", "connected", "rounds that D moved in", "CPU seconds"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for arm in dict.fromkeys(record["job"]["arm"] for record in records):
        mine = [record for record in records if record["job"]["arm"] == arm]
        cells = [_spread([record[name] for record in mine], form) for name, form in COLUMNS.items()]
        cells.insert(4, _spread([record["moves"] for record in mine], "{:.0%}"))
        lines.append("| " + " | ".join([arm, *(cells if arm != "real" else [*cells[:4], "", ""])]) + " |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float], form: str) -> str:
    mean, least, most = (form.format(value) for value in (float(np.mean(values)), min(values), max(values)))
    return f"{mean} ({least} to {most})"


def draw(records: Sequence[Record], path: Path) -> None:
    """The first seed's samples of each arm, each above its nearest training volume."""
    data = open_data(f"{DATA}:train", resolution=16)
    train = data.records(torch.arange(len(data)))["volume"]
    firsts = [_volumes(record["samples"]) for record in records if record["job"]["seed"] == 0 and record["job"]["arm"] != "real"]
    rows = [torch.cat([samples, train[pairwise_iou(samples, train).argmax(1)]]) for samples in firsts]
    picture(torch.cat(rows), columns=SHOWN).save(path)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.shapes", description="3D-GAN with and without its gate.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file of finished runs; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    parser.add_argument("--picture", type=Path, help="PNG file")
    given = parser.parse_args(arguments)
    jobs = [{"arm": arm, "seed": seed, "rounds": given.rounds} for arm in ("real", *ARMS) for seed in range(given.seeds)]
    with tempfile.TemporaryDirectory() as aside:
        records = run_missing(work, jobs, given.keep or Path(aside) / "runs.jsonl", processes=given.processes)
    about = f"{DATA} at 16 voxels a side, {given.rounds} rounds of 32 volumes, preset small-16, {given.seeds} seeds; mean (least to most)."
    made = f"On {machine.hardware()}, torch {machine.versions()['torch']}, commit {machine.commit() or 'unknown'}, one thread a run."
    text = f"{about} {made}\n\n{as_table(records)}"
    write_text(text, given.out)
    if given.picture is not None:
        draw(records, given.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
