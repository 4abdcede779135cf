"""Few labels: how many held-out digits are named wrongly by games that see all images and few labels, and by the labels alone.

    python -m saddlepoint.studies.few_labels --labels 2 10 --seeds 5

Salimans et al. 2016 (arXiv:1606.03498), section 5, found that feature matching gives the better classifier and minibatch discrimination the better
samples; Zhao et al. 2017 (arXiv:1609.03126), section 4.2, that a ladder network gains from fakes. Scikit-learn's digits at 8 pixels stand for MNIST,
the networks are those of the recipes' small presets, and every seed has its own labels, the same for all arms. Interrupted, the same command
continues.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.labels import few_labels
from saddlepoint.data.records import Batch, Dataset, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.game import Classifies, Game, Loss, Samples, Turn, turn
from saddlepoint.games.player import Adam
from saddlepoint.networks.base import Discriminator
from saddlepoint.objectives import classes
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Record, answered, run_missing
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes
from saddlepoint.zoo import ssgan
from saddlepoint.zoo.catalogue import find_recipe

TRAIN, TEST = "digits:train", "digits:test"
ARMS: dict[str, tuple[str, dict[str, Any]]] = {  # recipe, changes of its preset "small"
    "labels alone": ("ssgan", {}),
    "feature matching": ("ssgan", {}),
    "minibatch discrimination": ("ssgan", {"generator_loss": "minibatch-discrimination", "g_steps": 3}),
    "ladder network": ("ebgan-ladder", {"margin_until": 0.0}),
    "ladder network, EBGAN": ("ebgan-ladder", {"margin": 10 * 64 / 784}),
}


class LabelsAlone(Game):
    """One player: a classifier that sees the labelled samples only, by the network and the optimiser of the semi-supervised game.

    Args:
        classifier: gives class logits [n, k].
        optimizer: how it moves.
    """

    def __init__(self, classifier: Discriminator, optimizer: Adam) -> None:
        super().__init__()
        self.classifier = classifier
        self.add_player("classifier", [classifier], optimizer)

    def play(self) -> Iterator[Turn]:
        """The classifier's turn."""
        yield self.classifier_turn

    @turn("classifier")
    def classifier_turn(self, batch: Batch) -> Loss:
        """Cross-entropy of the labelled samples."""
        class_logits = self.classifier(batch["labelled_image"]).class_logits
        return Loss(supervised=classes.supervised(class_logits, batch["labelled_label"]).mean())

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Class probabilities [n, k], without noise."""
        self.classifier.eval()
        probabilities: Tensor = self.classifier(x).class_logits.softmax(1)
        self.classifier.train()
        return probabilities


def build(arm: str, labels: int, seed: int, rounds: int) -> tuple[Game, Any, Dataset]:
    """Game, configuration and data of an arm; the labels of a seed are the same for all arms."""
    name, changes = ARMS[arm]
    recipe = find_recipe(name)
    common: dict[str, Any] = {"resolution": None, "labels_per_class": labels, "labels_seed": seed, "rounds": rounds}
    config: Any = dataclasses.replace(recipe.preset("small"), **common, **changes)
    data = few_labels(open_data(TRAIN), labels, seed)
    torch.manual_seed(derive_seed(seed, "initialisation"))
    if arm == "labels alone":
        return LabelsAlone(ssgan.networks(config, data)[1], config.discriminator_optimizer), config, data
    return recipe.game(config, data), config, data


@functools.cache
def scorer() -> QuickScorer:
    """The quick score against the training digits."""
    return QuickScorer(open_data(TRAIN))


def few_labels_run(job: dict[str, Any]) -> dict[str, Any]:
    """One run.

    Args:
        job: "arm", "labels" of each class, "seed", "rounds".
    Returns:
        "error": share of the held-out digits named wrongly; "quick_frechet" of the samples, None where there are none; "cpu_sec".
    """
    game, config, data = build(job["arm"], job["labels"], job["seed"], job["rounds"])
    began = time.process_time()
    play(game, data, rounds=job["rounds"], batch=config.batch, seed=job["seed"], every=job["rounds"])
    seconds = time.process_time() - began
    held_out = open_data(TEST)
    test = to_device(held_out.records(torch.arange(len(held_out))), "cpu")
    assert isinstance(game, Classifies)
    error = float((game.classify(test.image).argmax(1) != test["label"]).double().mean())
    score = None
    if isinstance(game, Samples):
        score = scorer().score(draw_samples(game, scorer().num_fake, seed=job["seed"]))["quick_frechet"]
    return {"error": error, "quick_frechet": score, "cpu_sec": round(seconds, 1)}


def jobs(labels: Sequence[int], seeds: int, rounds: int) -> list[dict[str, Any]]:
    """Every run, all arms before the next seed."""
    return [{"arm": arm, "labels": count, "seed": seed, "rounds": rounds} for seed in range(seeds) for count in labels for arm in ARMS]


def table(records: Sequence[Record]) -> str:
    """A line an arm and number of labels."""
    lines = ["| labels a class | arm | seeds | error, % | quick Frechet | CPU s |", "|" + " --- |" * 6]
    for labels in sorted({record["job"]["labels"] for record in records}):
        for arm in ARMS:
            runs = [record for record in records if (record["job"]["arm"], record["job"]["labels"]) == (arm, labels)]
            score = "" if runs[0]["quick_frechet"] is None else cell([run["quick_frechet"] for run in runs], "{:.2f}")
            cells = [str(labels), arm, str(len(runs)), cell([100 * run["error"] for run in runs], "{:.1f}"), score]
            lines.append("| " + " | ".join([*cells, cell([run["cpu_sec"] for run in runs], "{:.0f}")]) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.few_labels", description="Classes learnt from few labels.")
    parser.add_argument("--labels", type=int, nargs="+", default=[2, 10], help="of each class")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each arm; each has its own choice of labels")
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--processes", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--work", type=Path, default=Path("runs/few-labels"), help="folder of what is finished")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/few-labels.md"), help="the table")
    given = parser.parse_args(argv)
    if min(given.seeds, given.rounds, *given.labels) < 1:
        raise UsageError(f"labels, seeds and rounds must be at least 1; {given.labels}, {given.seeds} and {given.rounds} came.")

    def show(done: int, total: int, record: Record) -> None:
        job = record["job"]
        sys.stderr.write(f"{done}/{total} {job['arm']}, {job['labels']} labels, seed {job['seed']}: {record['error']:.3f}\n")

    wanted = jobs(given.labels, given.seeds, given.rounds)
    records = run_missing(few_labels_run, wanted, given.work / "runs.jsonl", processes=given.processes, show=show)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    made = f"at commit {machine.commit() or 'unknown'} on {machine.hardware()}, one thread a run, torch {machine.versions()['torch']}"
    labels = " ".join(str(count) for count in given.labels)
    command = f"python -m saddlepoint.studies.few_labels --labels {labels} --seeds {given.seeds} --rounds {given.rounds}"
    held_out, floor = len(open_data(TEST)), scorer().floor["quick_frechet"]
    text = (
        f"{given.rounds} rounds, {held_out} held-out digits; median (least to most) over {given.seeds} seed(s). Quick Frechet is no FID; real digits "
        f"have {floor:.2f}. Made by `{command}`, {made}.\n\n{table(records)}\n"
    )
    write_bytes(given.out, text.encode())


if __name__ == "__main__":
    raise SystemExit(answered(main))
