"""pix2pix and CycleGAN: the cases `pix2pix` and `cyclegan` of against_public.py; DIR is a checkout of junyanz/pytorch-CycleGAN-and-pix2pix.

Both sides at 128x128x3 and batch 1, random images: CycleGAN with 6 residual blocks, instance norm, 70x70 patches, identity loss .5, pools of 50;
pix2pix with the U-Net of 7 levels, batch norm, dropout, 70x70 patches. Of the checkout the networks and the loss are its models/networks.py; the
turns are those of its models, retold: their own classes read options and files that a step does not need.
"""

from __future__ import annotations

import importlib
import itertools
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Turn = Callable[[], None]
SIZE, KEPT = 128, 50


def public(case: str, checkout: Path) -> Turn:
    """A step of the checkout's networks."""
    sys.path.insert(0, str(checkout))
    networks = importlib.import_module("models.networks")
    return _public_pairs(networks) if case == "pix2pix" else _public_cycle(networks)


def _adam(*nets: Any) -> torch.optim.Adam:
    return torch.optim.Adam(itertools.chain(*(net.parameters() for net in nets)), lr=2e-4, betas=(0.5, 0.999))


def _freeze(nets: tuple[Any, ...], frozen: bool) -> None:
    for parameter in itertools.chain(*(net.parameters() for net in nets)):
        parameter.requires_grad = not frozen


def _public_pairs(networks: Any) -> Turn:
    generator = networks.define_G(3, 3, 64, "unet_128", "batch", True)
    judge, gan, l1 = networks.define_D(6, 64, "basic", 3, "batch"), networks.GANLoss("vanilla"), torch.nn.L1Loss()
    move_g, move_d = _adam(generator), _adam(judge)
    x, y = torch.rand(2, 1, 3, SIZE, SIZE) * 2 - 1

    def play() -> None:
        fake = generator(x)
        _freeze((judge,), False)
        move_d.zero_grad()
        on_fake, on_real = judge(torch.cat((x, fake), 1).detach()), judge(torch.cat((x, y), 1))
        ((gan(on_fake, False) + gan(on_real, True)) * 0.5).backward()
        move_d.step()
        _freeze((judge,), True)
        move_g.zero_grad()
        (gan(judge(torch.cat((x, fake), 1)), True) + l1(fake, y) * 100).backward()
        move_g.step()

    return play


def _public_cycle(networks: Any) -> Turn:
    to_y, to_x = (networks.define_G(3, 3, 64, "resnet_6blocks", "instance") for _ in range(2))
    judge_y, judge_x = (networks.define_D(3, 64, "basic", 3, "instance") for _ in range(2))
    gan, l1 = networks.GANLoss("lsgan"), torch.nn.L1Loss()
    move_g, move_d = _adam(to_y, to_x), _adam(judge_y, judge_x)
    x, y = torch.rand(2, 1, 3, SIZE, SIZE) * 2 - 1
    pools: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])

    def pooled(pool: list[torch.Tensor], image: torch.Tensor) -> torch.Tensor:
        if len(pool) < KEPT:
            pool.append(image)
            return image
        if random.random() < 0.5:
            return image
        slot = random.randrange(KEPT)
        kept, pool[slot] = pool[slot].clone(), image
        return kept

    def play() -> None:
        fake_y, fake_x = to_y(x), to_x(y)
        back_x, back_y = to_x(fake_y), to_y(fake_x)
        _freeze((judge_x, judge_y), True)
        move_g.zero_grad()
        same = (l1(to_y(y), y) + l1(to_x(x), x)) * 5
        (gan(judge_y(fake_y), True) + gan(judge_x(fake_x), True) + (l1(back_x, x) + l1(back_y, y)) * 10 + same).backward()
        move_g.step()
        _freeze((judge_x, judge_y), False)
        move_d.zero_grad()
        for judge, real, fake, pool in ((judge_y, y, fake_y, pools[0]), (judge_x, x, fake_x, pools[1])):
            ((gan(judge(real), True) + gan(judge(pooled(pool, fake.detach())), False)) * 0.5).backward()
        move_d.step()

    return play


def ours(case: str) -> Turn:
    """A round of the engine on random images, with its reading, drawing, jitter and logging."""
    from dataclasses import replace

    from saddlepoint.data.arrays import ArrayDataset
    from saddlepoint.data.records import DataSpec
    from saddlepoint.training.logbook import Logbook
    from saddlepoint.training.machine import start_fabric
    from saddlepoint.training.trainer import Trainer, TrainerConfig
    from saddlepoint.zoo.catalogue import find_recipe

    second, shape = "partner" if case == "pix2pix" else "other", (3, SIZE, SIZE)
    fields = {name: torch.randint(0, 256, (100, *shape), dtype=torch.uint8) for name in ("image", second)}
    spec = DataSpec(name="random", kind="image", shape=shape, num_records=100, fields=tuple(fields), shapes={second: shape})
    data, recipe = ArrayDataset(fields, spec), find_recipe(case)
    config: Any = replace(recipe.preset("paper"), resolution=SIZE)
    if case == "cyclegan":
        config = replace(config, blocks=6, identity_weight=0.5)
    game, book = recipe.game(config, data), Logbook(20)
    trainer = Trainer(game, data, TrainerConfig(batch=1), start_fabric("cpu"), record=book.add)

    def play() -> None:
        trainer.play_round()
        if game.clock.round % 20 == 0:
            book.drain("")
            book.record()

    return play
