"""Drawing from a Gated PixelCNN: the cases `pixelcnn*` of against_public.py; DIR is a checkout of ritheshkumar95/pytorch-vqvae.

16 images of 28x28x1 given their classes, networks of the same sizes on both sides: `pixelcnn` has that code's own, 15 layers of 64 maps and 256
levels, `pixelcnn-digits` 12 layers of 32 maps and two levels. The public sampler is its GatedPixelCNN.generate, the whole network for each pixel,
stopped after PIXELS of 784 and its time scaled: every pixel is the same pass. Ours draws all of them. What differs: its input is an embedding of the
levels, ours their brightness; its head has 512 features, ours as many as a layer has maps.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Turn = Callable[[], float]
SHAPE, BATCH, CLASSES, PIXELS = (28, 28), 16, 10, 28
SIZES = {"pixelcnn": (256, 64, 15), "pixelcnn-digits": (2, 32, 12)}  # levels, maps, layers


class Enough(Exception):
    """Ends the public sampler's loop."""


def public(case: str, checkout: Path) -> Turn:
    """Its generate; answers what its time is to be multiplied by."""
    sys.path.insert(0, str(checkout))
    with contextlib.redirect_stdout(sys.stderr):  # it speaks while it starts
        network: Any = importlib.import_module("modules").GatedPixelCNN(*SIZES[case], CLASSES).eval()
    forward, labels = network.forward, torch.arange(BATCH) % CLASSES
    done: list[None] = []

    def counted(x: torch.Tensor, label: torch.Tensor) -> Any:
        if len(done) == PIXELS:
            raise Enough
        done.append(None)
        return forward(x, label)

    network.forward = counted

    @torch.no_grad()
    def play() -> float:
        done.clear()
        with contextlib.suppress(Enough):
            network.generate(labels, SHAPE, BATCH)
        return math.prod(SHAPE) / len(done)

    return play


def ours(case: str) -> Turn:
    """Each feature once."""
    from saddlepoint.networks import pixelcache
    from saddlepoint.networks.pixelcnn import GatedPixelCNN
    from saddlepoint.training.machine import keep_large_allocations

    keep_large_allocations()
    levels, width, layers = SIZES[case]
    network = GatedPixelCNN((1, *SHAPE), levels, width=width, layers=layers, cond_dim=CLASSES).eval()
    cond = torch.eye(CLASSES)[torch.arange(BATCH) % CLASSES]

    def play() -> float:
        pixelcache.sample(network, torch.rand(BATCH, 1, *SHAPE), cond)
        return 1.0

    return play
