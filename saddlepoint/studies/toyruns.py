"""One run of the toy study: a recipe under the common protocol on a mixture whose centres are known, measured ten times on the way.

Common to all: three hidden ReLU layers of equal width in G and D, the batch, the latents, the number of generator updates. The recipe's own: the
value function, penalties, turns of D, heads of D where the method is one (auto-encoders, classes, projections), and its optimisers, whose rate is
the common one wherever both players have Adam at one rate.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from saddlepoint.config import to_json
from saddlepoint.data.order import Order
from saddlepoint.data.sources import open_data
from saddlepoint.data.toys import ToyDataset
from saddlepoint.draws import derive_seed
from saddlepoint.errors import NotFiniteError
from saddlepoint.evaluation.modes import mode_coverage
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.evaluation.sliced import sliced_wasserstein
from saddlepoint.games.adversarial import AdversarialConfig
from saddlepoint.games.player import Adam
from saddlepoint.studies.play import play
from saddlepoint.zoo.catalogue import find_recipe, list_recipes

SAMPLES = 2500  # VEEGAN (arXiv:1705.07761) and PacGAN (arXiv:1712.04086) take as many
STRICT = 20  # samples that make a mode captured, in the stricter count
LOOKS = 10  # evaluations a run
DATA = {"ring8": "ring8", "grid25": "grid25-labelled"}  # the labels are read by recipes with classes only
Points = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What all runs have in common.

    Attributes:
        updates: moves of the generator.
        width: units of every hidden layer.
        batch: records in a batch.
        latent_dim: of z, standard normal.
        lr: of Adam, where both players have the same.
    """

    updates: int = 500
    width: int = 128
    batch: int = 128
    latent_dim: int = 2
    lr: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A line of the table: a recipe with some of its settings changed."""

    recipe: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it is typed: the recipe and the flags that make the arm."""
        return " ".join([self.recipe, *(f"--{name.replace('_', '-')} {value}" for name, value in self.settings.items())])


VARIANTS = (  # other value functions of the recipes
    Arm(recipe="gan", settings={"generator_loss": "minimax"}),
    Arm(recipe="gan", settings={"generator_loss": "blended"}),
    Arm(recipe="lsgan", settings={"coding": "pearson"}),
    Arm(recipe="ebgan", settings={"pulling_away_weight": 0.1}),
    Arm(recipe="am-gan", settings={"method": "label-gan"}),
    Arm(recipe="am-gan", settings={"method": "ac-gan"}),
    Arm(recipe="relativistic", settings={"r1_gamma": 0.0, "r2_gamma": 0.0}),
    Arm(recipe="relativistic", settings={"form": "logistic", "r1_gamma": 0.0, "r2_gamma": 0.0}),
)


def arms() -> list[Arm]:
    """Every recipe that plays on points, as its preset "toy" has it, and the variants."""
    return [*(Arm(recipe=entry.name) for entry in list_recipes() if "toy" in entry.presets), *VARIANTS]


def configuration(arm: Arm, protocol: Protocol) -> AdversarialConfig:
    """The arm under the protocol."""
    preset = find_recipe(arm.recipe).preset("toy")
    assert isinstance(preset, AdversarialConfig), f"{arm.recipe} plays no adversarial game"
    common: dict[str, Any] = {
        "architecture": "mlp",
        "width": protocol.width,
        "batch": protocol.batch,
        "latent_dim": protocol.latent_dim,
        "latent": "normal",
        "rounds": math.ceil(protocol.updates / preset.g_steps),
    }
    optimizers = preset.generator_optimizer, preset.discriminator_optimizer
    if all(isinstance(optimizer, Adam) for optimizer in optimizers) and optimizers[0].lr == optimizers[1].lr:
        names = "generator_optimizer", "discriminator_optimizer"
        common |= {name: dataclasses.replace(optimizer, lr=protocol.lr) for name, optimizer in zip(names, optimizers, strict=True)}
    known = {each.name for each in dataclasses.fields(preset)}
    return dataclasses.replace(preset, **({name: value for name, value in common.items() if name in known} | arm.settings))


