"""MaliGAN of black-and-white images against its formula: likelihoods, weights, and a gradient that is that of the expectation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint import api
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec, to_device
from saddlepoint.draws import Draws, use
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.bernoulli import bernoulli_log_prob
from saddlepoint.zoo.maligan_pixels import black_and_white
from tests.zoo.conftest import make_game

TINY: dict[str, Any] = {"width": 4, "batch": 6, "latent_dim": 5, "rounds": 4, "resolution": 16}


def small_game(images: Any, **changes: Any) -> Any:
    game, _, data = make_game("maligan-pixels", "small", images(), **(TINY | changes))
    return game, to_device(data.records(torch.arange(6)), "cpu")


def test_the_likelihood_is_that_of_the_pixels() -> None:
    rng = np.random.default_rng(0)
    y, x = rng.uniform(-0.9, 0.9, (3, 2, 4, 4)), rng.choice([-1.0, 1.0], (3, 2, 4, 4))
    white = (1 + y) / 2
    expected = np.where(x > 0, np.log(white), np.log(1 - white)).sum((1, 2, 3))
    assert bernoulli_log_prob(torch.tensor(y), torch.tensor(x)).numpy() == pytest.approx(expected, rel=1e-12)
    assert bernoulli_log_prob(torch.ones(1, 1, 1, 1), -torch.ones(1, 1, 1, 1)).isfinite()


def test_data_and_samples_are_black_and_white(images: Any) -> None:
    game, batch = small_game(images)
    assert set(batch.image.unique().tolist()) == {-1.0, 1.0}
    samples = game.sample(5, Draws.seeded("samples"))
    assert samples.shape == (5, 1, 16, 16) and set(samples.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(samples, game.sample(5, Draws.seeded("samples")))


@pytest.mark.parametrize("weights", ["maligan", "reinforce"])
def test_the_loss_is_the_weighted_likelihood(images: Any, weights: str) -> None:
    game, batch = small_game(images, weights=weights)
    game.to(torch.float64)
    game.draws, game.round_key = Draws(dtype=torch.float64), (0, 1)
    game.begin_round()
    game.before_turn(game.generator_turn)
    whole = game._whole
    with torch.no_grad():
        logits = game.discriminator(whole.x).logits
    d = torch.sigmoid(logits).flatten()
    r = d / (1 - d)
    expected = r / r.sum() - 1 / 6 if weights == "maligan" else (d - d.mean()) / 6
    assert torch.allclose(whole.weights, expected, atol=1e-12) and abs(whole.weights.sum().item()) < 1e-12
    loss = game.generator_turn(batch)
    y = game.generator(whole.z)
    assert loss.total().item() == pytest.approx(-(expected * bernoulli_log_prob(y, whole.x)).sum().item(), rel=1e-9)
    assert 1 / 6 <= loss.watched["effective"].item() <= 1 + 1e-6
    first = whole.x
    game.before_turn(game.generator_turn)
    assert not torch.equal(first, game._whole.x)  # a second move of the round has samples of its own


def test_the_gradient_is_that_of_the_expected_opinion(images: Any) -> None:
    """REINFORCE's expected move is up the slope of E D(x), here over the two images of one pixel."""
    y = torch.tensor([0.2], dtype=torch.float64, requires_grad=True)

    def opinion(x: Tensor) -> Tensor:
        return torch.sigmoid(3 * x)

    white = (1 + y) / 2
    (slope,) = torch.autograd.grad(white * opinion(torch.tensor(1.0)) + (1 - white) * opinion(torch.tensor(-1.0)), y)
    found = 0.0
    for value in (-1.0, 1.0):
        x = torch.full((1, 1, 1, 1), value, dtype=torch.float64)
        log_p = bernoulli_log_prob(y.view(1, 1, 1, 1), x)
        (each,) = torch.autograd.grad(log_p.sum(), y)
        found += (log_p.exp() * opinion(x).flatten() * each).item()
    assert found == pytest.approx(slope.item())


def test_conditional(images: Any) -> None:
    game, batch = small_game(images, conditional=True, g_batch_factor=2)
    with use(Draws.seeded("turn")):
        assert game.generator_turn(batch).total().isfinite() and game.discriminator_turn(batch).total().isfinite()
    assert game.sample(3, Draws.seeded("a"), torch.tensor([0, 1, 2])).shape == (3, 1, 16, 16)


def test_what_cannot_be(images: Any) -> None:
    with pytest.raises(UsageError, match="logit_limit is above 0"):
        small_game(images, logit_limit=0.0)
    with pytest.raises(UsageError, match="share_fakes"):
        small_game(images, share_fakes=True)

    class Stream:
        spec = images().spec

    with pytest.raises(DataError, match="streamed"):
        black_and_white(Stream())  # type: ignore[arg-type]


def test_pixels_of_other_ranges_have_their_own_middle() -> None:
    values = torch.tensor([-0.8, -0.1, 0.1, 0.8]).view(1, 1, 2, 2).expand(2, 1, 2, 2).contiguous()
    spec = DataSpec(name="floats", kind="image", shape=(1, 2, 2), num_records=2)
    assert black_and_white(ArrayDataset({"image": values}, spec)).column("image")[0].flatten().tolist() == [0, 0, 255, 255]


def test_points_are_refused_before_their_pixels_are_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"maligan-pixels needs image data; ring8 is points\."):
        api.train("maligan-pixels", data="ring8", out=tmp_path / "run", steps=1)
