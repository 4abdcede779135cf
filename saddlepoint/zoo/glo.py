"""GLO: Bojanowski, Joulin, Lopez-Paz, Szlam, "Optimizing the latent space of generative networks", ICML 2018."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from saddlepoint.data.records import Dataset, to_device
from saddlepoint.errors import UsageError
from saddlepoint.games.glo import GLOConfig, GLOGame
from saddlepoint.networks.dcgan import DCGANGenerator
from saddlepoint.zoo.build import spread
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape

CHUNK, MOST = 500, 5_000  # images read at once, and that principal components are found of
OVERSAMPLING, ITERATIONS = 10, 4  # of the randomised decomposition (Halko et al. 2011)

# Batches of 128 at rates 1 and 10, DCGAN's generator of width 64, 128 numbers a code: the PyTorch code that is well known, whose 25 epochs of LSUN's
# 3,033,042 bedrooms are 592,400 rounds. The paper takes 32 numbers for digits, up to 512 for faces and bedrooms.
PAPER = GLOConfig(batch=128, rounds=592_400, resolution=64)
SMALL = replace(PAPER, resolution=32, width=32, latent_dim=32, rounds=3_000)


def principal_components(data: Dataset, count: int) -> tuple[Tensor, Tensor]:
    """Mean [c, h, w] and the first ``count`` principal directions [count, c h w] of the images, zeros where there are fewer."""
    images = torch.cat([_images(data, rows) for rows in torch.split(spread(len(data), MOST), CHUNK)])
    mean = images.mean(0)
    rows = (images - mean).flatten(1)
    known = min(count, *rows.shape)
    _, _, axes = torch.svd_lowrank(rows, q=min(known + OVERSAMPLING, *rows.shape), niter=ITERATIONS)
    found = torch.zeros(count, rows.shape[1])
    found[:known] = axes.T[:known]
    return mean, found


def _images(data: Dataset, rows: Tensor) -> Tensor:
    return to_device(data.records(rows), "cpu").x.contiguous()


@recipe(
    name="glo",
    title="generative latent optimisation: a code for each image is learnt with the generator; no adversary, no encoder",
    paper="Bojanowski et al. 2018",
    year=2018,
    url="https://arxiv.org/abs/1707.05776",
    needs=("image",),
    presets={
        "paper": PAPER,
        "l2": replace(PAPER, distance="l2"),
        "random": replace(PAPER, start="random"),
        "small": SMALL,
        "small-l2": replace(SMALL, distance="l2"),
        "small-random": replace(SMALL, start="random"),
    },
)
def glo(config: GLOConfig, data: Dataset) -> GLOGame:
    """DCGAN's generator, and the codes at their start."""
    shape, d = image_shape(data.spec), config.latent_dim
    if min(shape[1:]) < 2**config.levels and config.distance == "laplacian":
        raise UsageError(f"A pyramid of {config.levels} levels needs sides of {2**config.levels} pixels; {shape[2]}x{shape[1]} came. Set --levels.")
    generator = DCGANGenerator(d, shape, config.width)
    if config.start == "random":
        return GLOGame(config, generator, torch.randn(len(data), d), torch.zeros(shape), torch.zeros(d, shape[0] * shape[1] * shape[2]))
    mean, axes = principal_components(data, d)
    table = torch.cat([(_images(data, rows) - mean).flatten(1) @ axes.T for rows in torch.split(torch.arange(len(data)), CHUNK)])
    return GLOGame(config, generator, table, mean, axes)
