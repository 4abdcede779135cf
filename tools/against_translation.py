"""pix2pix and CycleGAN: the cases `pix2pix` and `cyclegan` of against_public.py; DIR is a checkout of junyanz/pytorch-CycleGAN-and-pix2pix.

Both sides at 128x128x3 and batch 1, random images: CycleGAN with 6 residual blocks, instance norm, 70x70 patches, identity loss .5, pools of 50;
pix2pix with the U-Net of 7 levels, batch norm, dropout, 70x70 patches. Of the checkout its models' own ``optimize_parameters`` is run, unchanged,
with the options below; a folder with its ``models`` and ``util`` is enough.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

Turn = Callable[[], None]
SIZE = 128
PUBLIC = {"pix2pix": ("pix2pix", "Pix2PixModel"), "cyclegan": ("cycle_gan", "CycleGANModel")}
COMMON = SimpleNamespace(
    gpu_ids=[],
    isTrain=True,
    checkpoints_dir="",
    name="",
    preprocess="none",
    direction="AtoB",
    **dict.fromkeys(("input_nc", "output_nc"), 3),
    **dict.fromkeys(("ngf", "ndf"), 64),
    netD="basic",
    n_layers_D=3,
    init_type="normal",
    init_gain=0.02,
    lr=2e-4,
    beta1=0.5,
)
OWN: dict[str, dict[str, Any]] = {
    "pix2pix": {"netG": "unet_128", "norm": "batch", "no_dropout": False, "gan_mode": "vanilla", "pool_size": 0, "lambda_L1": 100.0},
    "cyclegan": {"netG": "resnet_6blocks", "norm": "instance", "no_dropout": True, "gan_mode": "lsgan", "pool_size": 50}
    | {"lambda_A": 10.0, "lambda_B": 10.0, "lambda_identity": 0.5},
}


def public(case: str, checkout: Path) -> Turn:
    """The checkout's own step on images that stay."""
    sys.path.insert(0, str(checkout))
    with contextlib.redirect_stdout(sys.stderr):  # it says what it builds
        kind = importlib.import_module(f"models.{PUBLIC[case][0]}_model")
        model = getattr(kind, PUBLIC[case][1])(SimpleNamespace(**vars(COMMON), **OWN[case]))
    x, y = torch.rand(2, 1, 3, SIZE, SIZE) * 2 - 1
    batch = {"A": x, "B": y, "A_paths": [], "B_paths": []}

    def play() -> None:
        model.set_input(batch)
        model.optimize_parameters()

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
