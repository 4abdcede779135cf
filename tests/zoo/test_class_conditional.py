"""BigGAN, SAGAN, AC-GAN and the projection discriminator: constants, terms, statistics, heads."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.biggan import BigGANGame
from saddlepoint.games.orthogonal import OrthogonalRegularisation, off_diagonal_square
from saddlepoint.games.player import Clock
from saddlepoint.networks.acgan import ACGANDiscriminator, ACGANGenerator
from saddlepoint.networks.biggan import BigGANDiscriminator
from saddlepoint.networks.heads import ClassHead
from saddlepoint.networks.layers import Dropout, GaussianNoise
from saddlepoint.networks.mlp import MLPDiscriminator
from saddlepoint.networks.projection import ProjectionHead
from saddlepoint.networks.resnet import ResNetDiscriminator
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe

K = 3


def data(side: int = 16, labels: bool = True, n: int = 24) -> ArrayDataset:
    fields = {"image": torch.randint(0, 256, (n, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))}
    fields |= {"label": torch.arange(n) % K} if labels else {}
    spec = DataSpec(name="noise", kind="image", shape=(1, side, side), num_records=n, num_classes=K if labels else None, fields=tuple(fields))
    return ArrayDataset(fields, spec)


def game(recipe: str, preset: str = "small", *, labels: bool = True, side: int = 16, **changes: Any) -> Any:
    torch.manual_seed(0)
    entry = find_recipe(recipe)
    return entry.game(dataclasses.replace(entry.preset(preset), **changes), data(side, labels))


TINY: dict[str, Any] = {"width": 4, "shared_dim": 5, "latent_dim": 9, "batch": 8, "attention": (8,)}


def test_constants() -> None:
    biggan, deep, sagan = (find_recipe(name).preset("paper") for name in ("biggan", "biggan-deep", "sagan"))
    adam = [biggan.generator_optimizer, biggan.discriminator_optimizer]
    assert [(a.lr, a.beta1, a.beta2) for a in adam] == [(5e-5, 0.0, 0.999), (2e-4, 0.0, 0.999)]
    assert (biggan.batch, biggan.width, biggan.latent_dim, biggan.shared_dim, biggan.d_steps, biggan.attention) == (2048, 96, 120, 128, 2, (64,))
    assert (biggan.orthogonal_weight, biggan.ema_decay, biggan.ema_start, biggan.norm_eps, biggan.standing_passes) == (
        1e-4,
        0.9999,
        20_000,
        1e-4,
        100,
    )
    assert (deep.batch, deep.width, deep.latent_dim, deep.depth, deep.hierarchical) == (2048, 128, 128, 2, False)
    cifar = find_recipe("biggan").preset("cifar")
    assert (cifar.batch, cifar.d_steps, cifar.ema_start, cifar.attention, cifar.start) == (50, 4, 1000, (), "normal")
    assert (cifar.generator_optimizer.lr, cifar.discriminator_optimizer.lr) == (2e-4, 2e-4)
    port = find_recipe("biggan").preset("port")
    assert (port.generator_optimizer, port.discriminator_optimizer.lr, port.d_steps) == (type(adam[0])(lr=1e-4, beta1=0, eps=1e-6), 4e-4, 1)
    assert [(a.lr, a.beta1, a.beta2) for a in (sagan.generator_optimizer, sagan.discriminator_optimizer)] == [(1e-4, 0.0, 0.9), (4e-4, 0.0, 0.9)]
    assert (sagan.batch, sagan.latent_dim, sagan.attention, sagan.d_steps) == (256, 128, (32,), 1)
    projection, acgan = find_recipe("projection").preset("paper"), find_recipe("acgan").preset("paper")
    assert (projection.batch, projection.rounds, projection.d_steps, projection.architecture) == (64, 450_000, 5, "sngan-128")
    assert (acgan.batch, acgan.rounds, acgan.width, acgan.latent_dim, acgan.resolution) == (100, 50_000, 16, 100, 128)


def test_orthogonal_regularisation_is_the_formula() -> None:
    """Eq. 3 in NumPy for wide and tall matrices; its gradient twice the first author's hand-made one; embeddings left alone."""
    rng = torch.Generator().manual_seed(0)
    for shape in ((3, 5), (7, 2), (4, 2, 3, 3), (40, 1, 3, 3)):
        weight = torch.randn(shape, dtype=torch.float64, generator=rng, requires_grad=True)
        w = weight.detach().flatten(1).numpy().T  # outputs are columns
        gram = w.T @ w
        value = off_diagonal_square(weight)
        assert value.item() == pytest.approx(((gram * (1 - np.eye(len(gram)))) ** 2).sum(), rel=1e-12)
        value.backward()
        assert weight.grad is not None
        by_hand = 2 * (gram * (1 - np.eye(len(gram)))) @ w.T
        np.testing.assert_allclose(weight.grad.flatten(1).numpy(), 2 * by_hand, rtol=1e-9, atol=1e-9)
    network = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ConvTranspose2d(5, 2, 3)).double()
    term = OrthogonalRegularisation("generator", network, 0.25)
    scene: Any = None
    expected = off_diagonal_square(network[1].weight) + off_diagonal_square(network[3].weight.transpose(0, 1))
    torch.testing.assert_close(term(scene), 0.25 * expected)


