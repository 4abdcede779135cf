"""``python -m saddlepoint.studies.path_length``: what path length regularisation does to the perceptual path length, and to quality.

Karras et al. 2020 (arXiv:1912.04958), Table 1: from configuration C to D, path length regularisation, PPL falls from about 500 to about 140 on faces;
E and F keep it. Here the small preset of ``stylegan2`` trains with the regulariser at each weight and without it, from the same weights, on the same
data in the same order, for the same rounds: the regulariser's own moves are extra. PPL is on a network of the library's own (docs/metrics.md), so its
unit is not the paper's; ratios within a table are what is comparable.

Writes a Markdown table. Every finished run is kept in ``--keep``, and the same command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.distances import open_distance
from saddlepoint.evaluation.extractors import as_input
from saddlepoint.evaluation.perceptual import perceptual_diversity, walk_path_length
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.evaluation.walks import walk_of
from saddlepoint.games.game import Samples
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, answered, run_missing, write_text
from saddlepoint.studies.toys import cell
from saddlepoint.zoo.catalogue import find_recipe

PATHS: tuple[tuple[Literal["z", "w"], Literal["full", "end"]], ...] = (("w", "full"), ("w", "end"), ("z", "full"))
COLUMNS = {
    "ppl_wfull": ("PPL, w, full", "{:.4g}"),
    "ppl_wend": ("PPL, w, ends", "{:.4g}"),
    "ppl_zfull": ("PPL, z, full", "{:.4g}"),
    "diversity": ("distance of two samples", "{:.3g}"),
    "quick_frechet": ("quick Frechet distance", "{:.3g}"),
    "cpu_sec": ("CPU s", "{:.0f}"),
}


def work(job: Job) -> Record:
    """One run: path lengths in w and z, the variety and the quick Frechet distance of its samples, and the seconds of its training."""
    torch.set_num_threads(1)
    recipe, data = find_recipe("stylegan2"), open_data(job["data"], resolution=job["resolution"])
    small: Any = recipe.preset("small")
    config = replace(small, resolution=job["resolution"], rounds=job["rounds"], path_weight=job["weight"])
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = recipe.game(config, data)
    begun = time.process_time()
    play(game, data, rounds=config.rounds, batch=config.batch, seed=job["seed"], every=config.rounds)
    record: Record = {"cpu_sec": time.process_time() - begun}
    walk, distance = walk_of(game), open_distance(job["distance"]).between
    assert walk is not None and isinstance(game, Samples)
    for space, sampling in PATHS:
        found = walk_path_length(walk, distance, space=space, sampling=sampling, num_samples=job["paths"], seed=job["seed"])
        record[f"ppl_{space}{sampling}"] = found.value
    scorer = QuickScorer(data)
    samples = draw_samples(game, scorer.num_fake, seed=job["seed"])
    record["diversity"] = perceptual_diversity(samples, lambda x, y: distance(as_input(x, "cpu"), as_input(y, "cpu")), pairs=job["paths"]).value
    return record | {"quick_frechet": scorer.score(samples)["quick_frechet"]}


def measure(given: argparse.Namespace, keep: Path) -> list[Record]:
    """Both arms, one seed after the other."""
    common = {"data": given.data, "resolution": given.resolution, "rounds": given.rounds, "paths": given.paths, "distance": given.distance}
    weights = [None, *given.weights]
    jobs = [common | {"weight": weight, "seed": seed} for seed in range(given.seeds) for weight in weights]
    return run_missing(work, jobs, keep, processes=given.processes)


def as_table(records: Sequence[Record]) -> str:
    """A row a weight, none first: medians over the seeds with least and most, and the path length as a share of that without, seed by seed."""
    weights = list(dict.fromkeys(record["job"]["weight"] for record in records))
    plain = {record["job"]["seed"]: record for record in records if record["job"]["weight"] is None}
    heads = ["path length weight", *(head for head, _ in COLUMNS.values()), "PPL, w, full: share of that without"]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for weight in weights:
        mine = [record for record in records if record["job"]["weight"] == weight]
        cells = [cell([record[key] for record in mine], form) for key, (_, form) in COLUMNS.items()]
        share = cell([record["ppl_wfull"] / plain[record["job"]["seed"]]["ppl_wfull"] for record in mine], "{:.2f}")
        lines.append("| " + " | ".join(["none" if weight is None else f"{weight:g}", *cells, "" if weight is None else share]) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(
        prog="python -m saddlepoint.studies.path_length", description="StyleGAN2 with path length regularisation and without."
    )
    parser.add_argument("--data", default="fashion")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--weights", type=float, nargs="+", default=[2.0], help="of the regulariser; without it is always measured")
    parser.add_argument("--paths", type=int, default=2000, help="short steps that are measured")
    parser.add_argument("--distance", default="quick", help="as for saddlepoint evaluate")
    parser.add_argument("--processes", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--keep", type=Path, help="file of finished runs; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    given = parser.parse_args(arguments)
    if min(given.rounds, given.seeds, given.paths) < 1:
        raise UsageError(f"Rounds, seeds and paths must be at least 1; {given.rounds}, {given.seeds} and {given.paths} came.")
    with tempfile.TemporaryDirectory() as aside:
        text = as_table(measure(given, given.keep or Path(aside) / "runs.jsonl"))
    write_text(text, given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