def searched(config: AdversarialConfig, found: dict[str, Any]) -> AdversarialConfig:
    """A configuration with the rates "g_lr" and "d_lr", Adam's "beta1" and the turns "d_steps" that a search drew; {} leaves it as it is."""
    if not found:
        return config
    changes: dict[str, Any] = {"d_steps": found["d_steps"]}
    for player, optimizer in (("g", config.generator_optimizer), ("d", config.discriminator_optimizer)):
        drawn = {"lr": found[f"{player}_lr"]} | ({"beta1": found["beta1"]} if isinstance(optimizer, Adam) else {})
        changes["generator_optimizer" if player == "g" else "discriminator_optimizer"] = dataclasses.replace(optimizer, **drawn)
    return dataclasses.replace(config, **changes)


def jobs(protocol: Protocol, seeds: int, data: list[str]) -> list[dict[str, Any]]:
    """Every run of the study, all arms before the next seed; a run on file counts only while its whole configuration is the same."""
    common = dataclasses.asdict(protocol)
    each = [(arm, to_json(configuration(arm, protocol))) for arm in arms()]
    return [
        {"arm": arm.name, "recipe": arm.recipe, "settings": arm.settings, "data": name, "seed": seed, "protocol": common, "config": config}
        for seed in range(seeds)
        for name in data
        for arm, config in each
    ]


def train_arm(job: dict[str, Any], samples: Path | None = None) -> dict[str, Any]:
    """Play one run.

    Args:
        job: one of :func:`jobs`; "search" holds what :func:`searched` changes.
        samples: folder for the last samples, as NAME.npy with the name of :func:`samples_name`; None keeps none.
    Returns:
        "looks": measurements on the way, oldest first; "cpu_sec" of the rounds alone; "rounds"; "stopped": why it ended early, or None.
    """
    arm, protocol = Arm(recipe=job["recipe"], settings=job["settings"]), Protocol(**job["protocol"])
    data, entry, config = open_data(DATA[job["data"]]), find_recipe(arm.recipe), searched(configuration(arm, protocol), job.get("search", {}))
    assert isinstance(data, ToyDataset)
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    prepared = entry.prepare(config, data) if entry.prepare else data
    game = entry.game(config, prepared)
    looks: list[dict[str, Any]] = []
    points = np.zeros((0, 2), np.float32)
    spent, last = 0.0, time.process_time()

    def look(done: int) -> None:
        nonlocal points, spent, last
        spent += time.process_time() - last
        points = draw_samples(game, SAMPLES, seed=job["seed"]).numpy()  # type: ignore[arg-type]
        looks.append({"round": done, "cpu_sec": round(spent, 2)} | measure(points, data))
        last = time.process_time()

    stopped = None
    try:
        play(game, prepared, rounds=config.rounds, batch=config.batch, seed=job["seed"], every=math.ceil(config.rounds / LOOKS), watch=look)
    except NotFiniteError as error:
        stopped = str(error).partition(". ")[0]
    if samples is not None:
        samples.mkdir(parents=True, exist_ok=True)
        np.save(samples / samples_name(job), points.astype(np.float16))
    return {"looks": looks[1:], "rounds": game.clock.round, "cpu_sec": round(spent, 2), "stopped": stopped}


def samples_name(job: dict[str, Any]) -> str:
    """File name of a run's samples."""
    return f"{job['data']}-{job['arm'].replace(' --', '-').replace(' ', '-')}-{job['seed']}.npy"


def measure(points: Points, data: ToyDataset) -> dict[str, Any]:
    """Modes captured by one sample and by twenty, high-quality share, and the sliced Wasserstein distance to as many real points.

    Points that are not finite count as samples of no mode; the distance is then infinite.
    """
    assert data.centers is not None
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(1))
    shown = np.where(finite[:, None], points, 1e6)
    report = mode_coverage(shown, data.centers.numpy(), data.std)
    distance = sliced_wasserstein(real_points(data, 0), points) if finite.all() else float("inf")
    return {
        "modes": report.modes,
        "strict_modes": sum(count >= STRICT for count in report.counts),
        "high_quality": round(report.high_quality, 4),
        "sliced_w1": round(distance, 4) if math.isfinite(distance) else None,
    }


def real_points(data: ToyDataset, part: int) -> Points:
    """The ``part``-th SAMPLES real points of a fixed order."""
    points: Points = data.records(Order(len(data), 0).indices(part * SAMPLES, SAMPLES))["point"].numpy()
    return points
