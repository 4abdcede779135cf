"""Fully connected networks: sizes and starts of the papers, output bias."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.maxout import MaxoutConvDiscriminator, MaxoutDiscriminator
from saddlepoint.networks.mlp import (
    GoodfellowConvGenerator,
    GoodfellowGenerator,
    MLPDiscriminator,
    MLPGenerator,
    goodfellow,
    set_output_bias,
)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_sizes_of_the_wasserstein_and_unrolled_networks() -> None:
    assert count(MLPGenerator(100, (3, 64, 64), width=512)) == 100 * 512 + 2 * 512**2 + 512 * 12288 + 3 * 512 + 12288
    assert count(MLPDiscriminator((3, 64, 64), width=512)) == 12288 * 512 + 2 * 512**2 + 512 + 3 * 512 + 1
    g = MLPGenerator(256, (2,), width=128, hidden=2, activation="tanh", init="orthogonal")
    assert count(g) == 256 * 128 + 128 * 128 + 128 * 2 + 128 * 2 + 2
    linears = [m for m in g.modules() if isinstance(m, nn.Linear)]
    for layer in linears:
        short = min(layer.weight.shape)
        product = layer.weight @ layer.weight.T if layer.out_features == short else layer.weight.T @ layer.weight
        torch.testing.assert_close(product, 1.96 * torch.eye(short), rtol=1e-4, atol=1e-4)
        assert layer.bias.abs().max() == 0


def test_no_hidden_layer_is_a_linear_map() -> None:
    """Dirac-GAN's and the quadratic toys' players."""
    g, d = MLPGenerator(1, (1,), hidden=0), MLPDiscriminator((1,), hidden=0)
    assert count(g) == count(d) == 2
    x = torch.tensor([[2.0]])
    torch.testing.assert_close(d(x).logits, (x @ d.head.weight.T + d.head.bias)[:, 0])


@pytest.mark.parametrize(
    "variant,shape,g_count,d_count",
    [
        ("mnist", (1, 28, 28), 101 * 1200 + 1201 * 1200 + 1201 * 784, 785 * 1200 + 241 * 1200 + 241),
        ("tfd", (1, 48, 48), None, None),
        ("cifar-fc", (3, 32, 32), None, None),
        ("cifar-conv", (3, 32, 32), None, None),
    ],
)
def test_variants_of_the_first_paper(variant: str, shape: tuple[int, ...], g_count: int | None, d_count: int | None) -> None:
    torch.manual_seed(0)
    width = 1.0 if variant == "mnist" else 0.05
    g, d = goodfellow(variant, shape, width=width)
    if g_count is not None:
        assert count(g) == g_count and count(d) == d_count
    x = g(torch.rand(3, 100))
    assert x.shape == (3, *shape) and d(x).logits.shape == (3,)


def test_starts_of_the_first_paper() -> None:
    torch.manual_seed(0)
    g, d = goodfellow("tfd", (1, 10, 10), width=0.1)
    assert isinstance(g, GoodfellowGenerator) and isinstance(d, MaxoutDiscriminator)
    assert (g.last.weight != 0).sum(1).tolist() == [100] * 100
    state = g.state_dict()
    assert state["hidden.2.bias"].eq(-2).all() and state["hidden.0.bias"].eq(0).all()
    assert state["hidden.2.weight"].abs().max().item() == pytest.approx(0.05 * 10**0.5, rel=0.01)  # a tenth of the fan, the same gain
    assert d.head.weight.abs().max().item() == pytest.approx(0.005 * 10**0.5, rel=0.05)
    assert d.state_dict()["hidden.1.weight"].abs().max().item() == pytest.approx(0.005 * (2304 / 100) ** 0.5, rel=0.01)
    g, d = goodfellow("mnist", (1, 28, 28))  # the paper's sizes, the paper's ranges
    for network, limit in ((g, 0.05), (d, 0.005)):
        tops = [p.abs().max().item() for p in network.parameters() if p.ndim == 2]
        assert len(tops) == 3 and all(0.95 * limit < top <= limit for top in tops)
    g, d = goodfellow("cifar-fc", (3, 8, 8), width=0.05)
    assert isinstance(g, GoodfellowGenerator) and isinstance(d, MaxoutDiscriminator)
    assert g.last.weight.abs().max().item() == pytest.approx(0.5 * 20**0.5, rel=0.01)
    assert g.output == "linear" and not d.unit_interval


def test_conv_generator_is_the_papers_at_32() -> None:
    g = GoodfellowConvGenerator((3, 32, 32), maps=2)
    assert g.map_shape == (2, 10, 10) and g.last(torch.zeros(1, 2, 10, 10)).shape == (1, 3, 32, 32) and g.bias.shape == (3, 32, 32)
    assert GoodfellowConvGenerator((1, 28, 28), maps=2)(torch.rand(2, 100)).shape == (2, 1, 28, 28)
    g2, d2 = goodfellow("cifar-conv", (3, 32, 32), width=0.05)
    assert isinstance(g2, GoodfellowConvGenerator) and isinstance(d2, MaxoutConvDiscriminator)


@pytest.mark.parametrize("build", [lambda: GoodfellowGenerator((1, 4, 4), width=8), lambda: MLPGenerator(3, (1, 4, 4), output="sigmoid")])
def test_output_bias_gives_the_mean_image(build: object) -> None:
    torch.manual_seed(0)
    g = build()  # type: ignore[operator]
    mean: Tensor = torch.rand(1, 4, 4) * 2 - 1
    mean[0, 0, 0] = -1
    set_output_bias(g, mean)
    nn.init.zeros_(g.last.weight)
    torch.testing.assert_close(g(torch.rand(1, g.latent_dim))[0], mean, rtol=1e-5, atol=1e-5)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="generator's is linear"):
        set_output_bias(MLPGenerator(3, (2,)), torch.zeros(2))
    with pytest.raises(UsageError, match="no variant 'minst' of the 2014 networks. Nearest: mnist"):
        goodfellow("minst", (1, 28, 28))
    with pytest.raises(UsageError, match="needs images"):
        goodfellow("cifar-conv", (2,))
