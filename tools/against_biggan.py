"""BigGAN at 32x32: the case `biggan` of against_public.py; DIR is a checkout of ajbrock/BigGAN-PyTorch.

Both sides: the script launch_cifar_ema at half its width and batch 32: ch 32, z 128, ten classes, no shared embedding, no attention, four D turns and
one G turn, Adam 2e-4 (0, 0.999), an average of G, one power iteration. `biggan-shared` adds what the 128x128 script has: a shared embedding of 128,
z cut into pieces, attention (at 16x16), orthogonal weights.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Turn = Callable[[], None]
BATCH, CLASSES, D_STEPS, WIDTH = 32, 10, 4, 32


def public(case: str, checkout: Path) -> Turn:
    """The function of its train_fns, unchanged; its data sets and the code that reads them are not imported."""
    sys.path.insert(0, str(checkout))
    warnings.simplefilter("ignore")
    sys.modules["datasets"] = types.ModuleType("datasets")
    sys.modules["datasets"].__getattr__ = lambda name: None  # type: ignore[method-assign]
    model, steps, utils = (importlib.import_module(name) for name in ("BigGAN", "train_fns", "utils"))
    shared = case == "biggan-shared"
    settings: dict[str, Any] = {"resolution": 32, "n_classes": CLASSES, "G_ch": WIDTH, "D_ch": WIDTH, "dim_z": 128, "G_lr": 2e-4, "D_lr": 2e-4}
    settings |= {"G_attn": "0", "D_attn": "0", "G_shared": shared, "shared_dim": 128 if shared else 0, "hier": shared}
    settings |= {"G_init": "ortho" if shared else "N02", "D_init": "ortho" if shared else "N02"}
    with contextlib.redirect_stdout(io.StringIO()):
        generator, discriminator = model.Generator(**settings), model.Discriminator(**settings)
        average = utils.ema(generator, model.Generator(**settings, no_optim=True), 0.9999, 1000)
    z, y = utils.prepare_z_y(BATCH, generator.dim_z, CLASSES, device="cpu")
    config: dict[str, Any] = {"batch_size": BATCH, "num_D_steps": D_STEPS, "num_D_accumulations": 1, "num_G_accumulations": 1, "ema": True}
    config |= {"toggle_grads": True, "split_D": False, "D_ortho": 0.0, "G_ortho": 0.0}
    both = model.G_D(generator, discriminator)
    train = steps.GAN_training_function(generator, discriminator, both, z, y, average, {"itr": 0}, config)
    images, labels = torch.rand(D_STEPS * BATCH, 3, 32, 32) * 2 - 1, torch.randint(CLASSES, (D_STEPS * BATCH,))

    def play() -> None:
        train(images, labels)

    return play


def ours(case: str) -> Turn:
    """A round of the engine on random images, with its reading, drawing and logging."""
    from saddlepoint.data.arrays import ArrayDataset
    from saddlepoint.data.records import DataSpec
    from saddlepoint.training.logbook import Logbook
    from saddlepoint.training.machine import start_fabric
    from saddlepoint.training.trainer import Trainer, TrainerConfig
    from saddlepoint.zoo.biggan import CIFAR, biggan

    fields = {"image": torch.randint(0, 256, (1000, 3, 32, 32), dtype=torch.uint8), "label": torch.arange(1000) % CLASSES}
    spec = DataSpec(name="random", kind="image", shape=(3, 32, 32), num_records=1000, num_classes=CLASSES, fields=tuple(fields))
    config = dataclasses.replace(CIFAR, width=WIDTH, batch=BATCH)
    if case == "biggan-shared":
        config = dataclasses.replace(config, shared_dim=128, hierarchical=True, start="orthogonal")
    data = ArrayDataset(fields, spec)
    game, book = biggan(config, data), Logbook(20)
    trainer = Trainer(game, data, TrainerConfig(batch=BATCH), start_fabric("cpu"), record=book.add)

    def play() -> None:
        trainer.play_round()
        if game.clock.round % 20 == 0:
            book.drain("")
            book.record()

    return play
