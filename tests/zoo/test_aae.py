"""Adversarial autoencoder: losses by hand, priors, who is told labels, who moves the encoder; and a run whose codes approach the prior."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from saddlepoint import api
from saddlepoint.data.records import Batch, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, use
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.aae import AAEConfig, CategoricalAAEGame, dropping
from saddlepoint.games.autoencoding import Encodes, Reconstructs
from saddlepoint.games.game import Classifies, Measures, Samples, Shows
from saddlepoint.games.player import SGD, Clock
from saddlepoint.objectives.priors import draw_prior, mean_discrepancy
from saddlepoint.studies.questions import trained
from saddlepoint.training.plan import Plan
from saddlepoint.zoo.aae import AAERecipeConfig
from saddlepoint.zoo.catalogue import find_recipe


def small(make: Any, images: Any, preset: str = "small", **changes: Any) -> Any:
    game, _, _ = make("aae", preset, images(size=8), **({"resolution": 8, "width": 16} | changes))
    return game.double()


def batch_of(n: int = 12) -> Batch:
    x = torch.rand(n, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Batch({"image": x, "label": torch.arange(n) % 4, "labelled_image": -x, "labelled_label": torch.arange(n) % 4})


def seeded() -> Draws:
    return Draws.seeded(4, dtype=torch.float64)


def play_turn(game: Any, name: str, batch: Batch) -> Any:
    game.draws = seeded()
    with use(game.draws):
        return getattr(game, name)(batch)


# -- priors ------------------------------------------------------------------------------------------------------------------------------


def test_the_mixture_and_the_roll() -> None:
    z, part = draw_prior("mixture", 20_000, 4, seeded(), std=2.0, parts=5)
    for k in range(5):
        angle = 2 * math.pi * k / 5
        expected = 2 * torch.tensor([math.cos(angle), math.sin(angle)] * 2, dtype=torch.float64)
        torch.testing.assert_close(z[part == k].mean(0), expected, rtol=0, atol=0.05)
        across = z[part == k][:, :2] @ torch.tensor([-math.sin(angle), math.cos(angle)], dtype=torch.float64)
        assert across.std().item() == pytest.approx(0.1, rel=0.1)
    roll, part = draw_prior("swiss-roll", 20_000, 2, seeded(), std=1.0, parts=10)
    radius = roll.norm(dim=1)
    assert radius.max() < 1.1
    assert all(radius[part == k].mean() < radius[part == k + 1].mean() for k in range(9))  # pieces follow each other from the centre out
    turns = radius[part == 9].mean().item() * 4 * math.pi
    assert turns == pytest.approx(4 * math.pi * math.sqrt(0.95), rel=0.02)
    z, part = draw_prior("normal", 20_000, 3, seeded(), std=5.0)
    assert z.std().item() == pytest.approx(5, rel=0.02)


def test_the_discrepancy() -> None:
    a, b = torch.randn(6, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return 24 / (24 + (x - y).square().sum())  # 2 d scale^2 = 2 x 3 x 4

    within = [np.mean([float(kernel(s[i], s[j])) for i in range(len(s)) for j in range(len(s)) if i != j]) for s in (a, b)]
    across = np.mean([float(kernel(x, y)) for x in a for y in b])
    assert mean_discrepancy(a, b, 2.0).item() == pytest.approx(within[0] + within[1] - 2 * across)
    draws = seeded()
    same = [mean_discrepancy(draws.normal(64, 3), draws.normal(64, 3)).item() for _ in range(50)]
    assert abs(np.mean(same)) < 3 * np.std(same) / math.sqrt(50) + 1e-4
    assert mean_discrepancy(draws.normal(64, 3), draws.normal(64, 3) + 2).item() > 0.1


# -- the game ----------------------------------------------------------------------------------------------------------------------------


def test_the_three_turns(make: Any, images: Any) -> None:
    game, batch = small(make, images), batch_of()
    z = game.encoder(batch.x).detach()
    with torch.no_grad():
        drawn, _ = draw_prior("normal", 12, 8, seeded())
        real, fake = game.discriminator(drawn).logits, game.discriminator(z).logits
        again = game.decoder(z)
    torch.testing.assert_close(
        play_turn(game, "reconstruction_turn", batch).total().detach(), (((again - batch.x) / 2) ** 2).flatten(1).sum(1).mean() / 2
    )
    torch.testing.assert_close(play_turn(game, "discriminator_turn", batch).total().detach(), -(logsigmoid(real) + logsigmoid(-fake)).mean())
    torch.testing.assert_close(play_turn(game, "encoder_turn", batch).total().detach(), -logsigmoid(fake).mean())
    assert [turn.player for turn in game.play()] == ["autoencoder", "discriminator", "encoder"]
    assert game.players["encoder"].modules[0] is game.players["autoencoder"].modules[0] is game.encoder


def test_posteriors(make: Any, images: Any) -> None:
    for posterior, random in (("deterministic", False), ("gaussian", True), ("universal", True)):
        game, x = small(make, images, posterior=posterior), batch_of().x
        torch.nn.init.normal_(game.encoder.layers[0].weight)
        codes = []
        for seed in (1, 2):
            with use(Draws.seeded(seed, dtype=torch.float64)):
                codes.append(game.encode(x))
        assert torch.equal(*codes) != random
        assert codes[0].shape == (12, 8)
    game = small(make, images, posterior="gaussian").eval()
    assert torch.equal(game.encode(x), game.encode(x))


def test_labels_choose_the_part_of_the_prior(make: Any, images: Any) -> None:
    game, batch = small(make, images, "small-mixture"), batch_of()
    assert game.discriminator.layers[0].in_features == 2 + 4
    seen: list[Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    play_turn(game, "discriminator_turn", batch)
    drawn, codes = seen
    angle = torch.atan2(drawn[:, 1], drawn[:, 0]) / (2 * math.pi) * 4
    assert torch.equal(angle.round().long() % 4, drawn[:, 2:].argmax(1))
    assert torch.equal(codes[:, 2:].argmax(1), batch["label"])
    labels = torch.tensor([3, 3, 0])
    assert game.sample(3, seeded(), labels=labels).shape == (3, 1, 8, 8)


def test_a_decoder_that_is_told_labels(make: Any, images: Any) -> None:
    game = small(make, images, "small-style")
    assert not isinstance(game, Reconstructs)
    assert game.encode(batch_of().x).shape == (12, 8)
    torch.nn.init.normal_(game.decoder.layers[0].weight)
    a, b = (game.sample(6, seeded(), labels=torch.full((6,), k)) for k in (0, 1))
    assert not torch.equal(a, b)
    assert torch.equal(a, game.sample(6, seeded(), labels=torch.zeros(6, dtype=torch.int64)))


def test_categories(make: Any, images: Any) -> None:
    game, batch = small(make, images, "small-semi-supervised", categories=4, labels_per_class=2, input_dropout=0.0), batch_of()
    assert isinstance(game, CategoricalAAEGame)
    assert [turn.player for turn in game.play()] == ["autoencoder", "discriminator", "encoder", "classifier"]
    y, z = game.split(batch.x)
    torch.testing.assert_close(y.sum(1), torch.ones(12, dtype=torch.float64))
    logits = game.encoder(batch["labelled_image"])[:, :4]
    expected = -logits.log_softmax(1)[torch.arange(12), batch["labelled_label"]].mean()
    torch.testing.assert_close(play_turn(game, "classification_turn", batch).total(), expected)
    loss = play_turn(game, "encoder_turn", batch)
    torch.testing.assert_close(loss.terms["category"], -logsigmoid(game.category_discriminator(y).logits).mean())
    torch.testing.assert_close(loss.terms["style"], -logsigmoid(game.discriminator(z).logits).mean())
    assert game.encode(batch.x).shape == (12, 4 + 10)
    assert isinstance(game, Classifies)
    assert all(isinstance(game, kind) for kind in (Samples, Shows, Measures, Encodes, Reconstructs))


def test_clusters_are_named_after_their_surest_sample(make: Any, images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    game = small(make, images, "small-clusters", categories=3)
    assert [turn.player for turn in game.play()] == ["autoencoder", "discriminator", "encoder"]
    y = torch.tensor([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]], dtype=torch.float64)
    monkeypatch.setattr(game, "split", lambda x: (y, torch.zeros(4, 5, dtype=torch.float64)))
    batch = Batch({"image": batch_of(4).x, "label": torch.tensor([2, 1, 1, 0])})
    assert game.measure(batch, seeded())["class_error"].item() == 0.25  # cluster 0 is named 2, and its second member is a 1


def test_refusals(make: Any, images: Any) -> None:
    with pytest.raises(UsageError, match="latent_dim must be even; it is 3"):
        AAEConfig(prior="mixture", latent_dim=3)
    with pytest.raises(UsageError, match="no parts that labels could name"):
        AAEConfig(labels="prior")
    with pytest.raises(UsageError, match="prior_std and init_std must be more than 0"):
        AAEConfig(prior_std=0.0)
    with pytest.raises(UsageError, match="set --categories"):
        AAERecipeConfig(labels_per_class=10)
    with pytest.raises(UsageError, match="two uses of one network"):
        AAERecipeConfig(labels="decoder", categories=10)
    with pytest.raises(UsageError, match="3 categories cannot name the 4 classes"):
        small(make, images, "small-semi-supervised", categories=3, labels_per_class=2)
    data = images(size=8)
    object.__setattr__(data.spec, "num_classes", None)
    with pytest.raises(DataError, match="needs data with labels; noise has none"):
        make("aae", "small-style", data, resolution=8)
    with pytest.raises(UsageError, match="no truncation"):
        small(make, images).sample(1, seeded(), truncation=0.5)


def test_the_papers_constants() -> None:
    config = find_recipe("aae").preset("paper")
    assert isinstance(config, AAERecipeConfig)
    assert (config.batch, config.latent_dim, config.width) == (100, 8, 1000)
    assert (config.reconstruction_optimizer, config.regularisation_optimizer) == (SGD(lr=0.01, momentum=0.9), SGD(lr=0.1, momentum=0.1))
    schedule = dropping(0.1, config.drops)
    rates = [schedule(Clock(round=epoch, horizon=1500))["lr"] for epoch in (0, 49, 50, 999, 1000, 1499)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_regularisation_alone_brings_codes_to_the_prior(make: Any, images: Any, play: Any) -> None:
    """From a cloud three deviations away."""
    game, config, data = make("aae", "small", images(size=8, n=64), resolution=8, width=32, latent_dim=2, batch=64)
    game.play = lambda: iter([game.discriminator_turn, game.encoder_turn])
    x = data.records(torch.arange(64))["image"] / 127.5 - 1
    torch.nn.init.normal_(game.encoder.layers[0].weight, 0.0, 0.3)
    torch.nn.init.constant_(game.encoder.layers[-1].bias, 3.0)

    def gap() -> float:
        with torch.no_grad():
            return mean_discrepancy(game.encode(x), seeded().normal(64, 2).float()).item()

    before = gap()
    with play(game, config, data) as playing:
        playing.rounds(400)
    assert before > 1
    assert gap() < before / 2


def test_codes_of_digits_reach_the_prior() -> None:
    """The discrepancy of the codes of digits that were not trained on from the prior falls to less than a twenty-fifth of what it begins at."""
    train, test = (open_data(f"digits:{split}") for split in ("train", "test"))
    x, gaps = to_device(test.records(torch.arange(len(test))), "cpu").image, []

    def look(game: Any, done: int) -> None:
        with torch.no_grad():
            gaps.append(mean_discrepancy(game.encode(x), seeded().normal(1_000, 8).float()).item())

    game = trained(("aae", "small", {"resolution": 8}), train, 500, 0, watch=look)
    assert gaps[0] > 0.15 and gaps[-1] < gaps[0] / 25
    with torch.no_grad():
        assert (game.reconstruct(x) - x).square().mean() < 0.08  # the mean digit has .29


def test_a_hundred_labels_name_the_digits(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"resolution": 8, "width": 128, "batch": 64, "plan": Plan(steps=150, preview_every=0, score_every=150)}
    run = api.train("aae", data="digits", preset="small-semi-supervised", device="cpu", out=tmp_path / "run", **settings)
    assert api.info(run.folder)["last_score"]["class_error"] < 0.3
    assert api.encode(run.folder, "digits", num=20).shape == (20, 20)
