"""BiGAN and its latent regressors: losses by hand, who sees what, the authors' constants, and a run that inverts its generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from saddlepoint import api
from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.autoencoding import Encodes, Reconstructs
from saddlepoint.games.bigan import InvertingConfig, InvertingGame, late_decay
from saddlepoint.games.game import Measures, Samples, Shows
from saddlepoint.games.player import Clock
from saddlepoint.networks.bigan import BiGANDiscriminator, BiGANEncoder, BiGANGenerator
from saddlepoint.training.plan import Plan
from saddlepoint.zoo.bigan import BiGANConfig
from saddlepoint.zoo.catalogue import find_recipe


def small(make: Any, images: Any, **changes: Any) -> Any:
    game, _, _ = make("bigan", "small", images(size=8), **({"resolution": 8, "width": 16, "latent_dim": 3} | changes))
    return game.double()


def batch_of(n: int = 12) -> Batch:
    return Batch({"image": torch.rand(n, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1})


def seeded() -> Draws:
    return Draws.seeded(4, dtype=torch.float64)


def play_turn(game: InvertingGame, name: str, batch: Batch) -> Any:
    game.draws = seeded()
    with use(game.draws):
        return getattr(game, name)(batch)


def test_both_losses_are_equation_3(make: Any, images: Any) -> None:
    game, batch = small(make, images), batch_of()
    z = seeded().uniform(12, 3, low=-1.0, high=1.0)
    with torch.no_grad():
        on_real = game.discriminator(batch.x, 2 * torch.sigmoid(game.encoder(batch.x)) - 1).logits
        on_fake = game.discriminator(game.generator(z), z).logits
    loss = play_turn(game, "discriminator_turn", batch)
    torch.testing.assert_close(loss.total(), -(logsigmoid(on_real) + logsigmoid(-on_fake)).mean() / 2)
    loss = play_turn(game, "generator_turn", batch)
    torch.testing.assert_close(loss.terms["encoder"].detach(), -logsigmoid(-on_real).mean() / 2)
    torch.testing.assert_close(loss.terms["generator"].detach(), -logsigmoid(on_fake).mean() / 2)
    assert {*game.players} == {"discriminator", "generator"}


def test_the_first_losses_are_those_of_the_readme(make: Any, images: Any) -> None:
    """0) JD: 0.6932  E: 0.6932  G: 0.6932."""
    game, batch = small(make, images, width=256), batch_of()
    for name in ("discriminator_turn", "generator_turn"):
        assert play_turn(game, name, batch).total().item() == pytest.approx(np.log(2), abs=0.1)


def test_regressors_learn_from_samples_alone(make: Any, images: Any) -> None:
    alone, joint = small(make, images, form="regressor"), small(make, images, form="joint")
    assert [turn.player for turn in alone.play()] == ["discriminator", "generator", "encoder"]
    assert [turn.player for turn in joint.play()] == ["discriminator", "generator"]
    a, b = batch_of(), Batch({"image": -batch_of().x})
    assert play_turn(alone, "encoder_turn", a).total().item() == play_turn(alone, "encoder_turn", b).total().item()
    assert play_turn(alone, "encoder_turn", a).total().item() == pytest.approx(np.log(2))  # a last layer of zeros: cross-entropy against 1/2
    assert {*play_turn(alone, "generator_turn", a).terms} == {"adversarial"}
    loss = play_turn(joint, "generator_turn", a)
    assert loss.terms["latent"].item() == pytest.approx(0.25 * np.log(2))
    assert joint.players["generator"].modules == [joint.generator, joint.encoder]


@pytest.mark.parametrize("latent", ["uniform", "normal"])
def test_the_latent_error(make: Any, images: Any, latent: str) -> None:
    game = small(make, images, form="regressor", latent=latent)
    torch.nn.init.normal_(game.encoder.last.weight)
    x, z = batch_of().x, game.latents(12, seeded())
    raw = game.encoder(x).detach()
    p, t = torch.sigmoid(raw), (z + 1) / 2
    expected = -(t * p.log() + (1 - t) * (1 - p).log()) if latent == "uniform" else (raw - z) ** 2 / 2
    torch.testing.assert_close(game.latent_error(z, x).detach(), expected.mean(1))
    assert z.abs().max() <= 1 or latent == "normal"


def test_what_it_can_do(make: Any, images: Any) -> None:
    game, x = small(make, images), batch_of().x
    assert all(isinstance(game, kind) for kind in (Samples, Shows, Measures, Encodes, Reconstructs))
    before = {name: value.clone() for name, value in game.state_dict().items()}
    assert game.encode(x).shape == (12, 3)
    assert game.features(x).shape == (12, 16)
    assert game.reconstruct(x).shape == x.shape
    assert game.show(batch_of(), seeded()).shape == (12, 3, 1, 8, 8)
    measured = game.measure(batch_of(), seeded())
    again = game.reconstruct(x)
    assert measured["error"].item() == pytest.approx(np.mean([np.linalg.norm((a - b).flatten() / 2) for a, b in zip(x, again.detach(), strict=True)]))
    assert all(torch.equal(before[name], value) for name, value in game.state_dict().items())  # statistics of normalisation rest
    assert game.training
    torch.testing.assert_close(game.encode(x)[:4], game.encode(x[:4]))
    with pytest.raises(UsageError, match="no truncation"):
        game.sample(2, seeded(), truncation=0.5)
    with pytest.raises(UsageError, match="decay_start must be a share"):
        InvertingConfig(decay_start=1.0)


def test_a_perfect_pair_is_measured_as_such(make: Any, images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """z is the image and G shows it: no error at all, and E finds z."""
    game = small(make, images, latent="normal", latent_dim=64)
    monkeypatch.setattr(game.encoder, "forward", lambda x: x.flatten(1))
    monkeypatch.setattr(game.generator, "forward", lambda z: z.view(-1, 1, 8, 8))
    measured = game.measure(batch_of(), seeded())
    assert measured["error"] == measured["error_fakes"] == measured["latent_share"] == measured["error_share"] == 0
    assert measured["error_random"] > 1


def test_the_authors_networks() -> None:
    shape = (1, 28, 28)
    generator, encoder, discriminator = BiGANGenerator(50, shape), BiGANEncoder(shape, 50), BiGANDiscriminator(shape, 50)
    counts = [sum(p.numel() for p in network.parameters()) for network in (generator, encoder, discriminator)]
    assert counts == [50 * 1024 + 1024 * 1024 + 50 * 1024 + 1024 * 784, 784 * 1024 + 1024 * 1024 + 1024 * 50, 784 * 1024 + 1024**2 + 50 * 1024 + 1024]
    assert all(abs(p.std().item() - 0.02) < 0.002 for network in (generator, encoder, discriminator) for p in network.parameters())
    black = torch.full((2, 1, 28, 28), -1.0)
    assert torch.equal(encoder.eval()(black), torch.zeros(2, 50))  # images are in [0, 1] inside, and nothing has a bias
    assert torch.equal(BiGANEncoder(shape, 50, zero=True)(torch.rand(2, 1, 28, 28)), torch.zeros(2, 50))


def test_the_authors_constants() -> None:
    config = find_recipe("bigan").preset("paper")
    assert isinstance(config, BiGANConfig)
    assert (config.batch, config.latent_dim, config.latent, config.joint_weight) == (128, 50, "uniform", 0.25)
    assert (config.optimizer.lr, config.optimizer.beta1, config.optimizer.weight_decay) == (2e-4, 0.5, 2.5e-5)
    schedule = late_decay(2e-4, 0.5, 200)
    rates = [schedule(Clock(round=epoch, horizon=400))["lr"] for epoch in range(400)]
    assert rates[:200] == [2e-4] * 200
    expected = np.exp(np.log(2e-4) + np.arange(1, 201) / 200 * np.log(0.01))
    np.testing.assert_allclose(rates[200:], expected)


def test_it_learns_to_invert(tmp_path: Path) -> None:
    run = api.train(
        "bigan", data="digits", preset="small", resolution=8, width=128, latent_dim=10, batch=64, device="cpu", out=tmp_path / "run",
        plan=Plan(steps=300, preview_every=0, score_every=300),
    )  # fmt: skip
    score = api.info(run.folder)["last_score"]
    assert score["error_share"] < 0.9
    codes: Tensor = api.encode(run.folder, "digits", num=50)
    assert codes.shape == (50, 10)
    assert codes.abs().max() <= 1
