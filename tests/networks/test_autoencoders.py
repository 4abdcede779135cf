"""Auto-encoder discriminators: energies by hand, gradients through both arguments, BEGAN's sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.autoencoders import (
    BEGANDecoder,
    BEGANDiscriminator,
    BEGANEncoder,
    BEGANGenerator,
    EBGANDiscriminator,
    EBGANMLPDiscriminator,
    set_carry,
)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_energies_by_hand() -> None:
    torch.manual_seed(0)
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64) * 2 - 1
    mlp = EBGANMLPDiscriminator((1, 8, 8), width=16, code_dim=4).double()
    rebuilt = mlp.decoder(mlp.encoder(x.flatten(1)))
    torch.testing.assert_close(mlp(x).logits, -((rebuilt - x.flatten(1)) ** 2).sum(1) / 64)
    x = torch.rand(4, 3, 16, 16, dtype=torch.float64) * 2 - 1
    began = BEGANDiscriminator((3, 16, 16), code_dim=5, width=2).double()
    rebuilt = began.decoder(began.encoder(x))
    torch.testing.assert_close(began(x).logits, -(x - rebuilt).abs().flatten(1).sum(1) / 768)
    torch.testing.assert_close(began(x).features, began.encoder(x))


@pytest.mark.parametrize("build", [lambda: EBGANMLPDiscriminator((1, 16, 16)), lambda: BEGANDiscriminator((1, 16, 16), width=2)])
def test_the_gradient_flows_through_sample_and_reconstruction(build: object) -> None:
    d = build()  # type: ignore[operator]
    for p in d.decoder.parameters():
        nn.init.zeros_(p)  # the reconstruction is 0 whatever x: only the target carries the gradient
    x = (torch.rand(2, 1, 16, 16) + 0.1).requires_grad_()
    d(x).logits.sum().backward()
    assert x.grad is not None and x.grad.abs().min() > 0


def test_sizes_of_ebgan() -> None:
    assert count(EBGANMLPDiscriminator((1, 28, 28))) == 785 * 256 + 257 * 32 + 33 * 256 + 257 * 784
    d = EBGANDiscriminator((3, 64, 64))
    channels = [(m.in_channels, m.out_channels) for m in d.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert channels == [(3, 64), (64, 128), (128, 256), (256, 128), (128, 64), (64, 3)]
    assert isinstance(d.encoder[1], nn.LeakyReLU) and isinstance(d.decoder[-1], nn.ConvTranspose2d)  # neither end is normalised
    for shape in ((1, 32, 16), (3, 28, 28)):
        x = torch.randn(2, *shape)
        levels = 3 if shape[1] == 32 else 2
        small = EBGANDiscriminator(shape, width=2, levels=levels)
        assert small(x).logits.shape == (2,) and (small(x).logits < 0).all()
    with pytest.raises(UsageError, match="divisible by 8; got 30x28. Nearest: 32x32"):
        EBGANDiscriminator((3, 30, 28))


def test_sizes_of_began() -> None:
    """n = 64 at 64x64: four levels; the encoder's channels grow by n a level."""
    encoder, decoder = BEGANEncoder(64, (3, 64, 64), 64), BEGANDecoder(64, (3, 64, 64), 64)
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert sorted(m.out_channels for m in convolutions) == [64] * 4 + [128] * 3 + [192] * 3 + [256] * 2
    assert sum(m.stride == (2, 2) for m in convolutions) == 3 and encoder.dense.weight.shape == (64, 8 * 8 * 256)
    assert len([m for m in decoder.modules() if isinstance(m, nn.Conv2d)]) == 9 and decoder.dense.weight.shape == (8 * 8 * 64, 64)
    assert count(decoder) == 65 * 4096 + 8 * (9 * 64 * 64 + 64) + 9 * 64 * 3 + 3
    assert count(BEGANGenerator((3, 64, 64), width=64)) == count(decoder)
    assert not any(isinstance(m, (nn.BatchNorm2d, nn.Tanh)) for n in (encoder, decoder) for m in n.modules())


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (32, 64), (48, 48)])
@pytest.mark.parametrize("skips", [False, True])
def test_began_at_other_sizes(size: tuple[int, int], skips: bool) -> None:
    shape = (1, *size)
    g, d = BEGANGenerator(shape, latent_dim=6, width=2, skips=skips), BEGANDiscriminator(shape, code_dim=6, width=2, skips=skips)
    images = g(torch.rand(2, 6) * 2 - 1)
    assert images.shape == (2, *shape) and d(images).logits.shape == (2,)


def test_vanishing_residuals() -> None:
    """At carry 1 every same-size convolution is the identity, so the generator is upsampling and its last convolution; at 0 it is plain."""
    torch.manual_seed(0)
    g = BEGANGenerator((1, 16, 16), latent_dim=6, width=4, vanishing=True)
    plain = BEGANGenerator((1, 16, 16), latent_dim=6, width=4)
    plain.load_state_dict({name: value for name, value in g.state_dict().items() if "carry" not in name})
    z = torch.rand(3, 6)
    h0 = g.decoder.dense(z).view(3, 8, 8, 4).permute(0, 3, 1, 2)
    torch.testing.assert_close(g(z), g.decoder.last(nn.functional.interpolate(h0, scale_factor=2.0)))
    assert "decoder.carry" in g.state_dict()
    set_carry(g, 0.0)
    torch.testing.assert_close(g(z), plain(z))
    set_carry(plain, 0.5)  # has none: nothing happens
