"""VAE/GAN: every player's gradient by hand, who rests when, features, attribute vectors, the authors' constants."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.autoencoding import Encodes, Reconstructs
from saddlepoint.games.game import Measures, Samples, Shows
from saddlepoint.games.player import Clock, RMSprop
from saddlepoint.games.vaegan import VAEGANConfig, annealed, attribute_vectors
from saddlepoint.networks.vaegan import BlockDecoder, BlockEncoder, LayeredDiscriminator
from saddlepoint.zoo.catalogue import find_recipe


def tiny(make: Any, images: Any, **changes: Any) -> Any:
    settings = {"resolution": 12, "width": 4, "latent_dim": 3, "recon_weight": 0.2} | changes
    game, *_ = make("vae-gan", "small", images(size=12), **settings)
    return game.double()


def gradients(loss: Tensor, network: Any) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters()), allow_unused=True))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layer", [0, 2, 3])
def test_all_three_gradients_by_hand(layer: int, both: bool, make: Any, images: Any) -> None:
    """Larsen et al. 2016, Algorithm 1: encoder KL + error, decoder w error - (1 - w) GAN, discriminator GAN alone."""
    game = tiny(make, images, layer=layer, judge_reconstructions=both)
    x = torch.rand(6, 1, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    game.draws = Draws.seeded(1, dtype=torch.float64)
    found = {}
    with use(game.draws):
        for name in game.players:
            found[name] = gradients(getattr(game, f"{name}_turn")(Batch({"image": x})).total(), game.get_submodule(name))
    draws = Draws.seeded(1, dtype=torch.float64)
    eps, drawn = draws.normal(6, 3), draws.normal(6, 3)
    mean, log_variance = game.encoder(x).chunk(2, 1)
    z = mean + torch.exp(log_variance / 2) * eps
    kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / 6

    def error(again: Tensor) -> Tensor:
        first, second = game.discriminator(torch.cat([again, x])).features.chunk(2)
        return 0.5 * ((first - second) ** 2).sum() / 6

    def verdict(fakes: Tensor) -> tuple[Tensor, Tensor]:
        d = torch.sigmoid(game.discriminator(torch.cat([x, fakes])).logits)
        return torch.log(d[:6] + 1e-3).sum() / 6, torch.log(1 - d[6:] + 1e-3).sum() / 6

    expected = {"encoder": gradients(kl + error(game.decoder(z)), game.encoder)}
    again, sampled = game.decoder(torch.cat([z.detach(), drawn])).chunk(2)
    fakes = torch.cat([again, sampled]) if both else sampled
    expected["decoder"] = gradients(0.2 * error(again) + 0.8 * verdict(fakes)[1], game.decoder)
    real, fake = verdict(fakes.detach())
    expected["discriminator"] = gradients(-real - fake, game.discriminator)
    for name, hand in expected.items():
        for own, other in zip(found[name], hand, strict=True):
            torch.testing.assert_close(own, other, msg=lambda text, name=name: f"{name}: {text}")


def test_a_round_moves_all_by_the_gradients_of_its_beginning(make: Any, images: Any, play: Any) -> None:
    """What the encoder's turn made is kept: the decoder does not see the encoder's move."""
    game, config, data = make("vae-gan", "small", images(size=12), resolution=12, width=4, latent_dim=3, batch=8)
    codes: list[Tensor] = []
    game.decoder.register_forward_pre_hook(lambda module, inputs: codes.append(inputs[0].detach().clone()))
    with play(game.double(), config, data) as table:
        table.rounds(1)
    drawn, z, both = codes
    torch.testing.assert_close(both, torch.cat([z, drawn]))


@pytest.mark.parametrize(
    ("real", "fake", "rests"),
    [(0.6, 0.8, set()), (0.2, 0.5, {"discriminator"}), (0.9, 1.2, {"decoder"}), (0.1, 1.5, set()), (0.32, 1.0, {"discriminator"})],
)
def test_who_rests(real: float, fake: float, rests: set[str], make: Any, images: Any) -> None:
    game = tiny(make, images, margin=0.35)
    playing = iter(game.play())
    played = [next(playing).player]
    game.after_turn(game.encoder_turn, {"encoder/cost_real": torch.tensor(real), "encoder/cost_fake": torch.tensor(fake)})
    played += [turn.player for turn in playing]
    assert set(game.players) - set(played) == rests


def test_the_discriminator_moves_on_where_the_decoder_rests(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("vae-gan", "small", images(size=12), resolution=12, width=4, latent_dim=3, batch=8, margin=0.0, equilibrium=0.0)
    with play(game, config, data) as table:
        before = [p.clone() for p in game.decoder.parameters()]
        table.rounds(2)  # any cost is above 0
        assert all(torch.equal(a, b) for a, b in zip(before, game.decoder.parameters(), strict=True))
        assert {name.partition("/")[0] for values in table.log for name in values} == {"encoder", "discriminator"}


def test_features_are_those_of_the_layer() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 28, 20)
    for layer, size in enumerate((3 * 28 * 20, 16 * 14 * 10, 32 * 7 * 5, 32 * 4 * 3)):
        net = LayeredDiscriminator((3, 28, 20), 8, layer)
        assert net(x).features.shape == (4, size)
        torch.testing.assert_close(net(x).features, net.features(x))
    assert BlockDecoder(5, (3, 28, 20), 8)(torch.randn(4, 5)).shape == x.shape
    assert BlockEncoder((3, 28, 20), 7, widths=(4, 8), hidden=0)(x).shape == (4, 7)
    with pytest.raises(UsageError, match="layers 1 to 3"):
        LayeredDiscriminator((3, 32, 32), 8, 4)
    with pytest.raises(UsageError, match="fewer than 8"):
        BlockEncoder((1, 4, 4), 2)


def test_sizes_of_table_1() -> None:
    shapes = [tuple(p.shape) for p in BlockEncoder((3, 64, 64), 256).parameters() if p.ndim > 1]
    assert shapes == [(64, 3, 5, 5), (128, 64, 5, 5), (256, 128, 5, 5), (2048, 256 * 64), (256, 2048)]
    shapes = [tuple(p.shape) for p in BlockDecoder(128, (3, 64, 64)).parameters() if p.ndim > 1]
    assert shapes == [(8 * 8 * 256, 128), (256, 256, 5, 5), (256, 128, 5, 5), (128, 32, 5, 5), (3, 32, 5, 5)]
    shapes = [tuple(p.shape) for p in LayeredDiscriminator((3, 64, 64)).parameters() if p.ndim > 1]
    assert shapes == [(32, 3, 5, 5), (128, 32, 5, 5), (256, 128, 5, 5), (256, 256, 5, 5), (512, 256 * 64), (1, 512)]


def test_the_authors_constants() -> None:
    paper: Any = find_recipe("vae-gan").preset("paper")
    assert (paper.recon_weight, paper.layer, paper.latent_dim, paper.batch, paper.margin, paper.equilibrium) == (1e-6, 3, 128, 64, 0.35, 0.68)
    assert isinstance(paper.optimizer, RMSprop) and not paper.judge_reconstructions
    schedule = annealed(paper.optimizer.lr, paper.final_lr, paper.decay)
    assert schedule(Clock(round=0, horizon=10))["lr"] * 64 == pytest.approx(0.025)
    assert schedule(Clock(round=5, horizon=10))["lr"] * 64 == pytest.approx(0.025 - 0.5**0.75 * (0.025 - 1e-5))
    assert schedule(Clock(round=10, horizon=10))["lr"] * 64 == pytest.approx(1e-5)
    cifar: Any = find_recipe("vae-gan").preset("cifar")
    assert (cifar.recon_weight, cifar.layer, cifar.latent_dim) == (1e-5, 2, 256)


def test_what_it_can_do(make: Any, images: Any) -> None:
    game = tiny(make, images)
    for protocol in (Samples, Shows, Measures, Encodes, Reconstructs):
        assert isinstance(game, protocol)
    game.eval()
    batch = Batch({"image": torch.zeros(3, 1, 12, 12, dtype=torch.float64)})
    assert set(game.measure(batch, Draws.seeded(0))) == {"feature_error", "error", "psnr", "kl"}
    assert game.show(batch, Draws.seeded(0, dtype=torch.float64)).shape == (3, 3, 1, 12, 12)
    with pytest.raises(UsageError, match="no truncation"):
        game.sample(2, Draws.seeded(0), truncation=0.5)
    with pytest.raises(UsageError, match="share from 0 to 1"):
        VAEGANConfig(recon_weight=2.0)


def test_attribute_vectors_shift_codes() -> None:
    rng = torch.Generator().manual_seed(0)
    shift = torch.tensor([[1.0, 0.0, 2.0], [0.0, -3.0, 0.0]])
    attributes = torch.randint(0, 2, (4000, 2), generator=rng)
    codes = 0.1 * torch.randn(4000, 3, generator=rng) + attributes.float() @ shift
    torch.testing.assert_close(attribute_vectors(codes, attributes), shift, atol=0.1, rtol=0)
    with pytest.raises(UsageError, match="attribute 1 is in all or none of 3"):
        attribute_vectors(torch.zeros(3, 2), torch.tensor([[0, 1], [1, 1], [0, 1]]))
