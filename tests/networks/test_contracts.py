"""What every generator and discriminator must do, whatever its paper: shapes, gradients, penalties, independence of samples, state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.networks.array import DiscriminatorArray, ProjectionDiscriminator, ProjectionGenerator
from saddlepoint.networks.autoencoders import BEGANDiscriminator, BEGANGenerator, EBGANDiscriminator, EBGANMLPDiscriminator
from saddlepoint.networks.base import Discriminator, Generator, mixes_samples
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.networks.improved import ImprovedConvDiscriminator, ImprovedConvGenerator, ImprovedMLPDiscriminator, ImprovedMLPGenerator
from saddlepoint.networks.lsgan import LSGANDiscriminator, LSGANGenerator
from saddlepoint.networks.maxout import MaxoutConvDiscriminator, MaxoutDiscriminator
from saddlepoint.networks.mlp import GoodfellowConvGenerator, GoodfellowGenerator, MLPDiscriminator, MLPGenerator
from saddlepoint.networks.virtualbatchnorm import VirtualBatchDiscriminator, VirtualBatchGenerator

N = 6
IMAGE = (3, 16, 16)


def array() -> Discriminator:
    return DiscriminatorArray([ProjectionDiscriminator((1, 8, 8), width=4) for _ in range(3)], [nn.Conv2d(3, 1, 8, 2, 3) for _ in range(3)])


def virtual_g() -> Generator:
    return VirtualBatchGenerator(DCGANGenerator(5, IMAGE, 4, norm="virtual"), torch.randn(4, 5))


def virtual_d() -> Discriminator:
    return VirtualBatchDiscriminator(DCGANDiscriminator(IMAGE, 4, norm="virtual"), torch.randn(4, *IMAGE))


GENERATORS: dict[str, tuple[Callable[[], Generator], tuple[int, ...], bool]] = {  # factory, sample shape, bounded to [-1, 1]
    "mlp": (lambda: MLPGenerator(5, (2,), width=16, hidden=2, activation="tanh", init="orthogonal"), (2,), False),
    "mlp-image": (lambda: MLPGenerator(5, (1, 6, 7), width=16, output="tanh", activation="leaky_relu"), (1, 6, 7), True),
    "goodfellow": (lambda: GoodfellowGenerator((1, 8, 8), latent_dim=5, width=16), (1, 8, 8), True),
    "goodfellow-conv": (lambda: GoodfellowConvGenerator((3, 15, 12), latent_dim=5, maps=2), (3, 15, 12), False),
    "dcgan": (lambda: DCGANGenerator(5, IMAGE, 4), IMAGE, True),
    "dcgan-5": (lambda: DCGANGenerator(5, (1, 28, 14), 4, 5), (1, 28, 14), True),
    "dcgan-constant": (lambda: DCGANGenerator(5, IMAGE, 6, norm="none", constant_filters=True), IMAGE, True),
    "dcgan-virtual": (virtual_g, IMAGE, True),
    "began": (lambda: BEGANGenerator(IMAGE, latent_dim=5, width=4, skips=True), IMAGE, False),
    "improved-mlp": (lambda: ImprovedMLPGenerator((1, 8, 8), latent_dim=5, width=16), (1, 8, 8), True),
    "improved-conv": (lambda: ImprovedConvGenerator(IMAGE, latent_dim=5, width=8), IMAGE, True),
    "projection": (lambda: ProjectionGenerator(IMAGE, latent_dim=5, width=8), IMAGE, True),
    "lsgan": (lambda: LSGANGenerator((3, 16, 32), latent_dim=5, width=2), (3, 16, 32), True),
}

DISCRIMINATORS: dict[str, tuple[Callable[[], Discriminator], tuple[int, ...]]] = {
    "mlp": (lambda: MLPDiscriminator((2,), width=16, hidden=2, activation="tanh", init="orthogonal"), (2,)),
    "mlp-leaky": (lambda: MLPDiscriminator((1, 5, 4), width=16, activation="leaky_relu"), (1, 5, 4)),
    "mlp-relu": (lambda: MLPDiscriminator((2,), width=16), (2,)),
    "maxout": (lambda: MaxoutDiscriminator((1, 6, 6), units=12, pieces=3), (1, 6, 6)),
    "maxout-conv": (lambda: MaxoutConvDiscriminator((2, 12, 16), width=4, units=8), (2, 12, 16)),
    "dcgan": (lambda: DCGANDiscriminator(IMAGE, 4), IMAGE),
    "dcgan-5": (lambda: DCGANDiscriminator((1, 28, 14), 4, 5, norm="none"), (1, 28, 14)),
    "dcgan-virtual": (virtual_d, IMAGE),
    "ebgan-mlp": (lambda: EBGANMLPDiscriminator((1, 6, 6), width=16, code_dim=4), (1, 6, 6)),
    "ebgan": (lambda: EBGANDiscriminator(IMAGE, width=4, levels=2), IMAGE),
    "began": (lambda: BEGANDiscriminator(IMAGE, code_dim=5, width=4), IMAGE),
    "improved-mlp": (lambda: ImprovedMLPDiscriminator((1, 6, 6), num_classes=4, widths=(16, 12, 8)), (1, 6, 6)),
    "improved-mlp-minibatch": (lambda: ImprovedMLPDiscriminator((1, 6, 6), num_classes=4, widths=(16, 8), num_kernels=3), (1, 6, 6)),
    "improved-conv": (lambda: ImprovedConvDiscriminator((3, 10, 10), num_classes=4, width=4), (3, 10, 10)),
    "improved-conv-minibatch": (
        lambda: ImprovedConvDiscriminator((3, 10, 10), num_classes=4, width=4, start="noise", num_kernels=3),
        (3, 10, 10),
    ),
    "array": (array, IMAGE),
    "lsgan": (lambda: LSGANDiscriminator((3, 32, 32), width=2), (3, 32, 32)),
}


def build(table: dict[str, Any], name: str) -> Any:
    """The network in float64 with weights large enough that every unit matters."""
    torch.manual_seed(0)
    network = table[name][0]().double()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1 and "improved" not in name:
                fan = parameter[0].numel()
                parameter.normal_(0, fan**-0.5)
    return network


def samples(shape: tuple[int, ...], n: int = N) -> Tensor:
    x = torch.rand(n, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


@pytest.mark.parametrize("name", GENERATORS)
def test_generator_shapes_range_and_gradients(name: str) -> None:
    generator = build(GENERATORS, name)
    _, shape, bounded = GENERATORS[name]
    z = samples((generator.latent_dim,)).requires_grad_()
    x = generator(z)
    assert x.shape == (N, *shape) and x.dtype == torch.float64
    assert not bounded or x.abs().max() <= 1
    x.square().mul(torch.linspace(1, 2, x.numel(), dtype=x.dtype).view(x.shape)).sum().backward()
    for parameter_name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name
    assert z.grad is not None and z.grad.abs().sum() > 0


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminator_shapes_and_gradients(name: str) -> None:
    discriminator = build(DISCRIMINATORS, name)
    x = samples(DISCRIMINATORS[name][1]).requires_grad_()
    judgement = discriminator(x)
    assert judgement.logits.shape == ((N, 3) if name == "array" else (N,)) and judgement.logits.dtype == torch.float64
    if name != "array":
        assert judgement.features.shape[0] == N and judgement.features.ndim == 2
    if name.startswith("improved"):
        assert judgement.class_logits.shape == (N, 4)
        torch.testing.assert_close(judgement.logits, judgement.class_logits.exp().sum(1).log())
    (judgement.logits * torch.linspace(1, 2, N, dtype=x.dtype).view(-1, *[1] * (judgement.logits.ndim - 1))).sum().backward()
    for parameter_name, parameter in discriminator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name
    assert x.grad is not None and all(row.abs().sum() > 0 for row in x.grad)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_penalty_on_the_slope_has_the_right_parameter_gradient(name: str) -> None:
    """Second derivatives of each D against central differences along one direction; in-place layers would show here."""
    discriminator = build(DISCRIMINATORS, name).eval()
    x = samples(DISCRIMINATORS[name][1], n=3).requires_grad_()
    parameters = list(discriminator.parameters())

    def penalty() -> Tensor:
        (slope,) = torch.autograd.grad(discriminator(x).logits.sum(), x, create_graph=True)
        return slope.square().sum()

    generator = torch.Generator().manual_seed(2)
    direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) * p.detach().abs().mean() for p in parameters]
    gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True)
    expected = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True) if g is not None)
    step, values = 1e-6, []
    for sign in (1, -2):
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(sign * step * d)
        values.append(penalty().detach())
    torch.testing.assert_close(expected, (values[0] - values[1]) / (2 * step), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", [*DISCRIMINATORS])
def test_samples_do_not_mix_unless_the_network_says_so(name: str) -> None:
    discriminator = build(DISCRIMINATORS, name)
    x = samples(DISCRIMINATORS[name][1])
    other = torch.cat([x[:1], -x[1:]])
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        discriminator.train()
        with use(Draws.seeded(0, dtype=torch.float64)):
            first = discriminator(x).logits
        with use(Draws.seeded(0, dtype=torch.float64)):
            changed = discriminator(other).logits
        assert torch.allclose(first[:1], changed[:1], rtol=1e-9) != mixes_samples(discriminator)
        discriminator.eval()
        torch.testing.assert_close(discriminator(x[order]).logits, discriminator(x).logits[order])


@pytest.mark.parametrize("name", [name for name in DISCRIMINATORS if not mixes_samples(DISCRIMINATORS[name][0]())])
def test_micro_batches_give_the_whole_batch(name: str) -> None:
    discriminator = build(DISCRIMINATORS, name).train()
    x = samples(DISCRIMINATORS[name][1])
    with use(Draws.seeded(7, dtype=torch.float64)):
        whole = discriminator(x).logits
    pieces = []
    for piece in range(3):
        with use(Draws.seeded(7, dtype=torch.float64, piece=piece, pieces=3)):
            pieces.append(discriminator(x[2 * piece : 2 * piece + 2]).logits)
    torch.testing.assert_close(torch.cat(pieces), whole)


@pytest.mark.parametrize("kind,name", [*(("g", n) for n in GENERATORS), *(("d", n) for n in DISCRIMINATORS)])
def test_state_round_trips_and_copies(kind: str, name: str) -> None:
    table: dict[str, Any] = GENERATORS if kind == "g" else DISCRIMINATORS
    network = build(table, name).eval()
    x = samples((network.latent_dim,) if kind == "g" else table[name][1])
    fresh = table[name][0]().double().eval()
    fresh.load_state_dict(network.state_dict())
    with torch.no_grad():
        first, second, third = network(x), fresh(x), copy.deepcopy(network)(x)
    for out in (second, third):
        torch.testing.assert_close(out if kind == "g" else out.logits, first if kind == "g" else first.logits, rtol=0, atol=0)


def test_conditional_networks_need_and_use_labels() -> None:
    torch.manual_seed(0)
    z, x, labels = torch.randn(N, 5), torch.randn(N, *IMAGE), torch.arange(N) % 3
    pairs: list[tuple[Generator, Discriminator]] = [
        (MLPGenerator(5, IMAGE, num_classes=3), MLPDiscriminator(IMAGE, num_classes=3)),
        (DCGANGenerator(5, IMAGE, 4, num_classes=3), DCGANDiscriminator(IMAGE, 4, num_classes=3)),
        (DCGANGenerator(5, IMAGE, 4, num_classes=3, dense=8), DCGANDiscriminator(IMAGE, 4, num_classes=3, dense=8)),
    ]
    for generator, discriminator in pairs:
        for network, data in ((generator.eval(), z), (discriminator.eval(), x)):
            with pytest.raises(UsageError, match="conditional on 3 classes and needs labels"):
                network(data)
        assert not torch.equal(generator(z, labels), generator(z, (labels + 1) % 3))
        assert not torch.equal(discriminator(x, labels).logits, discriminator(x, (labels + 1) % 3).logits)