def test_the_term_makes_filters_orthogonal_and_is_logged() -> None:
    one = game("biggan", **TINY, orthogonal_weight=1e-2, start="normal")
    log: list[dict[str, Tensor]] = []
    trainer = Trainer(one, data(), TrainerConfig(batch=8, horizon=4), record=lambda round, values: log.append(values))
    trainer.play_round()
    trainer.close()
    merged = {name: value for values in log for name, value in values.items()}
    term = next(term for term in one.terms if isinstance(term, OrthogonalRegularisation))
    assert merged["generator/orthogonal"].item() > 0 and one.generator.shared not in term.watched
    spectra = {name: value for name, value in merged.items() if name.startswith("spectrum/")}
    assert {"spectrum/generator.project", "spectrum/discriminator.to_logit"} <= set(spectra)
    with torch.no_grad():
        largest = torch.linalg.svdvals(one.generator.project.weight)[0]
    assert spectra["spectrum/generator.project"].item() == pytest.approx(largest.item(), rel=0.05)


def test_the_average_starts_late() -> None:
    one = game("biggan", **TINY, ema_start=1, ema_decay=0.75)
    trainer = Trainer(one, data(), TrainerConfig(batch=8, horizon=4))
    trainer.play_round()
    first = {name: value.clone() for name, value in one.generator.state_dict().items()}
    assert all(torch.equal(first[name], value) for name, value in one.generator_ema.state_dict().items())
    trainer.play_round()
    trainer.close()
    averaged = {name for name, _ in one.generator.named_parameters()} | {name for name in first if ".running_" in name}
    assert any("running_var" in name for name in averaged) and any(".spectral.u" in name for name in first)
    for name, now in one.generator.state_dict().items():  # statistics of batch norm too; singular vectors are the latest
        expected = 0.75 * first[name] + 0.25 * now if name in averaged else now
        torch.testing.assert_close(one.generator_ema.state_dict()[name], expected)
    assert one.averages[0].decay(Clock(round=0)) == 0.0


def test_samples_use_standing_statistics_of_latents_truncated_alike() -> None:
    one: BigGANGame = game("biggan", **TINY, standing_passes=3).double()
    state = {name: value.clone() for name, value in one.state_dict().items()}

    def draw(truncation: float | None = None, passes: int = 3) -> Tensor:
        one.standing_passes = passes
        return one.sample(6, Draws.seeded(0, dtype=torch.float64), torch.zeros(6, dtype=torch.int64), truncation)

    plain, narrow, running = draw(), draw(0.5), draw(passes=0)
    assert not torch.allclose(plain, running) and not torch.allclose(plain, narrow)
    assert torch.equal(plain, draw()) and torch.equal(narrow, draw(0.5))  # whatever was drawn before
    assert all(torch.equal(value, one.state_dict()[name]) for name, value in state.items()) and one.training
    draw(0.5)
    again = one.standing
    draw(0.5)
    assert one.standing is again  # made once
    with torch.no_grad():
        torch._foreach_lerp_([*one.generator_ema.parameters()], [torch.ones_like(p) for p in one.generator_ema.parameters()], 0.1)
    assert not torch.equal(draw(0.5), narrow) and one.standing is not again  # the weights have moved
    with pytest.raises(UsageError, match="threshold above 0"):
        draw(0.0)


