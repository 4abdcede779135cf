"""Progressive GAN's networks: Table 2 to the printed digit, both directions of fading, and what Table 1 takes away."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.growing import Stage, at_stage, blend
from saddlepoint.networks.progan import Channels, FollowingNoise, ProGANDiscriminator, ProGANGenerator

SMALL = Channels(base=32, most=8)
SHAPE = (3, 16, 16)


def build(kind: type, seed: int = 0, shape: tuple[int, int, int] = SHAPE, **settings: Any) -> Any:
    torch.manual_seed(seed)
    extra = {"latent_dim": 5} if kind is ProGANGenerator else {}
    network = kind(shape, channels=SMALL, **extra, **settings).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)  # so that a bias in the wrong place shows
    return network


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def printed(count: int) -> str:
    """A count as Table 2 prints it."""
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.0f}k" if count >= 1e4 else f"{count / 1e3:.1f}k" if count >= 1e3 else str(count)


def counts(modules: Any) -> list[str]:
    return [printed(sum(parameter.numel() for parameter in module.parameters())) for module in modules]


def test_parameters_of_table_2() -> None:
    generator, discriminator = ProGANGenerator((3, 1024, 1024)), ProGANDiscriminator((3, 1024, 1024))
    pairs = ["2.4M"] * 6 + ["1.2M", "590k", "295k", "148k", "74k", "37k", "18k", "9.2k", "4.6k", "2.3k"]
    assert counts([torch.nn.ParameterList([generator.dense.weight, generator.bias])]) == ["4.2M"]
    assert counts(generator.blocks[:1]) == ["2.4M"]
    assert counts(layer for block in generator.blocks[1:] for layer in block) == pairs  # type: ignore[attr-defined]
    assert counts(generator.to_image[-1:]) == ["51"]
    assert counts(discriminator.from_image[-1:]) == ["64"]
    mirrored = [count for block in reversed(discriminator.blocks) for count in counts(block)]
    assert mirrored == ["2.3k", "4.6k", "9.2k", "18k", "37k", "74k", "148k", "295k", "590k", "1.2M"] + ["2.4M"] * 6
    assert counts([discriminator.conv, discriminator.dense, discriminator.head]) == ["2.4M", "4.2M", "513"]
    for network, image in ((generator, "to_image"), (discriminator, "from_image")):
        grown = sum(p.numel() for name, p in network.named_parameters() if image not in name or f"{image}.8" in name)
        assert printed(grown) == "23.1M"


@pytest.mark.parametrize("level", [1, 2])
def test_fading_is_exact_at_both_ends(level: int) -> None:
    """Alpha 0: the images and the judgement of the level before; alpha 1: those of the new level alone. To the bit."""
    generator, discriminator = build(ProGANGenerator), build(ProGANDiscriminator)
    z, side = numbers(8, 5), 4 * 2**level
    x = numbers(8, 3, side, side)

    def outputs(stage: Stage) -> tuple[Tensor, Tensor]:
        for network in (generator, discriminator):
            network.grow(level)
            type(network).stage = property(lambda self: stage)  # alpha 0 and 1 themselves are never in play: level 1 + 0 is level 1
        try:
            return generator(z), discriminator(x).logits
        finally:
            for network in (generator, discriminator):
                del type(network).stage

    images_0, logits_0 = outputs(Stage(level, 0.0))
    images_1, logits_1 = outputs(Stage(level, 1.0))
    generator.grow(level), discriminator.grow(level)
    assert torch.equal(images_1, generator(z)) and torch.equal(logits_1, discriminator(x).logits)
    generator.grow(level - 1), discriminator.grow(level - 1)
    assert torch.equal(images_0, F.interpolate(generator(z), scale_factor=2, mode="nearest"))
    assert torch.equal(logits_0, discriminator(F.avg_pool2d(x, 2)).logits)


def test_fading_is_linear_between() -> None:
    generator = build(ProGANGenerator)
    z = numbers(4, 5)
    low, high = (generator.grow(level) or generator(z) for level in (1, 2))
    generator.grow(1.25)
    assert generator.stage == Stage(2, 0.25)
    torch.testing.assert_close(generator(z), 0.75 * F.interpolate(low, scale_factor=2, mode="nearest") + 0.25 * high)
    discriminator = build(ProGANDiscriminator)
    x = numbers(4, 3, 16, 16)
    discriminator.grow(1.25)
    y = F.leaky_relu(discriminator.from_image[2](x), 0.2)
    for layer in discriminator.blocks[1]:
        y = layer(y)
    y = 0.75 * F.leaky_relu(discriminator.from_image[1](F.avg_pool2d(x, 2)), 0.2) + 0.25 * y
    for layer in discriminator.blocks[0]:
        y = layer(y)
    torch.testing.assert_close(discriminator(x).logits, discriminator.head(discriminator._dense(discriminator.conv(discriminator.stddev(y))))[:, 0])


def test_reals_fade_as_the_networks_do() -> None:
    x = numbers(2, 3, 16, 8)
    half = F.avg_pool2d(x, 2)
    assert torch.equal(at_stage(x, Stage(2, None), 2), x)
    assert torch.equal(at_stage(x, Stage(1, None), 2), half)
    torch.testing.assert_close(at_stage(x, Stage(2, 0.3), 2), 0.7 * F.interpolate(half, scale_factor=2, mode="nearest") + 0.3 * x)
    torch.testing.assert_close(at_stage(x, Stage(1, 0.3), 2), 0.7 * F.interpolate(F.avg_pool2d(x, 4), scale_factor=2, mode="nearest") + 0.3 * half)
    assert torch.equal(blend(x, -x, 0.0), x) and torch.equal(blend(x, -x, 1.0), -x)


@pytest.mark.parametrize("kind", [ProGANGenerator, ProGANDiscriminator])
@pytest.mark.parametrize("level", [0, 0.5, 1, 1.75, 2])
def test_only_levels_in_play_get_gradients(kind: type, level: float) -> None:
    network = build(kind)
    network.grow(level)
    stage = network.stage
    side = 4 * 2**stage.level
    out = network(numbers(4, 5)) if kind is ProGANGenerator else network(numbers(4, 3, side, side)).logits
    (out * numbers(*out.shape, seed=2)).sum().backward()
    images = {stage.level, stage.level - 1} if stage.alpha is not None else {stage.level}
    first = 0 if kind is ProGANGenerator else 1
    for name, parameter in network.named_parameters():
        part, _, rest = name.partition(".")
        index = int(rest.partition(".")[0]) if part in ("blocks", "to_image", "from_image") else 0
        in_play = index in images if part in ("to_image", "from_image") else index + first * (part == "blocks") <= stage.level
        assert (parameter.grad is not None) == in_play, name
        assert parameter.grad is None or parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("shape", [(1, 28, 28), (8, 16, 32), (2, 20, 24)])
def test_sizes_and_channels(shape: tuple[int, int, int]) -> None:
    generator, discriminator = build(ProGANGenerator, shape=shape), build(ProGANDiscriminator, shape=shape)
    for level in (generator.top, generator.top - 0.5, 0):
        generator.grow(level), discriminator.grow(level)
        shrink = 2 ** (generator.top - generator.stage.level)
        x = generator(numbers(4, 5))
        assert x.shape == (4, shape[0], shape[1] // shrink, shape[2] // shrink) and x.dtype == torch.float64
        assert discriminator(x).logits.shape == (4,)


def test_the_level_is_saved_and_copied() -> None:
    network = build(ProGANGenerator)
    network.grow(1.3)
    for other in (copy.deepcopy(network), build(ProGANGenerator, seed=2)):
        other.load_state_dict(network.state_dict())
        assert other.stage == network.stage and other.level == network.level
        assert torch.equal(other(numbers(2, 5)), network(numbers(2, 5)))
    with pytest.raises(UsageError, match="from level 0 to 2; 2.1 was asked"):
        network.grow(2.1)


@pytest.mark.parametrize("fused", [True, False])
def test_discriminator_against_the_layers_one_by_one(fused: bool) -> None:
    """Table 2 as it is printed, and the release's order of halving and activation."""
    discriminator = build(ProGANDiscriminator, fused=fused, num_classes=3)
    x = numbers(8, 3, 16, 16)

    def scaled(layer: Any, gain: float = math.sqrt(2)) -> Any:
        return layer.weight * gain / math.sqrt(layer.weight[0].numel())

    y = F.leaky_relu(F.conv2d(x, scaled(discriminator.from_image[2]), discriminator.from_image[2].bias), 0.2)
    for block in reversed(discriminator.blocks):
        for index, layer in enumerate(block):
            y = F.conv2d(y, scaled(layer.conv), layer.conv.bias, padding=1)
            steps = [lambda v: F.leaky_relu(v, 0.2)] + [lambda v: F.avg_pool2d(v, 2)] * index
            for step in reversed(steps) if fused else steps:
                y = step(y)
    groups = y.view(4, 2, *y.shape[1:])  # sample i with i + 2, i + 4, i + 6
    deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    y = torch.cat([y, deviation.repeat(4).view(8, 1, 1, 1).expand(-1, 1, 4, 4)], 1)
    y = F.leaky_relu(F.conv2d(y, scaled(discriminator.conv.conv), discriminator.conv.conv.bias, padding=1), 0.2)
    y = F.leaky_relu(F.linear(y.flatten(1), scaled(discriminator.dense), discriminator.dense.bias), 0.2)
    y = F.linear(y, scaled(discriminator.head, 1.0), discriminator.head.bias)
    judgement = discriminator(x)
    torch.testing.assert_close(judgement.logits, y[:, 0])
    torch.testing.assert_close(judgement.class_logits, y[:, 1:])


