"""Progressive GAN at scale 64x64, batch 8: the case `progan` of against_public.py; DIR is a checkout of facebookresearch/pytorch_GAN_zoo.

Both sides: channels 512, 512, 512, 512, 256, z 512, WGAN-GP with drift, minibatch deviation, Adam 1e-3 (0, 0.99), fully grown, an average of G. The
public code halves after the activation (its networks are the paper's Table 2), ours before it, as the authors' second release does; `progan-plain` is
ours with the public order.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Turn = Callable[[], None]
BATCH, SIDE, DEPTHS = 8, 64, (512, 512, 512, 512, 256)


def public(case: str, checkout: Path) -> Turn:
    """Its optimizeParameters, unchanged; its optimisers are given floats, which torch now asks for."""
    sys.path.insert(0, str(checkout))
    warnings.simplefilter("ignore")
    base: Any = importlib.import_module("models.progressive_gan").ProgressiveGAN

    def adam(network: Any, config: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(network.parameters(), betas=(0.0, 0.99), lr=config.learningRate)

    base.getOptimizerD = lambda gan: adam(gan.netD, gan.config)
    base.getOptimizerG = lambda gan: adam(gan.netG, gan.config)
    shared: dict[str, Any] = {"lossMode": "WGANGP", "lambdaGP": 10.0, "epsilonD": 0.001, "baseLearningRate": 0.001, "useGPU": False}
    gan = base(dimLatentVector=DEPTHS[0], depthScale0=DEPTHS[0], miniBatchStdDev=True, **shared)
    for depth in DEPTHS[1:]:
        gan.addScale(depth)
    images = torch.rand(BATCH, 3, SIDE, SIDE) * 2 - 1

    def play() -> None:
        gan.optimizeParameters(images)

    return play


def ours(case: str) -> Turn:
    """A round of the engine on random images, with its reading, drawing and logging."""
    from saddlepoint.data.arrays import ArrayDataset
    from saddlepoint.data.records import DataSpec
    from saddlepoint.training.logbook import Logbook
    from saddlepoint.training.machine import start_fabric
    from saddlepoint.training.trainer import Trainer, TrainerConfig
    from saddlepoint.zoo.progan import RELEASE, progan

    shape = (3, SIDE, SIDE)
    data = ArrayDataset(
        {"image": torch.randint(0, 256, (1000, *shape), dtype=torch.uint8)}, DataSpec(name="random", kind="image", shape=shape, num_records=1000)
    )
    config = dataclasses.replace(RELEASE, resolution=SIDE, batch=BATCH, batch_at=(), lr_at=(), first_level=None, mirror=False)
    game = progan(dataclasses.replace(config, fused=case == "progan"), data)
    book = Logbook(20)
    trainer = Trainer(game, data, TrainerConfig(batch=BATCH), start_fabric("cpu"), record=book.add)

    def play() -> None:
        trainer.play_round()
        if game.clock.round % 20 == 0:
            book.drain("")
            book.record()

    return play
