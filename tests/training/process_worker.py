"""One process of a run of several: the cases of test_processes.py, played by the processes that there are, with float64."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.cli import main
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.errors import DataError
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.game import Game
from saddlepoint.games.glo import GLOConfig, GLOGame
from saddlepoint.games.player import Adam, RMSprop
from saddlepoint.games.terms import R1, R2, GradientPenalty, HistoricalAveraging, LeCam
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.networks.layers import Dropout
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.training.machine import start_fabric
from saddlepoint.training.observers import Watchers
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import REQUIRED, Run
from saddlepoint.training.session import Session
from saddlepoint.training.together import Group, together
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.views.ada import ADA
from saddlepoint.views.diffaugment import DiffAugment

PLAN = Plan(steps=6, log_every=1, preview_every=0, score_every=0, checkpoint_every=3, keep_every=3)
CONFIG = AdversarialConfig(batch=8, latent_dim=4, ema_halflife_kimg=0.05, generator_optimizer=Adam(lr=1e-2), discriminator_optimizer=Adam(lr=1e-2))


def images(num: int = 40) -> ArrayDataset:
    pixels = torch.randint(0, 256, (num, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ArrayDataset({"image": pixels}, DataSpec(name="noise", kind="image", shape=(1, 8, 8), num_records=num))


def networks(*, dropout: bool = False) -> tuple[MLPGenerator, MLPDiscriminator]:
    generator = MLPGenerator(4, (1, 8, 8), width=12, output="tanh")
    discriminator = MLPDiscriminator((1, 8, 8), width=12, activation="leaky_relu")
    if dropout:
        discriminator.hidden.append(Dropout(0.5))
    return generator, discriminator


def slopes() -> AdversarialGame:
    config = dataclasses.replace(CONFIG, share_fakes=True)
    return AdversarialGame(config, *networks(dropout=True), NonSaturating(), terms=[R1(2.0), R2(1.0)], view=DiffAugment("color,translation,cutout"))


def penalty() -> AdversarialGame:
    players = {"generator": {"clip_norm": 0.1}}
    return AdversarialGame(
        dataclasses.replace(CONFIG, d_steps=2), *networks(dropout=True), Wasserstein(), terms=[GradientPenalty(10.0)], players=players
    )


def memories() -> AdversarialGame:
    """Terms with running means, a lazy one, another optimiser, an augmentation that follows D."""
    config = dataclasses.replace(CONFIG, discriminator_optimizer=RMSprop(lr=1e-3))
    generator, discriminator = networks()
    terms = [LeCam(0.3), R1(2.0, every=2), HistoricalAveraging("generator", generator, 0.1)]
    view = ADA(p=0.4, target=0.1, interval=2, speed_kimg=0.2).build()
    return AdversarialGame(config, generator, discriminator, NonSaturating(), terms=terms, view=view)


def batch_norm() -> AdversarialGame:
    return AdversarialGame(CONFIG, DCGANGenerator(4, (1, 8, 8), 2), DCGANDiscriminator((1, 8, 8), 2), NonSaturating())


def codes() -> GLOGame:
    """A table of which each process moves some rows, by sparse gradients."""
    config = GLOConfig(batch=8, latent_dim=4, lr=0.3, code_lr=2.0, levels=2)
    table = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    return GLOGame(config, networks()[0], table, torch.zeros(1, 8, 8), torch.zeros(4, 64))


CASES: dict[str, Callable[[], Game]] = {"slopes": slopes, "penalty": penalty, "memories": memories, "batch norm": batch_norm, "codes": codes}


class FailingScorer:
    """Fails where only the first process is."""

    metric = "planted"

    def score(self, round: int, images_seen: int) -> dict[str, Any]:
        raise DataError("The score cannot be made of this.")


class FailingData(ArrayDataset):
    """Fails at the fourth reading."""

    def __init__(self, whole: ArrayDataset, how: Callable[[], None]) -> None:
        super().__init__({"image": whole.column("image")}, whole.spec)
        self.how, self.reads = how, 0

    def records(self, indices: Tensor) -> dict[str, Tensor]:
        self.reads += 1
        if self.reads == 4:
            self.how()
        return super().records(indices)


def complain() -> None:
    raise DataError("A file of this process is broken.")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def describe(folder: Path) -> Run:
    return Run(folder, dict.fromkeys(REQUIRED))


def play(group: Group, folder: Path, case: str, plan: Plan = PLAN, *, watchers: Watchers | None = None, data: ArrayDataset | None = None) -> Session:
    """Begin a run, or resume the one that is there, and write a digest of this process's state when it is done."""
    torch.manual_seed(0)
    game = CASES[case]().double()
    trainer = Trainer(game, data or images(), TrainerConfig(seed=3, batch=8, horizon=100), group.fabric)
    begun = group.lead(lambda: (folder / "run.json").exists())
    run = describe(folder)
    if not begun:
        group.lead(run.create)
    session = Session(trainer, run, plan, watchers)
    try:
        if begun:
            session.resume()
        session.train()
    finally:
        trainer.close()
        run.unlock()
    state = b"".join(value.contiguous().numpy().tobytes() for value in game.state_dict().values())
    (folder / f"process-{group.fabric.global_rank}.digest").write_text(hashlib.sha256(state).hexdigest())
    return session


