"""``python -m saddlepoint.studies.metric_stream``: the engine on 100 thousand, a million and ten million samples, and the memory it takes.

Both sides are normal in 64 dimensions and made as they are read; the second is shifted by 0.1 in each, so that the Frechet distance is 0.64. Classes
are the softmax of ten coordinates, for the Inception score. The kernel distance looks at the first 10,000 rows a side, as everywhere in the engine.
Every number of samples has a process of its own, whose peak of memory is told beside that of an empty one. Writes Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.evaluation import scoring
from saddlepoint.evaluation.case import Case
from saddlepoint.evaluation.extractors import Extractor, Outputs
from saddlepoint.evaluation.sets import of_function
from saddlepoint.evaluation.store import Features
from saddlepoint.studies.footprint import peak_bytes
from saddlepoint.studies.pool import answered, write_text

DIMENSION, SHIFT, CLASSES = 64, 0.1, 10
MEASURES = {"Frechet distance": scoring.frechet, "kernel distance": scoring.kernel, "Inception score": scoring.inception}


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure each number of samples in a process of its own, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.metric_stream", description="Memory of the engine against sample counts.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000], help="samples a side, 20 or more")
    parser.add_argument("--out", type=Path, help="Markdown file; None: to the screen")
    parser.add_argument("--one", type=int, help="measure one number of samples here, and print JSON")
    given = parser.parse_args(arguments)
    if given.one is not None:
        sys.stdout.write(json.dumps(measure(given.one)) + "\n")
        return 0
    found = [_in_its_own_process(size) for size in (0, *given.sizes)]
    text = as_table(found[0], found[1:])
    write_text(text, given.out)
    return 0


def measure(num: int) -> dict[str, Any]:
    """Scores of so many samples a side, in this process: {"scores": {name: [value, error]}, "seconds" of the processor, "peak" in bytes}."""
    torch.set_num_threads(1)
    start, scores = time.process_time(), {}
    if num:
        case = streamed_case(num)
        for name, run in MEASURES.items():
            result = run(case, True)
            scores[name] = [next(iter(result.values.values())), next(iter(result.errors.values()))]
    return {"num": num, "scores": scores, "seconds": time.process_time() - start, "peak": peak_bytes()}


def streamed_case(num: int) -> Case:
    """Two sets of so many samples that no one ever holds whole, as features and as probabilities."""

    def look(rows: Tensor) -> Outputs:
        return {"features": rows, "probabilities": rows[:, :CLASSES].softmax(1)}

    def draw(shift: float) -> Any:
        return lambda n, rng: torch.randn(n, DIMENSION, generator=rng).add_(shift)

    extractor = Extractor(name="coordinates", weights_hash="", dimension=DIMENSION, preprocessing="none", look=look, batch=4096)
    sides = [of_function(draw(shift), num, name=name, seed=seed) for seed, (name, shift) in enumerate((("real", 0.0), ("fake", SHIFT)))]
    return Case(real=Features(sides[0], extractor), fake=Features(sides[1], extractor))


def _in_its_own_process(num: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "saddlepoint.studies.metric_stream", "--one", str(num)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def as_table(empty: dict[str, Any], found: list[dict[str, Any]]) -> str:
    """A row a number of samples."""
    head = f"| samples a side, {DIMENSION} features | {' | '.join(MEASURES)} | processor seconds | peak MiB | all features, MiB |"
    rows = [f"| none: the interpreter and the libraries |{' |' * (len(MEASURES) + 1)} {empty['peak'] >> 20:,} | |"]
    for each in found:
        scores = " | ".join(f"{value:.5g} ± {error:.2g}" for value, error in each["scores"].values())
        held = 2 * each["num"] * DIMENSION * 4 >> 20
        rows.append(f"| {each['num']:,} | {scores} | {each['seconds']:.0f} | {each['peak'] >> 20:,} | {held:,} |")
    return "\n".join([head, "|" + " --- |" * (len(MEASURES) + 4), *rows]) + "\n"


if __name__ == "__main__":
    raise SystemExit(answered(main))
