"""Self-attention against its formula in NumPy, its start, its derivatives and its maps."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from saddlepoint.networks.attention import SelfAttention, attention_maps
from saddlepoint.networks.biggan import BigGANDiscriminator, BigGANGenerator


def layer(c: int = 16, gamma: float = 0.7) -> SelfAttention:
    torch.manual_seed(0)
    made = SelfAttention(c).double()
    nn.init.constant_(made.gamma, gamma)
    return made


def pooled(x: np.ndarray) -> np.ndarray:
    n, c, h, w = x.shape
    return x[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))


@pytest.mark.parametrize(("h", "w"), [(4, 6), (5, 4)])
def test_it_is_the_formula(h: int, w: int) -> None:
    made, x = layer(), torch.randn(2, 16, h, w, dtype=torch.float64)
    matrix = {name: getattr(made, name).spectral(getattr(made, name).weight).detach().numpy()[:, :, 0, 0] for name in ("theta", "phi", "g", "o")}
    assert matrix["theta"].shape == (2, 16) and matrix["g"].shape == (8, 16) and matrix["o"].shape == (16, 8)
    assert all(np.linalg.svd(m, compute_uv=False)[0] == pytest.approx(1, abs=0.02) for m in matrix.values())
    a = x.numpy()
    maps = {name: np.einsum("oc,nchw->nohw", m, a) for name, m in matrix.items() if name != "o"}
    theta, phi, g = maps["theta"].reshape(2, 2, -1), pooled(maps["phi"]).reshape(2, 2, -1), pooled(maps["g"]).reshape(2, 8, -1)
    scores = np.einsum("ncq,ncp->nqp", theta, phi)
    beta = np.exp(scores) / np.exp(scores).sum(2, keepdims=True)
    seen = np.einsum("oc,ncp,nqp->noq", matrix["o"], g, beta).reshape(2, 16, h, w)
    with torch.no_grad():
        np.testing.assert_allclose(made(x).numpy(), a + 0.7 * seen, rtol=0, atol=1e-12)
        np.testing.assert_allclose(made.weights(x).numpy(), beta, rtol=0, atol=1e-12)


def test_second_derivatives() -> None:
    made, x = layer(8), torch.randn(1, 8, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(made, x)
    assert torch.autograd.gradgradcheck(made, x)


def test_a_network_starts_as_the_one_without_and_can_leave_it() -> None:
    """gamma is 0 at the start: same images and logits; its gradient is not."""
    torch.manual_seed(0)
    generator = BigGANGenerator((3, 16, 16), 9, width=8, num_classes=3, shared_dim=4, attention=(8,)).double()
    discriminator = BigGANDiscriminator((3, 16, 16), width=8, num_classes=3, attention=(8,)).double()
    plain_g, plain_d = copy.deepcopy(generator), copy.deepcopy(discriminator)
    plain_g.attention = nn.ModuleDict()
    plain_d.blocks = nn.Sequential(*(block for block in plain_d.blocks if not isinstance(block, SelfAttention)))
    gammas = [module.gamma for net in (generator, discriminator) for module in net.modules() if isinstance(module, SelfAttention)]
    assert len(gammas) == 2 and len(plain_d.blocks) == len(discriminator.blocks) - 1
    z, y = torch.randn(4, 9, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    images = generator(z, y)
    logits = discriminator(images, y).logits
    assert torch.equal(images, plain_g(z, y)) and torch.equal(logits, plain_d(images, y).logits)
    logits.sum().backward()
    assert all(gamma.grad is not None and gamma.grad != 0 for gamma in gammas)
    with torch.no_grad():
        for gamma in gammas:
            gamma.fill_(1)
        assert not torch.allclose(generator(z, y), images) and not torch.allclose(discriminator(images, y).logits, logits)


def test_maps_of_a_network() -> None:
    torch.manual_seed(0)
    generator = BigGANGenerator((1, 16, 24), 9, width=8, shared_dim=4, attention=(8, 16), start="normal")
    running = generator.norm.running_mean.clone()
    x, maps = attention_maps(generator, torch.randn(3, 9))
    assert x.shape == (3, 1, 16, 24) and not x.requires_grad
    assert {tuple(found.shape) for found in maps.values()} == {(3, 8, 12, 4, 6), (3, 16, 24, 8, 12)}
    for found in maps.values():
        torch.testing.assert_close(found.sum((3, 4)), torch.ones(found.shape[:3]))
    assert torch.equal(running, generator.norm.running_mean) and generator.training
    logits, maps = attention_maps(BigGANDiscriminator((1, 16, 16), width=8, attention=(8,), start="normal"), x[:, :, :, :16])
    assert logits.shape == (3,) and [found.shape for found in maps.values()] == [(3, 8, 8, 4, 4)]
    assert attention_maps(nn.Identity(), x)[1] == {}
