"""R3GAN at 32x32: the case `r3gan` of against_public.py; DIR is a checkout of brownvc/R3GAN.

Both sides: width 192 in four stages of two blocks, groups of 16 channels, z 64, batch 32, one D turn with R1 and R2 and one G turn, Adam 2e-4
(0, 0.9), an average of G; no augmentation, float32. The steps are those of its Trainer.py, unchanged, and of its training loop: D frozen in G's turn.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import sys
import types
from collections.abc import Callable
from pathlib import Path

import torch
from packaging.version import parse

Turn = Callable[[], None]
BATCH, WIDTH, STAGES, GROUP, LATENT = 32, 192, 4, 16, 64


def public(case: str, checkout: Path) -> Turn:
    """One AccumulateDiscriminatorGradients and one AccumulateGeneratorGradients, their Adam steps, and the average of G."""
    sys.path.insert(0, str(checkout))
    sys.modules["pkg_resources"] = types.ModuleType("pkg_resources")  # a package of old that it asks for the order of versions
    sys.modules["pkg_resources"].parse_version = parse  # type: ignore[attr-defined]
    networks, trainer = importlib.import_module("R3GAN.Networks"), importlib.import_module("R3GAN.Trainer")
    sizes = ([WIDTH] * STAGES, [2 * WIDTH // GROUP] * STAGES, [2] * STAGES, 2)
    generator, discriminator = networks.Generator(LATENT, *sizes), networks.Discriminator(*sizes)
    game, average = trainer.AdversarialTraining(generator, discriminator), copy.deepcopy(generator)
    adam = {net: torch.optim.Adam(net.parameters(), 2e-4, betas=(0.0, 0.9)) for net in (generator, discriminator)}
    images = torch.rand(2, BATCH, 3, 32, 32) * 2 - 1
    generator.requires_grad_(False)
    discriminator.requires_grad_(False)

    def move(net: torch.nn.Module, accumulate: Callable[..., object], *arguments: object) -> None:
        adam[net].zero_grad(set_to_none=True)
        net.requires_grad_(True)
        accumulate(*arguments)
        net.requires_grad_(False)
        adam[net].step()

    def play() -> None:
        move(discriminator, game.AccumulateDiscriminatorGradients, torch.randn(BATCH, LATENT), images[0], None, 1.0)
        move(generator, game.AccumulateGeneratorGradients, torch.randn(BATCH, LATENT), images[1], None)
        with torch.no_grad():
            for old, new in zip(average.parameters(), generator.parameters(), strict=True):
                old.copy_(new.lerp(old, 0.99))

    return play


def ours(case: str) -> Turn:
    """A round of the engine on random images, with its reading, drawing and logging."""
    from saddlepoint.data.arrays import ArrayDataset
    from saddlepoint.data.records import DataSpec
    from saddlepoint.training.logbook import Logbook
    from saddlepoint.training.machine import start_fabric
    from saddlepoint.training.trainer import Trainer, TrainerConfig
    from saddlepoint.zoo.r3gan import SMALL, START, r3gan

    spec = DataSpec(name="random", kind="image", shape=(3, 32, 32), num_records=1000)
    data = ArrayDataset({"image": torch.randint(0, 256, (1000, 3, 32, 32), dtype=torch.uint8)}, spec)
    config = dataclasses.replace(
        SMALL, batch=BATCH, width=WIDTH, full_stages=STAGES, blocks=2, group_width=GROUP, generator_optimizer=START, discriminator_optimizer=START
    )
    game, book = r3gan(config, data), Logbook(20)
    trainer = Trainer(game, data, TrainerConfig(batch=BATCH, horizon=config.rounds), start_fabric("cpu"), record=book.add)

    def play() -> None:
        trainer.play_round()
        if game.clock.round % 20 == 0:
            book.drain("")
            book.record()

    return play