def all_cases(group: Group, folder: Path) -> None:
    for case in CASES:
        play(group, folder / case, case)
    play(group, folder / "of two", "slopes", dataclasses.replace(PLAN, steps=3))
    play(group, folder / "of one", "slopes")


def not_finite(group: Group, folder: Path) -> None:
    CASES["slopes"] = lambda: AdversarialGame(
        dataclasses.replace(CONFIG, discriminator_optimizer=Adam(lr=1e300)), *networks(), Wasserstein(), terms=[R1(1e3)]
    )
    play(group, folder / "run", "slopes", dataclasses.replace(PLAN, steps=50, checkpoint_every=1))


def score_fails(group: Group, folder: Path) -> None:
    play(group, folder / "run", "slopes", dataclasses.replace(PLAN, score_every=2), watchers=Watchers(scorer=FailingScorer()))


def data_fails(group: Group, folder: Path, *, rank: int, how: Callable[[], None] = complain) -> None:
    play(group, folder / "run", "slopes", data=FailingData(images(), how) if group.fabric.global_rank == rank else None)


def occupied(group: Group, folder: Path) -> None:
    (folder / "run").mkdir(exist_ok=True)
    (folder / "run" / "mine").touch()
    play(group, folder / "run", "slopes")


def void(anything: object) -> None:
    """Forget a result."""


MODES: dict[str, Callable[[Group, Path], None]] = {
    "all cases": all_cases,
    "slopes": lambda group, folder: void(play(group, folder / "run", "slopes")),
    "not finite": not_finite,
    "score fails": score_fails,
    "data of the first fails": lambda group, folder: data_fails(group, folder, rank=0),
    "data of the second fails": lambda group, folder: data_fails(group, folder, rank=1),
    "the first is killed": lambda group, folder: data_fails(group, folder, rank=0, how=die),
    "the second is killed": lambda group, folder: data_fails(group, folder, rank=1, how=die),
    "occupied": occupied,
}


def run(mode: str, folder: Path) -> int:
    """Play a mode as the command line would; returns the exit code."""
    torch.set_num_threads(1)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

    def dispatch(argv: list[str]) -> int:
        fabric = start_fabric("cpu", "64-true")
        with together(fabric) as group:
            MODES[mode](group, folder)
        return 0

    main.dispatch = dispatch
    return main.main([])


if __name__ == "__main__":
    warnings.simplefilter("error")
    sys.exit(run(sys.argv[1], Path(sys.argv[2])))
