"""Autoencoders and the variational autoencoder: the bound against closed forms, and what a trained one does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.autoencoding import AutoencoderGame, AutoencodingConfig, Encodes, Reconstructs, VAEConfig, VAEGame
from saddlepoint.games.game import Measures, Samples, Shows
from saddlepoint.networks.encoders import encoder_and_decoder, gaussian_code
from saddlepoint.objectives import variational
from saddlepoint.training.plan import Plan
from saddlepoint.zoo.catalogue import find_recipe

# -- the parts of the bound --------------------------------------------------------------------------------------------------------------


def test_kl_is_the_integral() -> None:
    mean, log_variance = torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([[-0.9]], dtype=torch.float64)
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)[:, None]
    log_q, log_p = variational.normal_log_density(z, mean, log_variance), variational.normal_log_density(z)
    integral = torch.trapezoid(log_q.exp() * (log_q - log_p), z[:, 0])
    assert variational.kl_to_standard_normal(mean, log_variance).item() == pytest.approx(integral.item(), abs=1e-10)
    assert variational.kl_to_standard_normal(torch.zeros(1, 3), torch.zeros(1, 3)).abs().max() == 0


def test_likelihoods_against_torch_distributions() -> None:
    x, raw = torch.rand(4, 1, 3, 3, dtype=torch.float64), torch.randn(4, 1, 3, 3, dtype=torch.float64)
    normal = torch.distributions.Normal(raw, 0.3).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(variational.gaussian_log_likelihood(x, raw, 0.3), normal)
    bits = (x > 0.5).double()
    bernoulli = torch.distributions.Bernoulli(logits=raw).log_prob(bits).flatten(1).sum(1)
    torch.testing.assert_close(variational.bernoulli_log_likelihood(bits, raw), bernoulli)


class Line(nn.Module):
    """A linear map without bias, as encoder or decoder of one number."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        if len(self.weights) == 1:
            return (x * self.weights)[..., None, None]
        return torch.cat([x * self.weights[0], 0 * x + self.weights[1]], 1)


def test_the_bound_of_a_linear_model_is_its_likelihood() -> None:
    """x = a z + std e: with the exact posterior the ELBO and every importance-weighted bound are log p(x) itself; with another they rise with k."""
    a, std = 1.5, 0.4
    variance = 1 / (1 + a**2 / std**2)
    config = VAEConfig(latent_dim=1, likelihood="gaussian", std=std)
    exact = VAEGame(config, Line(variance * a / std**2, math.log(variance)), Line(a))
    x = torch.randn(64, 1, 1, 1, dtype=torch.float64)
    truth = torch.distributions.Normal(0.0, math.sqrt(a**2 + std**2)).log_prob(x.flatten())
    for k in (1, 5):
        bound = variational.importance_weighted_bound(exact.log_weights(x, k, Draws.seeded(0, dtype=torch.float64)))
        torch.testing.assert_close(bound, truth)
    wrong = VAEGame(config, Line(0.2, math.log(variance)), Line(a))
    bounds = [variational.importance_weighted_bound(wrong.log_weights(x, k, Draws.seeded(0, dtype=torch.float64))).mean() for k in (1, 20, 2000)]
    assert bounds[0] < bounds[1] < bounds[2] < truth.mean() + 0.01
    assert truth.mean() - bounds[2] < 0.1 * (truth.mean() - bounds[0])


def vae_game(**changes: Any) -> VAEGame:
    torch.manual_seed(0)
    config = VAEConfig(latent_dim=3, hidden=(16,), **changes)
    game = VAEGame(config, *encoder_and_decoder("mlp", (1, 8, 8), 3, 6, hidden=(16,), width=4, activation="tanh"))
    return game.double()


@pytest.mark.parametrize("changes", [{}, {"likelihood": "gaussian"}, {"binarise": True}, {"beta": 4.0}])
def test_the_loss_is_the_formula(changes: dict[str, Any]) -> None:
    game, x = vae_game(**changes), torch.rand(10, 1, 8, 8, dtype=torch.float64) * 2 - 1
    with use(Draws.seeded(1, dtype=torch.float64)):
        loss = game.learn(Batch({"image": x}))
    draws = Draws.seeded(1, dtype=torch.float64)
    if game.settings.binarise:
        x = 2 * (draws.uniform(10, 1, 8, 8) < (x + 1) / 2).double() - 1
        assert set(x.unique().tolist()) == {-1, 1}
    mean, log_variance = gaussian_code(game.encoder(x))
    z = mean + (0.5 * log_variance).exp() * draws.normal(10, 3)
    by_hand = -game.log_likelihood(x, z).mean(), game.settings.beta * variational.kl_to_standard_normal(mean, log_variance).sum(1).mean()
    torch.testing.assert_close(loss.terms["reconstruction"], by_hand[0])
    torch.testing.assert_close(loss.terms["kl"], by_hand[1])
    loss.total().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in game.encoder.parameters())  # the sampling lets the gradient through


