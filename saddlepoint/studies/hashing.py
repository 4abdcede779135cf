"""A hash of images that is learned: which units of an autoencoder's code are above 0.

Radford et al. 2016 (arXiv:1511.06434), section 4.1.1: a denoising autoencoder 3072-128-3072 with ReLU and dropout is fitted to images of 32 pixels,
the largest centred squares; its code, cut at 0, is the hash, and images whose hashes are the same are near duplicates. The paper does not say how
much noise, how much dropout, nor how long.

Axes: n images, c channels, h w image, d units of the code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.images import resized
from saddlepoint.data.records import to_device
from saddlepoint.evaluation.grid import to_uint8
from saddlepoint.games.autoencoding import AutoencoderGame
from saddlepoint.studies.questions import Arm, trained
from saddlepoint.zoo.autoencoder import HASHING

BITS, SIDE, ROUNDS = HASHING.latent_dim, 32, HASHING.rounds
TAUGHT = 50_000  # images that the autoencoder sees at most, spread evenly over the data
PIECE = 500
HASHER: Arm = ("autoencoder", "hashing", {})


def code_hashes(data: ArrayDataset, *, rounds: int = ROUNDS, seed: int = 0, show: Callable[[int, int], None] | None = None) -> list[int]:
    """128 bits of every image, by an autoencoder that is trained on these images first.

    Args:
        data: images of any size.
        rounds: of the training, 100 images each.
        seed: of the training; the same data and seed give the same hashes on one machine.
        show: called with (images done, all).
    Returns:
        A whole number below 2**128 for each image.
    """
    game = hasher(data, rounds=rounds, seed=seed)
    found: list[int] = []
    for rows in torch.split(torch.arange(len(data)), PIECE):
        found += hash_with(game, data.records(rows)["image"])
        if show is not None:
            show(len(found), len(data))
    return found


def hasher(data: ArrayDataset, *, rounds: int = ROUNDS, seed: int = 0) -> AutoencoderGame:
    """The autoencoder, trained on ``data`` at 32 pixels, in evaluation mode."""
    rows = torch.linspace(0, len(data) - 1, min(len(data), TAUGHT)).round().long()
    images = torch.cat([_small(data.records(part)["image"]) for part in torch.split(rows, PIECE)])
    spec = dataclasses.replace(data.spec, shape=tuple(images.shape[1:]), num_records=len(images), fields=("image",), shapes={})
    game: AutoencoderGame = trained(HASHER, ArrayDataset({"image": images}, spec), rounds, seed)
    return game


@torch.no_grad()
def hash_with(game: AutoencoderGame, images: Tensor) -> list[int]:
    """Hashes of images [n, c, h, w], uint8 or float in [-1, 1], of any size."""
    on = game.encode(to_device({"image": _small(images)}, "cpu").image) > 0  # n d
    return [int.from_bytes(row.tobytes(), "big") for row in np.packbits(on.numpy(), axis=1)]


def _small(images: Tensor) -> Tensor:
    return torch.from_numpy(to_uint8(resized(images, SIDE)))