@pytest.mark.parametrize("recipe", ["biggan", "biggan-deep", "sagan"])
def test_data_without_labels_is_learnt_without_classes(recipe: str) -> None:
    settings = {name: value for name, value in TINY.items() if name in vars(find_recipe(recipe).preset("small"))}
    one = game(recipe, **settings, labels=False)
    trainer = Trainer(one, data(labels=False), TrainerConfig(batch=8, horizon=4))
    trainer.play_round()
    trainer.close()
    assert one.sample(3, one.draws).shape == (3, 1, 16, 16)


def test_real_and_fake_are_judged_together() -> None:
    assert game("biggan", **TINY).joint and game("sagan", width=4, latent_dim=9).joint and game("projection", "small-residual", side=16).joint
    assert not game("acgan", side=16).joint


def test_acgan_networks_are_the_tables() -> None:
    generator, discriminator = ACGANGenerator((3, 128, 128), 100, num_classes=10), ACGANDiscriminator((3, 128, 128), noise=0.1)
    maps = [layer.out_channels for layer in generator.levels if isinstance(layer, nn.ConvTranspose2d)]
    assert generator.project.in_features == 110 and generator.project.out_features == 768 * 16
    assert maps == [384, 256, 192, 64, 3]
    assert all(layer.kernel_size == (5, 5) and layer.stride == (2, 2) for layer in generator.levels if isinstance(layer, nn.ConvTranspose2d))
    assert not isinstance(generator.levels[-2], nn.BatchNorm2d)
    cifar = ACGANGenerator((3, 32, 32), 100, num_classes=10)
    assert cifar.project.out_features == 384 * 16
    assert [layer.out_channels for layer in cifar.levels if isinstance(layer, nn.ConvTranspose2d)] == [192, 96, 3]
    convolutions = [layer for layer in discriminator.levels if isinstance(layer, nn.Conv2d)]
    assert [(c.out_channels, c.stride[0]) for c in convolutions] == [(16, 2), (32, 1), (64, 2), (128, 1), (256, 2), (512, 1)]
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.levels) == 5
    assert [layer.p for layer in discriminator.levels if isinstance(layer, Dropout)] == [0.5] * 6
    assert [layer.std for layer in discriminator.levels if isinstance(layer, GaussianNoise)] == [0.1] * 6
    assert convolutions[5].weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert discriminator.head.in_features == 512 * 16 * 16


def test_acgan_switches() -> None:
    assert [(term.player, term.on_fakes) for term in game("acgan").terms] == [("discriminator", True), ("generator", False)]
    assert [term.on_fakes for term in game("acgan", classify_fakes=False).terms] == [False, False]
    noisy = game("acgan", activation_noise=0.2)
    assert isinstance(noisy.discriminator, ClassHead)
    assert [layer.std for layer in noisy.discriminator.modules() if isinstance(layer, GaussianNoise)] == [0.2] * 6


def test_projection_head_is_the_equation_and_the_same_as_the_residual_networks_own() -> None:
    torch.manual_seed(0)
    plain = MLPDiscriminator((2,), width=8, hidden=2).double()
    head = ProjectionHead(plain, K).double()
    x, y = torch.randn(5, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    logits, features, _ = head(x, y)
    assert features is not None
    expected = plain(x).logits.detach().numpy() + np.einsum("nd,nd->n", head.embedding.weight.detach().numpy()[y], features.detach().numpy())
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=0, atol=1e-12)
    assert head.embedding.spectral is None
    own = ResNetDiscriminator("sngan-32", (1, 16, 16), width=0.1, num_classes=K)
    wrapped = ProjectionHead(ResNetDiscriminator("sngan-32", (1, 16, 16), width=0.1), K)
    state = {name if name.startswith("embedding") else f"network.{name}": value for name, value in own.state_dict().items()}
    wrapped.load_state_dict(state)
    images = torch.randn(5, 1, 16, 16)
    torch.testing.assert_close(wrapped(images, y).logits, own(images, y).logits)
    assert wrapped.embedding.spectral is not None


def test_projection_heads_and_schedule() -> None:
    assert isinstance(game("projection").discriminator, ProjectionHead)
    assert isinstance(game("projection", "small-auxiliary").discriminator, ClassHead)
    concat = game("projection", "small-concat").discriminator
    assert concat.head == "concat" and concat.embedding.embedding_dim == 16 and concat.blocks[3].conv1.in_channels == 16 + 16
    torch.manual_seed(0)
    scheduled = game("projection", "small-residual", decay_start=8 / 9, width=8)
    for player in scheduled.players.values():
        rates = [player.schedule(Clock(round=done, horizon=450)) for done in (0, 399, 425, 450)]
        assert [round(rate["lr"] / 2e-4, 6) for rate in rates] == [1, 1, 0.5, 0]