def test_a_sampler_that_is_not_reparameterised_blocks_the_encoder() -> None:
    game, x = vae_game(), torch.rand(10, 1, 8, 8, dtype=torch.float64) * 2 - 1
    mean, log_variance = gaussian_code(game.encoder(x))
    z = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).sample()
    (-game.log_likelihood(x, z).mean()).backward()
    assert all(p.grad is None for p in game.encoder.parameters())


# -- what it can do ----------------------------------------------------------------------------------------------------------------------


def test_what_the_games_can_do() -> None:
    vae = vae_game()
    assert isinstance(vae, Samples | Shows) and isinstance(vae, Encodes) and isinstance(vae, Reconstructs) and isinstance(vae, Measures)
    x = torch.zeros(5, 1, 8, 8, dtype=torch.float64)
    assert vae.encode(x).shape == (5, 3)
    assert vae.show(Batch({"image": x}), Draws()).shape == (5, 2, 1, 8, 8)
    drawn = vae.sample(7, Draws.seeded(0, dtype=torch.float64))
    assert drawn.shape == (7, 1, 8, 8)
    assert drawn.abs().max() <= 1
    with pytest.raises(UsageError, match="no truncation"):
        vae.sample(1, Draws.seeded(0, dtype=torch.float64), truncation=0.5)
    with pytest.raises(UsageError, match="std must be more than 0"):
        VAEConfig(std=0.0)
    with pytest.raises(UsageError, match="12x8 pixels are not divisible by 8"):
        encoder_and_decoder("conv", (1, 12, 8), 3, 6, hidden=(), width=4, activation="relu")


@pytest.mark.parametrize("spoil", [{"noise": 0.5}, {"holes": 0.5}])
def test_denoising_compares_with_the_clean_image(spoil: dict[str, float]) -> None:
    torch.manual_seed(0)
    config = AutoencodingConfig(latent_dim=3, hidden=(8,))
    networks = encoder_and_decoder("mlp", (1, 4, 4), 3, 3, hidden=(8,), width=4, activation="relu")
    game, x = AutoencoderGame(config, *networks, **spoil), torch.rand(200, 1, 4, 4) * 2 - 1
    with use(Draws.seeded(0)):
        spoilt = game._spoilt(x)
    if "noise" in spoil:
        assert (spoilt - x).std().item() == pytest.approx(0.5, rel=0.05)
    else:
        assert (spoilt == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    with use(Draws.seeded(0)):
        loss = game.learn(Batch({"image": x})).total()
    torch.testing.assert_close(loss, (game.reconstruct(spoilt) - x).square().flatten(1).sum(1).mean())


def test_two_equal_targets_give_their_mean() -> None:
    """S3's point: where the code cannot tell two images apart, squared error makes their average."""
    torch.manual_seed(0)
    config = AutoencodingConfig(latent_dim=1, hidden=(4,))
    game = AutoencoderGame(config, nn.Linear(1, 1), nn.Linear(1, 4))
    game.encoder.requires_grad_(False).weight.zero_()  # type: ignore[union-attr, operator]
    targets = torch.tensor([[0.8, 0.8, -0.8, 0.0], [-0.8, 0.8, 0.8, 0.4]])
    optimizer = torch.optim.Adam(game.decoder.parameters(), lr=0.05)
    for _ in range(400):
        made = game.decode(game.encode(torch.zeros(2, 1)))
        (made - targets).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.testing.assert_close(made[0].detach(), targets.mean(0), rtol=0, atol=0.02)


def test_trained_on_digits_it_makes_them_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan(steps=300, preview_every=300, score_every=300)
    run = api.train(
        "vae", data="digits", resolution=8, hidden=(64,), latent_dim=8, binarise=False, batch=64, device="cpu", out=tmp_path / "run", plan=plan
    )
    score = api.info(run.folder)["last_score"]
    assert score["metric"] == "negative_elbo"
    assert score["negative_bound_16"] < score["negative_elbo"] < 40
    assert (run.folder / "samples" / "round-00000300.png").exists()
    codes = api.encode(run.folder, "digits", out=tmp_path / "codes.npz", num=100)
    with np.load(tmp_path / "codes.npz") as stored:
        assert stored["codes"].shape == tuple(codes.shape) == (100, 8)
        assert stored["labels"].shape == (100,)
    assert main(["reconstruct", str(run.folder), "digits", "--num", "20", "--out", str(tmp_path / "again.png")]) == 0
    again = api.reconstruct(run.folder, "digits", num=20)
    assert again.dtype == torch.uint8
    plain = api.train(
        "nsgan", data="digits", resolution=16, width=4, batch=8, device="cpu", out=tmp_path / "gan", plan=Plan(steps=1, preview_every=0)
    )
    for verb, words in ((api.encode, "has no encoder"), (api.reconstruct, "cannot make an image again")):
        with pytest.raises(UsageError, match=words):
            verb(plain.folder, "digits", num=2)
    with pytest.raises(UsageError, match=r"written as \.npz"):
        api.encode(run.folder, "digits", num=2, out=tmp_path / "codes.txt")


def test_the_papers_constants() -> None:
    config = find_recipe("vae").preset("paper")
    assert isinstance(config, VAEConfig)
    assert (config.batch, config.hidden, config.activation, config.binarise, config.beta) == (100, (500,), "tanh", True, 1.0)