def test_generator_against_the_layers_one_by_one() -> None:
    generator = build(ProGANGenerator, num_classes=3)
    z, labels = numbers(4, 5), torch.tensor([0, 1, 2, 1])

    def unit(v: Tensor) -> Tensor:
        return v / (v.square().mean(1, keepdim=True) + 1e-8).sqrt()

    def layer(v: Tensor, one: Any) -> Tensor:
        weight = one.conv.weight * math.sqrt(2) / math.sqrt(one.conv.weight[0].numel())
        return unit(F.leaky_relu(F.conv2d(v, weight, one.conv.bias, padding=1), 0.2))

    both = unit(torch.cat([z, F.one_hot(labels, 3).double()], 1))
    x = F.linear(both, generator.dense.weight * math.sqrt(2) / 4 / math.sqrt(8)).view(4, -1, 4, 4)
    x = layer(unit(F.leaky_relu(x + generator.bias, 0.2)), generator.blocks[0])
    for block in generator.blocks[1:]:
        x = layer(layer(F.interpolate(x, scale_factor=2, mode="nearest"), block[0]), block[1])
    last = generator.to_image[2]
    x = F.conv2d(x, last.weight / math.sqrt(last.weight.shape[1]), last.bias)
    torch.testing.assert_close(generator(z, labels), x)


