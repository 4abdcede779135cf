"""The ladder network against the formulas written out, and what it promises a game."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saddlepoint.draws import Draws, use
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.ladder import LadderDiscriminator


@pytest.fixture
def ladder() -> LadderDiscriminator:
    torch.manual_seed(0)
    network = LadderDiscriminator((1, 3, 2), num_classes=3, widths=(5, 4), reference=torch.rand(9, 1, 3, 2) * 2 - 1).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return network


def by_hand(network: LadderDiscriminator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy and class logits of the pass without noise: Rasmus et al. 2015, Algorithm 1."""

    def norm(h):
        return (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-10)

    def sigmoid(t):
        return 1 / (1 + np.exp(-t))

    def g(index, z, u):
        a = network.combine[index].a.detach().numpy()
        mu = a[0] * sigmoid(a[1] * u + a[2]) + a[3] * u + a[4]
        v = a[5] * sigmoid(a[6] * u + a[7]) + a[8] * u + a[9]
        return (z - mu) * v + mu

    up, down, shift = ([value.detach().numpy() for value in values] for values in (network.up, network.down, network.shifts))
    z0 = (x.reshape(len(x), -1) + 1) / 2
    z1 = norm(z0 @ up[0].T)
    z2 = norm(np.maximum(z1 + shift[0], 0) @ up[1].T)
    z3 = norm(np.maximum(z2 + shift[1], 0) @ up[2].T)
    logits = network.gain.detach().numpy() * (z3 + shift[2])
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    cleaned = g(3, z3, norm(softmax))
    for index, z in ((2, z2), (1, z1), (0, z0)):
        cleaned = g(index, z, norm(cleaned @ down[index].T))
    return ((cleaned - z0) ** 2).mean(1), logits


def test_the_ladder_is_its_formulas(ladder):
    ladder.noise = 0.0
    x = torch.rand(7, 1, 3, 2, dtype=torch.float64) * 2 - 1
    energy, class_logits = by_hand(ladder, x.numpy())
    judgement = ladder(x)
    np.testing.assert_allclose(-judgement.logits.detach().numpy(), energy, rtol=1e-9)
    np.testing.assert_allclose(judgement.class_logits.detach().numpy(), class_logits, rtol=1e-9)
    assert judgement.features.shape == (7, 4)
    assert mixes_samples(ladder)


def test_it_classifies_each_sample_alone_by_the_statistics_of_its_reference(ladder):
    ladder.eval()
    x = torch.rand(4, 1, 3, 2, dtype=torch.float64) * 2 - 1
    whole, alone = ladder(x), ladder(x[2:3])
    torch.testing.assert_close(whole.class_logits[2:3], alone.class_logits)
    torch.testing.assert_close(whole.logits[2:3], alone.logits)
    ladder.train()
    ladder.noise = 0.0
    reference = ladder.reference.view(-1, 1, 3, 2)
    in_training = ladder(reference).class_logits
    torch.testing.assert_close(ladder.eval()(reference).class_logits, in_training)


def test_noise_comes_from_the_turns_draws(ladder):
    x = torch.rand(4, 1, 3, 2, dtype=torch.float64)
    found = []
    for _ in range(2):
        with use(Draws.seeded(3, dtype=torch.float64)):
            found.append(ladder(x).class_logits)
    assert torch.equal(*found)
    assert not torch.equal(found[0], ladder(x).class_logits)
