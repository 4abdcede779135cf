"""The PixelCNN auto-encoder: what its code tells, and what it draws given a code."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from saddlepoint.data.records import to_device
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.autoencoding import AutoencoderGame, Encodes, Reconstructs
from saddlepoint.games.game import Samples
from saddlepoint.games.pixelcnn import PixelAutoencoderConfig
from saddlepoint.networks.pixelcode import CodeMaps, PoolingEncoder


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (28, 28)])
def test_encoder_and_maps_of_any_side(size: tuple[int, int]) -> None:
    assert PoolingEncoder((3, *size), 5, 4)(torch.zeros(2, 3, *size)).shape == (2, 5)
    assert CodeMaps(5, 6, size, 4)(torch.zeros(2, 5)).shape == (2, 6, *size)


@pytest.mark.parametrize("preset", ["small", "small-code"])
def test_the_code_tells_what_pixels_do_not(make: Any, play: Any, images: Any, preset: str) -> None:
    """Flat images, black or white: without a code one bit an image is open; with one, little, and what is drawn has the right colour."""
    data = images(1, 6, n=64)
    data.column("image").copy_((torch.arange(64) % 2 * 255).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 6, 6))
    game, config, prepared = make("pixelcnn-autoencoder", preset, data, width=8, layers=2, batch=32, latent_dim=2, encoder_width=4)
    with play(game, config, prepared) as played:
        played.rounds(300)
    batch = to_device(data.records(torch.arange(64)), "cpu")
    assert game.measure(batch, Draws())["nats"].item() < 0.3 * math.log(2)
    with use(Draws.seeded(0)):
        drawn = game.reconstruct(batch.x)
    assert (drawn == batch.x).float().mean() > 0.97
    assert game.encode(batch.x).shape == (64, 2)
    assert game.show(batch.rows(0, 3), Draws()).shape == (3, 4, 1, 6, 6)


def test_draws_given_a_code_differ_and_can_be_repeated(make: Any, images: Any) -> None:
    game, _, data = make("pixelcnn-autoencoder", "small", images(1, 8), width=8, layers=2)
    x = to_device(data.records(torch.arange(4)), "cpu").x
    drawn = []
    for seed in (0, 0, 1):
        with use(Draws.seeded(seed)):
            drawn.append(game.reconstruct(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert isinstance(game, Encodes)
    assert isinstance(game, Reconstructs)
    assert not isinstance(game, Samples)


def test_the_one_it_is_compared_with_has_the_same_encoder(make: Any, images: Any) -> None:
    ours, _, _ = make("pixelcnn-autoencoder", "small", images(1, 8))
    theirs, _, _ = make("pixelcnn-autoencoder", "small-squares", images(1, 8))
    assert isinstance(theirs, AutoencoderGame)
    assert {name: p.shape for name, p in theirs.encoder.named_parameters()} == {name: p.shape for name, p in ours.encoder.named_parameters()}
    with pytest.raises(UsageError, match="latent_dim must be at least 1"):
        PixelAutoencoderConfig(latent_dim=0)
