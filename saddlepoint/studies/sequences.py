"""``python -m saddlepoint.studies.sequences``: what imitation of sequences leaves open, and what an adversary adds, one table a question.

    exposure   an oracle of 20 tokens of 200: how wrong G is about the next token (nats, exact over the vocabulary) behind beginnings of the oracle
               and behind its own, at the second, the tenth and the last place; behind no token both are the same
    gradients  the same G and D, after imitation and D's first training: how alike two gradients of G are that two batches give (cosine, mean over all
               pairs), by imitation, by REINFORCE as published and with advantages, and by MaliGAN's weights; and their norm's spread
    digits     8x8 black-and-white digits as 64 tokens: imitation, the policy gradient (SeqGAN) and MaliGAN: nats an image on held-out digits, Frechet
               distance and coverage of the quick features: what collapse takes
    pixels     the same weights where all pixels are drawn at once: 28x28 digits of MNIST, black and white, a DCGAN generator whose outputs are
               probabilities; MaliGAN and REINFORCE, with the share of a batch's samples that the weights use

Every cell is the mean over the seeds with the least and the most. With ``--keep`` every finished run is kept, and the same command continues where it
was stopped.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.oracle import OracleDataset, open_oracle
from saddlepoint.data.records import Batch, DataSpec
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.exposure import next_token_divergence
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.neighbours import coverage
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Arm, Questions, answer, trained
from saddlepoint.zoo.build import spread
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.maligan_pixels import black_and_white

NEW, SAMPLES, MOVES, PIXEL_DATA = 1_000, 1_000, 32, "mnist:train"
SHORT = {"mle_rounds": 4, "d_pretraining": 2, "adversarial_rounds": 1, "rounds": 7}
PIXELS = {"batch": 64, "mle_steps": 22}  # a pass over the digits
GAME = PIXELS | {
    "mle_rounds": 60,
    "d_pretraining": 5,
    "adversarial_rounds": 10,
    "rounds": 75,
    "g_steps": 10,
    "filters": (8, 16, 24),
    "maps": (50,) * 3,
}
ARMS: dict[str, dict[str, Arm]] = {
    "exposure": {
        "imitation, one pass": ("sequence-mle", "small", {"mle_steps": 31, "rounds": 1}),
        "imitation": ("sequence-mle", "small", {"mle_steps": 31}),
        "scheduled sampling": ("sequence-mle", "small-scheduled-sampling", {"mle_steps": 31}),
        "SeqGAN": ("seqgan", "small", {"mle_steps": 31, "g_steps": 10, "negatives": 2_000, "rounds": 31}),
    },
    "gradients": {
        "imitation": ("sequence-mle", "small", {}),
        "REINFORCE": ("seqgan", "small", {"advantage": False}),
        "REINFORCE, advantages": ("seqgan", "small", {"advantage": True}),
        "MaliGAN": ("maligan", "small", {}),
    },
    "digits": {
        "imitation": ("sequence-mle", "small", PIXELS | {"rounds": 60}),
        "REINFORCE (SeqGAN)": ("seqgan", "small", GAME | {"negatives": 1_280, "roll_outs": 2, "advantage": False}),
        "MaliGAN": ("maligan", "small", GAME | {"d_steps": 40}),
    },
    "pixels": {"REINFORCE": ("maligan-pixels", "small-reinforce", {}), "MaliGAN": ("maligan-pixels", "small", {})},
}
ROUNDS = {"exposure": 15, "gradients": 7, "digits": 60, "pixels": 600}
PLACES = (1, 9, 19)
SCORES = {
    "exposure": (*(f"true beginnings, token {t + 1}" for t in PLACES), *(f"own beginnings, token {t + 1}" for t in PLACES), "own / true, last"),
    "gradients": ("cosine of two gradients", "spread of their norm"),
    "digits": ("nats an image", "quick Frechet distance", "coverage"),
    "pixels": ("quick Frechet distance", "coverage", "share of samples used, last 50 rounds"),
}


def work(job: Job) -> Record:
    """One run: its scores by name, and its seconds."""
    torch.set_num_threads(1)
    began, question = time.process_time(), job["question"]
    asked = {"exposure": _exposure, "gradients": _gradients, "digits": _digits, "pixels": _pixels}[question]
    values: tuple[float, ...] = asked(job["arm"], job["rounds"], job["seed"])
    return {"scores": dict(zip(SCORES[question], values, strict=True)), "cpu_sec": round(time.process_time() - began, 1)}


def _oracle(length: int) -> OracleDataset:
    return open_oracle("oracle", 200, length, 2_000)


def _exposure(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    data = _oracle(20)
    game = trained(ARMS["exposure"][arm], data, rounds, seed)
    real = data.oracle.sample(Draws.seeded("new sequences", dtype=torch.float64).uniform(NEW, 20))
    own = game.sample(NEW, Draws.seeded(seed, "samples"))
    true, self_made = (divergence(game, data, tokens) for tokens in (real, own))
    return *(float(true[t]) for t in PLACES), *(float(self_made[t]) for t in PLACES), float(self_made[-1] / true[-1])


@torch.no_grad()
def divergence(game: Any, data: OracleDataset, tokens: Tensor) -> Tensor:
    """Nats at each place behind the beginnings of sequences [n, T]: float64 [T]."""
    return next_token_divergence(data.oracle.log_probs(tokens), torch.log_softmax(game.generator(tokens), 2))


def _gradients(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    data = _oracle(10)
    base = trained(("seqgan", "small", SHORT | {"rounds": rounds}), data, rounds, seed)
    recipe, preset, changes = ARMS["gradients"][arm]
    entry = find_recipe(recipe)
    game: Any = entry.game(dataclasses.replace(entry.preset(preset), **changes), data)
    game.generator.load_state_dict(base.generator.state_dict())
    if recipe != "sequence-mle":
        game.discriminator.load_state_dict(base.discriminator.state_dict())
    if recipe == "seqgan":
        game.roll_out_policy.load_state_dict(base.generator.state_dict())
    found = []
    for move in range(MOVES):
        game.draws = Draws.seeded(seed, "move", move)
        rows = torch.randint(len(data), (64,), generator=torch.Generator().manual_seed(derive_seed(seed, "rows", move)))
        batch = Batch({"tokens": data.column("tokens")[rows]})
        loss = game.imitate(batch) if recipe == "sequence-mle" else game.act(Batch({"tokens": batch.x[:32]}))  # half of D's batch: G makes 64
        slopes = torch.autograd.grad(loss.total(), [*game.generator.parameters()])
        found.append(torch.cat([slope.flatten() for slope in slopes]))
    each = torch.stack(found).double()
    norms = each.norm(dim=1)
    unit = each / norms[:, None]
    cosine = (unit.sum(0).square().sum() - MOVES) / (MOVES * (MOVES - 1))
    return float(cosine), float(norms.std() / norms.mean())


def digits(split: str) -> ArrayDataset:
    """8x8 black-and-white digits as sequences of 64 tokens, row after row."""
    tokens = (open_data(f"digits:{split}").column("image").flatten(1) > 127).long()
    spec = DataSpec(
        name=f"digits as tokens, {split}", kind="sequence", shape=(64,), num_records=len(tokens), fields=("tokens",), vocabulary=("black", "white")
    )
    return ArrayDataset({"tokens": tokens}, spec)


@torch.no_grad()
def _digits(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    train, test = digits("train"), digits("test")
    game = trained(ARMS["digits"][arm], train, rounds, seed)
    nats = 64 * float(game.nll(test.column("tokens")))
    made, real = (_as_images(tokens) for tokens in (game.sample(SAMPLES, Draws.seeded(seed, "samples")), train.column("tokens")))
    look = QuickFeatures()
    return nats, frechet_distance(look(real), look(made)), coverage(look(real), look(made))


@torch.no_grad()
def _pixels(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    data, used = black_and_white(open_data(PIXEL_DATA, resolution=28)), list[float]()

    def listen(done: int, values: dict[str, Tensor]) -> None:
        used.extend(float(value) for name, value in values.items() if name == "generator/effective" and done > rounds - 50)

    game = trained(ARMS["pixels"][arm], data, rounds, seed, record=listen)
    made = draw_samples(game, SAMPLES, seed=seed)
    real, look = data.records(spread(len(data), 5 * SAMPLES))["image"], QuickFeatures()
    return frechet_distance(look(real), look(made)), coverage(look(real), look(made)), sum(used) / len(used)


def _as_images(tokens: Tensor) -> Tensor:
    return (tokens * 255).to(torch.uint8).view(-1, 1, 8, 8)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    return answer(
        Questions(name="sequences", about="Imitation of sequences and its adversaries.", arms=ARMS, rounds=ROUNDS, scores=SCORES, work=work),
        arguments,
    )


if __name__ == "__main__":
    raise SystemExit(answered(main))
