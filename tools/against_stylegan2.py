"""StyleGAN2 at 64x64, batch 8: cases `stylegan2` and others of against_public.py; DIR is a checkout of NVlabs/stylegan2-ada-pytorch.

Both sides: channel_base 8192, at most 256 channels, z and w of 256, two mapping layers, style mixing .9, path length every 4 and R1 every 16 rounds,
Adam adapted to them, an average of G, no augmentation; the public operators are its reference ones, as on any machine without its CUDA extensions.

    stylegan2           a whole cycle of 16 rounds
    stylegan2-cycle     the same in pieces: a few rounds of each of the three kinds below, weighted as they occur in a cycle
    stylegan2-round     a round without regularisation: 12 of a cycle's
    stylegan2-path      a round with path length: 3 of a cycle's
    stylegan2-both      a round with path length and R1: the first of a cycle
    stylegan2-sample    16 images of the average, no gradient; the public generator as it comes (fused modulated convolution)
    stylegan2-unfused   the same, the public generator told fused_modconv=False
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import itertools
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

Turn = Callable[[], None]
BATCH, SIDE, CODE = 8, 64, 256
ROUNDS = {"stylegan2": range(16), "stylegan2-round": range(1, 2), "stylegan2-path": range(4, 5), "stylegan2-both": range(1)}
CYCLE = ("round", "path", "both", "round", "path", "both", "round", "path")  # what `stylegan2-cycle` measures, after one of each that is not counted
SHARES = {"round": 12, "path": 3, "both": 1}  # of a cycle's 16 rounds


def rounds_of(case: str) -> Iterator[range]:
    """Which rounds of a cycle the next measurements play."""
    kinds = itertools.repeat(case) if case in ROUNDS else (f"stylegan2-{kind}" for kind in (*SHARES, *CYCLE))
    return (ROUNDS[kind] for kind in kinds)


def drawing(draw: Callable[[], torch.Tensor]) -> Turn:
    """Samples without a gradient, as a turn."""

    @torch.no_grad()
    def play() -> None:
        draw()

    return play


def public(case: str, checkout: Path) -> Turn:
    """Its networks and loss, unchanged, and the body of its training loop retold for one device without augmentation."""
    sys.path.insert(0, str(checkout))
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    networks, losses = importlib.import_module("training.networks"), importlib.import_module("training.loss")
    widths = {"channel_base": 8192, "channel_max": 256}
    generator = networks.Generator(CODE, 0, CODE, SIDE, 3, mapping_kwargs={"num_layers": 2}, synthesis_kwargs=widths)
    discriminator = networks.Discriminator(0, SIDE, 3, **widths)
    average = copy.deepcopy(generator).eval().requires_grad_(False)
    if case not in (*ROUNDS, "stylegan2-cycle"):
        z, settings = torch.randn(16, CODE), {"fused_modconv": False} if case == "stylegan2-unfused" else {}
        return drawing(lambda: average(z, None, **settings))
    loss = losses.StyleGAN2Loss(torch.device("cpu"), generator.mapping, generator.synthesis, discriminator)
    adam = {
        network: torch.optim.Adam(network.parameters(), lr=0.002 * share, betas=(0.0, 0.99**share))
        for network, share in ((generator, 4 / 5), (discriminator, 16 / 17))
    }
    phases = [("Gmain", generator, 1), ("Greg", generator, 4), ("Dmain", discriminator, 1), ("Dreg", discriminator, 16)]
    generator.requires_grad_(False)
    discriminator.requires_grad_(False)
    images, labels, rounds = torch.rand(BATCH, 3, SIDE, SIDE) * 2 - 1, torch.zeros(BATCH, 0), rounds_of(case)

    def play() -> None:
        for number in next(rounds):
            for name, network, every in phases:
                if number % every == 0:
                    phase(name, network, every)
            with torch.no_grad():
                for own, new in zip(average.parameters(), generator.parameters(), strict=True):
                    own.copy_(new.lerp(own, 0.5 ** (BATCH / 10_000)))
                for own, new in zip(average.buffers(), generator.buffers(), strict=True):
                    own.copy_(new)

    def phase(name: str, network: Any, every: int) -> None:
        adam[network].zero_grad(set_to_none=True)
        network.requires_grad_(True)
        z = torch.randn(BATCH, CODE)
        loss.accumulate_gradients(phase=name, real_img=images, real_c=labels, gen_z=z, gen_c=labels, sync=True, gain=every)
        network.requires_grad_(False)
        for parameter in network.parameters():
            if parameter.grad is not None:
                torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
        adam[network].step()

    return play


def ours(case: str) -> Turn:
    """Rounds of the engine on random images, with their reading, drawing and logging."""
    from saddlepoint.data.arrays import ArrayDataset
    from saddlepoint.data.records import DataSpec
    from saddlepoint.training.logbook import Logbook
    from saddlepoint.training.machine import start_fabric
    from saddlepoint.training.trainer import Trainer, TrainerConfig
    from saddlepoint.zoo.stylegan2 import F, stylegan2

    shape = (3, SIDE, SIDE)
    spec = DataSpec(name="random", kind="image", shape=shape, num_records=1000)
    data = ArrayDataset({"image": torch.randint(0, 256, (1000, *shape), dtype=torch.uint8)}, spec)
    config = dataclasses.replace(
        F, batch=BATCH, resolution=SIDE, latent_dim=CODE, code_dim=CODE, mapping_layers=2, channel_base=8192, width=256, mirror=False
    )
    game = stylegan2(config, data)
    if case not in (*ROUNDS, "stylegan2-cycle"):
        average: Any = game.get_submodule("generator_ema").eval()
        z = torch.randn(16, CODE)
        return drawing(lambda: average(z))
    book, rounds = Logbook(20), rounds_of(case)
    trainer = Trainer(game, data, TrainerConfig(batch=BATCH), start_fabric("cpu"), record=book.add)

    def play() -> None:
        for number in next(rounds):
            game.clock.round = number
            trainer.play_round()
        book.drain("")
        book.record()

    return play
