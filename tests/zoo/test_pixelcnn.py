"""The game of the Gated PixelCNN: what it minimises, how it reads images, and what its labels do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from saddlepoint.data.records import to_device
from saddlepoint.draws import Draws, use
from saddlepoint.errors import DataError, UsageError
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.pixelcnn import PixelCNNConfig
from saddlepoint.zoo.catalogue import find_recipe


def test_the_loss_is_the_likelihood(make: Any, images: Any) -> None:
    """Bits per dimension by torch's own categorical distribution, one sub-pixel at a time; and the loss is the same in nats."""
    game, _, data = make("pixelcnn", "small-grey", images(3, 6), levels=5, width=9, layers=2)
    game.double()
    batch = to_device(data.records(torch.arange(4)), "cpu", torch.float64)
    target = ((batch.x + 1) * 2).round().long()
    logits = game.network(target.double() / 2 - 1)
    total = sum(
        torch.distributions.Categorical(logits=logits[:, :, c, i, j]).log_prob(target[:, c, i, j])
        for c in range(3)
        for i in range(6)
        for j in range(6)
    )
    loss = game.learn(batch)
    torch.testing.assert_close(loss.terms["likelihood"], -total.mean() / 108)
    torch.testing.assert_close(loss.watched["bits_per_dim"], (-total.mean() / 108 / math.log(2)).detach())
    torch.testing.assert_close(game.measure(batch, Draws())["nats"], -total.mean())


def test_an_untrained_network_of_zeros_knows_nothing(make: Any, images: Any) -> None:
    """Eight bits of a byte, one of a black or white pixel."""
    for preset, bits in (("paper", 8.0), ("mnist", 1.0), ("small-grey", 4.0)):
        game, _, data = make("pixelcnn", preset, images(1, 8), width=4, layers=2)
        torch.nn.init.zeros_(game.network.last.weight)
        batch = to_device(data.records(torch.arange(4)), "cpu")
        assert game.learn(batch).watched["bits_per_dim"].item() == pytest.approx(bits, abs=1e-5)


def test_binarised_pixels_are_drawn_with_their_brightness(make: Any, images: Any) -> None:
    game, _, _ = make("pixelcnn", "mnist", images(1, 8), width=4, layers=2)
    x = torch.full((2000, 1, 4, 4), -0.4)  # brightness 0.3
    with use(Draws.seeded(1)):
        target = game.target(x)
    assert target.float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert not torch.equal(target[:1000], target[1000:])
    game, _, _ = make("pixelcnn", "small", images(1, 8), width=4, layers=2)
    assert not game.target(x).any()


def test_training_learns_what_follows_from_the_pixels_before(make: Any, play: Any, images: Any) -> None:
    """Checkerboards of two phases: one bit an image is all there is to know."""
    data = images(1, 6, n=64)
    board = (torch.arange(6)[:, None] + torch.arange(6)) % 2
    phase = torch.arange(64) % 2
    data.column("image").copy_(((board[None] + phase[:, None, None]) % 2 * 255).to(torch.uint8)[:, None])
    game, config, prepared = make("pixelcnn", "small", data, width=8, layers=2, batch=32)
    with play(game, config, prepared) as played:
        played.rounds(400)
    batch = to_device(data.records(torch.arange(64)), "cpu")
    assert game.measure(batch, Draws())["nats"].item() == pytest.approx(math.log(2), abs=0.1)
    drawn = draw_samples(game, 64, seed=1)
    boards = torch.stack([board, 1 - board]).mul(255).to(torch.uint8)
    assert sum(any(torch.equal(one[0], b) for b in boards) for one in drawn) >= 60


def test_labels_decide_what_is_drawn(make: Any, play: Any, images: Any) -> None:
    """Four classes of flat brightness: a sample of a class has its brightness."""
    data = images(1, 5, n=64)
    data.column("image").copy_((torch.arange(64) % 4 * 85).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 5, 5))
    game, config, prepared = make("pixelcnn", "small-conditional", data, levels=4, width=16, layers=2, batch=32)
    with play(game, config, prepared) as played:
        played.rounds(400)
    for label in range(4):
        drawn = draw_samples(game, 16, seed=2, label=label)
        assert ((drawn == label * 85).float().mean() > 0.95).item()
    assert game.sample(3, Draws.seeded(0)).shape == (3, 1, 5, 5)


def test_errors_say_what_to_do(make: Any, images: Any) -> None:
    with pytest.raises(UsageError, match="levels must be 2 to 256; it is 1"):
        PixelCNNConfig(levels=1)
    with pytest.raises(UsageError, match="binarise needs levels 2; it is 256"):
        PixelCNNConfig(binarise=True)
    with pytest.raises(UsageError, match="layers must be at least 1"):
        PixelCNNConfig(layers=0)
    data = images(1, 8)
    game, _, _ = make("pixelcnn", "small", data)
    with pytest.raises(UsageError, match="no truncation"):
        game.sample(1, Draws(), truncation=0.5)
    data.spec = type(data.spec)(name="bare", kind="image", shape=(1, 8, 8), num_records=40)
    recipe = find_recipe("pixelcnn")
    with pytest.raises(DataError, match="conditional needs labels; bare has none"):
        recipe.game(recipe.preset("small-conditional"), data)