@pytest.mark.parametrize("settings", [{}, {"fused": False, "norm": True, "equalised": False, "group": None}, {"group": 16, "kernels": 3}])
def test_penalty_has_the_right_parameter_gradient(settings: dict[str, Any]) -> None:
    """The gradient penalty's own gradient against central differences along one direction, half-way through a fade."""
    discriminator = build(ProGANDiscriminator, **settings)
    discriminator.grow(1.5)
    x = numbers(4, 3, 16, 16).requires_grad_()
    parameters = list(discriminator.parameters())

    def penalty() -> Tensor:
        (slope,) = torch.autograd.grad(discriminator(x).logits.sum(), x, create_graph=True)
        return slope.square().sum()

    direction = [numbers(*p.shape, seed=index) * p.detach().abs().mean() for index, p in enumerate(parameters)]
    gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True)
    expected = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True) if g is not None)
    step, values = 1e-6, []
    for sign in (1, -2):
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(sign * step * d)
        values.append(penalty().detach())
    torch.testing.assert_close(expected, (values[0] - values[1]) / (2 * step), rtol=1e-4, atol=1e-8)


def test_rows_of_table_1() -> None:
    """Batch norm, ReLU and tanh in G, layer norm in D; minibatch discrimination; no scaling at run time."""
    generator = build(ProGANGenerator, norm="batch", equalised=False, leaky=False, normalise_latents=False, tanh=True)
    assert generator(numbers(4, 5)).abs().max() <= 1
    assert {type(module).__name__ for module in generator.modules()} >= {"BatchNorm2d"}
    assert not [name for name, _ in generator.named_parameters() if name.endswith("conv.bias")]  # batch norm has its own
    plain = build(ProGANDiscriminator, norm=True, equalised=False, group=None)
    assert not mixes_samples(plain) and mixes_samples(build(ProGANDiscriminator)) and mixes_samples(build(ProGANDiscriminator, group=None, kernels=3))
    layer = plain.blocks[0][0].norm
    x = numbers(2, 8, 4, 4)
    with torch.no_grad():
        layer.gain.fill_(2.0)
    mean, var = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(layer(x), 2 * (x - mean) / (var + 1e-4).sqrt() + layer.bias.view(1, -1, 1, 1))


