"""StyleGAN's networks: sizes, Eq. 1, a layer against its steps, ablations, growth, labels."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from saddlepoint.networks.stylegan import Epilogue, StyleGANDiscriminator, StyleGANGenerator, adaptive_instance_norm
from saddlepoint.networks.stylegan2 import Channels
from saddlepoint.networks.upfirdn import BILINEAR, fir_reference, kernel_of

TINY = Channels(base=64, most=8)


def generator(shape: tuple[int, int, int] = (3, 16, 16), classes: int | None = None, **parts: Any) -> StyleGANGenerator:
    torch.manual_seed(0)
    made = StyleGANGenerator(shape, latent_dim=6, code_dim=5, mapping_layers=2, channels=TINY, num_classes=classes, **parts)
    made.noise_mode = "fixed"
    return made


def test_parameters_at_1024_pixels() -> None:
    """The paper's section 2: 26.2M trainable parameters in the generator, 23.1M in the traditional one; D's are Progressive GAN's."""
    with torch.device("meta"):
        networks = (
            StyleGANGenerator((3, 1024, 1024)),
            StyleGANGenerator((3, 1024, 1024), styles=False, constant=False, noise=False, mapping_layers=0),
            StyleGANDiscriminator((3, 1024, 1024)),
        )
    counts = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert [round(count / 1e6, 1) for count in counts] == [26.2, 23.1, 23.1]
    assert networks[0].num_layers == 18


def test_adaptive_instance_norm_is_equation_1() -> None:
    x, scale, shift = (torch.randn(*size, dtype=torch.float64, requires_grad=True) for size in ((2, 3, 4, 5), (2, 3), (2, 3)))
    mean, std = x.mean((2, 3), keepdim=True), x.std((2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(adaptive_instance_norm(x, scale, shift), scale[:, :, None, None] * (x - mean) / std + shift[:, :, None, None])
    assert torch.autograd.gradgradcheck(adaptive_instance_norm, (x, scale, shift))


def test_what_follows_a_convolution_in_the_papers_order() -> None:
    """Noise and bias, LeakyReLU, instance norm, style with +1 on its scale."""
    layer = Epilogue(3, 5, (4, 6), noise=True, pixels=False).double()
    assert layer.noise is not None and layer.affine is not None
    for parameter in (layer.bias, layer.noise.strength):
        torch.nn.init.normal_(parameter)
    x, code = torch.randn(2, 3, 4, 6, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    y = F.leaky_relu(x + layer.noise.fixed * layer.noise.strength + layer.bias, 0.2)
    scale, shift = (code @ layer.affine.weight.T / math.sqrt(5)).view(2, 2, 3, 1, 1).unbind(1)
    torch.testing.assert_close(layer(x, code, "fixed"), F.instance_norm(y, eps=1e-8) * (scale + 1) + shift)


def test_levels_double_convolve_and_blur() -> None:
    network = generator().double()
    level: Any = network.levels[1]
    x, code = torch.randn(2, 8, 4, 4, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    up = F.conv2d(F.interpolate(x, scale_factor=2.0), level.up.weight * math.sqrt(2 / 72), padding=1)
    up = fir_reference(up, kernel_of(BILINEAR), padding=(1, 1))
    once = level.first(up, code, "fixed")
    twice = level.second(F.conv2d(once, level.conv.weight * math.sqrt(2 / 72), padding=1), code, "fixed")
    torch.testing.assert_close(level(x, (code, code), "fixed"), twice)


def test_noise_starts_at_zero_and_truncation_zero_is_the_mean_image() -> None:
    network = generator().eval()
    z = torch.randn(3, 6)
    images = network(z)
    network.noise_mode = "random"
    assert torch.equal(network(z), images)
    mean = network.synthesis(network.mapping.mean.expand(1, network.num_layers, -1))
    torch.testing.assert_close(network(z, truncation=0.0), mean.expand(3, -1, -1, -1))


def test_the_constant_is_ones_and_the_mapping_learns_a_hundred_times_slower() -> None:
    network = generator()
    assert network.constant is not None and bool((network.constant == 1).all())
    assert network.mapping.layers[0].lr_multiplier == 0.01


PARTS: list[dict[str, Any]] = [{}, {"constant": False}, {"noise": False}, {"styles": False, "constant": False, "noise": False}]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: "-".join(parts) or "all")
def test_every_part_can_be_left_out_and_the_rest_learns(parts: dict[str, Any]) -> None:
    network, discriminator = generator(**parts), StyleGANDiscriminator((3, 16, 16), channels=TINY)
    x = network(torch.randn(4, 6))
    judgement = discriminator(x)
    assert x.shape == (4, 3, 16, 16) and judgement.logits.shape == (4,)
    judgement.logits.sum().backward()
    unused = {f"to_image.{level}.{kind}" for level in range(2) for kind in ("weight", "bias")}
    assert {name for name, parameter in network.named_parameters() if parameter.grad is None} == unused


def test_growth_fades_between_the_levels_and_uses_their_layers_only() -> None:
    network, discriminator = generator().eval(), StyleGANDiscriminator((3, 16, 16), channels=TINY)
    z, images = torch.randn(4, 6), {}
    for level in (1.0, 1.25, 2.0):
        network.grow(level)
        discriminator.grow(level)
        images[level] = network(z)
        assert discriminator(images[level]).logits.shape == (4,)
    torch.testing.assert_close(images[1.25], 0.75 * F.interpolate(images[1.0], scale_factor=2.0) + 0.25 * images[2.0])


def test_labels_choose_an_output_of_the_discriminator() -> None:
    network, discriminator = generator(classes=3), StyleGANDiscriminator((3, 16, 16), channels=TINY, num_classes=3)
    labels = torch.tensor([0, 1, 2, 0])
    x = network(torch.randn(4, 6), labels)
    every = torch.stack([discriminator(x, torch.full((4,), k)).logits for k in range(3)], 1)
    torch.testing.assert_close(discriminator(x, labels).logits, every[torch.arange(4), labels])


@pytest.mark.parametrize("shape", [(1, 28, 28), (8, 24, 48)])
def test_other_sizes_and_channels(shape: tuple[int, int, int]) -> None:
    x = generator(shape)(torch.randn(2, 6))
    assert x.shape == (2, *shape)
    assert StyleGANDiscriminator(shape, channels=TINY)(x).logits.shape == (2,)