def test_settings_that_contradict_each_other_are_refused() -> None:
    for recipe, changes, message in (
        ("biggan", {"shared_dim": None}, "joins the shared embedding"),
        ("biggan", {"ema_halflife_kimg": 2.0}, "ema_decay and ema_start"),
        ("biggan-deep", {"hierarchical": True}, "whole z to a shared embedding"),
        ("acgan", {"conditional": True}, "G is always told the label and D never"),
        ("acgan", {"architecture": "dcgan", "activation_noise": 0.1}, "Only the architecture ac-gan"),
        ("projection", {"conditional": True}, "the head says how D is"),
        ("projection", {"lr_decay": "linear"}, "decay_start says"),
        ("projection", {"head": "concat", "architecture": "dcgan"}, "needs a residual network"),
    ):
        with pytest.raises(UsageError, match=message):
            game(recipe, **changes)
    head = ProjectionHead(MLPDiscriminator((2,), width=8), K)
    with pytest.raises(UsageError, match="conditional on 3 classes and needs labels"):
        head(torch.zeros(2, 2))


def test_the_sum_pool_ties_the_logit_to_the_size() -> None:
    """Features are sums over the map, so D sees an image twice as large as more of it, as in the paper."""
    torch.manual_seed(0)
    discriminator = BigGANDiscriminator((1, 16, 16), width=4, attention=()).double()
    maps = discriminator.maps(torch.randn(2, 1, 16, 16, dtype=torch.float64))
    x = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    assert maps.shape[2:] == (4, 4)
    np.testing.assert_allclose(
        discriminator(x).features.detach().numpy(), np.maximum(discriminator.maps(x).detach().numpy(), 0).sum((2, 3)), atol=1e-12
    )


@pytest.mark.parametrize("recipe", ["dcgan", "lapgan", "biggan", "pixelcnn", "brute-force"])
def test_classes_of_fakes_are_as_often_as_in_the_data(recipe: str) -> None:
    labels = torch.tensor([0] * 18 + [2] * 6)  # none of the second class
    pixels = torch.zeros(24, 1, 16, 16, dtype=torch.uint8)
    spec = DataSpec(name="rare", kind="image", shape=(1, 16, 16), num_records=24, num_classes=K, fields=("image", "label"))
    rare = ArrayDataset({"image": pixels, "label": labels}, spec)
    assert rare.spec.class_counts == (18, 0, 6)
    assert rare.part(torch.tensor([0, 20, 23]), "some").spec.class_counts == (1, 0, 2)
    entry = find_recipe(recipe)
    changes: dict[str, Any] = {"conditional": True} if recipe != "biggan" else {}
    config = dataclasses.replace(entry.preset("small"), resolution=16, **changes)
    built = entry.game(config, rare)
    drawn = torch.bincount(built.draw_classes(4000, K, Draws.seeded("classes")), minlength=K)
    assert drawn[1] == 0
    assert drawn[0].item() == pytest.approx(3000, abs=150)
    even = entry.game(config, data())
    assert (even.draw_classes(50, K, Draws.seeded(1)) == Draws.seeded(1).integers(50, high=K)).all()
    pieces = [built.draw_classes(8, K, Draws.seeded(2, piece=piece, pieces=2)) for piece in range(2)]
    assert (torch.cat(pieces) == built.draw_classes(16, K, Draws.seeded(2))).all()


def test_samples_without_a_label_have_the_classes_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, labels = torch.zeros(8, 1, 16, 16, dtype=torch.uint8), torch.tensor([1] * 7 + [0])
    spec = DataSpec(name="rare", kind="image", shape=(1, 16, 16), num_records=8, num_classes=2, fields=("image", "label"))
    entry = find_recipe("dcgan")
    built: Any = entry.game(
        dataclasses.replace(entry.preset("small"), resolution=16, width=4, conditional=True), ArrayDataset({"image": pixels, "label": labels}, spec)
    )
    told: list[Tensor] = []
    generate = built.generate
    monkeypatch.setattr(built, "generate", lambda z, labels, *rest: told.append(labels) or generate(z, labels, *rest))
    built.sample(400, Draws.seeded(3))
    assert told[0].float().mean().item() == pytest.approx(7 / 8, abs=0.06)