def test_equalised_and_plain_are_the_same_function_at_the_start() -> None:
    torch.manual_seed(3)
    scaled = ProGANDiscriminator((3, 32, 32), channels=Channels(base=256, most=64))
    torch.manual_seed(3)
    plain = ProGANDiscriminator((3, 32, 32), channels=Channels(base=256, most=64), equalised=False)
    x = numbers(8, 3, 32, 32).float()
    torch.testing.assert_close(scaled(x).logits, plain(x).logits)
    assert abs(plain.blocks[0][0].conv.weight.std().item() - math.sqrt(2 / (32 * 2 * 9))) < 2e-3  # type: ignore[index]


def test_activations_keep_their_size() -> None:
    """He's gain: fully grown, untrained, images of about unit deviation and logits that neither vanish nor explode."""
    torch.manual_seed(0)
    generator = ProGANGenerator((3, 64, 64), latent_dim=64, channels=Channels(base=512, most=64))
    discriminator = ProGANDiscriminator((3, 64, 64), channels=Channels(base=512, most=64))
    with torch.no_grad():
        images = generator(torch.randn(16, 64))
        features = discriminator(images).features
    assert 0.5 < images.std() < 2
    assert 0.1 < features.square().mean().sqrt() < 3


def test_noise_follows_the_score() -> None:
    noise = FollowingNoise().double()
    x = numbers(4, 16, 2, 2)
    assert torch.equal(noise(x), x)
    for _ in range(60):
        noise.follow(torch.tensor(3.0, dtype=torch.float64))  # clipped to 1
    mean = 1 - 0.9**60
    torch.testing.assert_close(noise.strength, torch.tensor(0.2 * (mean - 0.5) ** 2, dtype=torch.float64))
    big = torch.ones(4000, 16, 1, 1, dtype=torch.float64)
    with use(Draws.seeded(0, dtype=torch.float64)):
        y = noise(big)
    assert abs(y.mean() - 1) < 0.01 and abs(y.std() / (noise.strength * 4) - 1) < 0.02  # sqrt(16 channels)
    with use(Draws.seeded(0, dtype=torch.float64)):
        y = noise(x)
    ratio = y / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))  # one number for all pixels
    assert torch.equal(noise.eval()(x), x)


def test_noise_does_not_depend_on_how_the_batch_is_cut() -> None:
    discriminator = build(ProGANDiscriminator, noise=True, group=None)
    discriminator.noise.follow(torch.tensor(1.0))
    for _ in range(20):
        discriminator.noise.follow(torch.tensor(1.0))
    x = numbers(8, 3, 16, 16)
    with use(Draws.seeded(4, dtype=torch.float64)):
        whole = discriminator(x).logits
    for piece in range(2):
        with use(Draws.seeded(4, dtype=torch.float64, piece=piece, pieces=2)):
            torch.testing.assert_close(discriminator(x[4 * piece : 4 * piece + 4]).logits, whole[4 * piece : 4 * piece + 4])
