"""The ladder network as a discriminator: a classifier and a denoising auto-encoder in one, whose energy is the error at the bottom.

Rasmus et al. 2015 (arXiv:1507.02672), with the cost of the bottom layer only; the discriminator of Zhao et al. 2017 (arXiv:1609.03126), section 4.2.

Axes: n batch, d units of a layer, r reference samples, k classes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, relu

from saddlepoint.draws import draws_like
from saddlepoint.networks.base import Discriminator, Judgement

EPS = 1e-10  # added to variances
Statistics = list[tuple[Tensor, Tensor]]  # mean and variance [1, d] of each normalisation, in the order of the pass


class Combinator(nn.Module):
    """Denoises a layer's z with the signal u from above: (z - mu(u)) v(u) + mu(u), a function of its own for each unit.

    mu(u) = a1 sigmoid(a2 u + a3) + a4 u + a5 and v(u) likewise of a6 to a10: Rasmus et al. 2015, Eq. 2. a2, a7 and a10 start at 1, the others at
    0, so that a layer begins by passing z on.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0])[:, None].repeat(1, units))  # 10 d

    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        """Both [n, d], to [n, d]."""
        a = self.a
        mu = a[0] * torch.sigmoid(a[1] * u + a[2]) + a[3] * u + a[4]
        v = a[5] * torch.sigmoid(a[6] * u + a[7]) + a[8] * u + a[9]
        return (z - mu) * v + mu


class LadderDiscriminator(Discriminator):
    r"""Fully connected ladder; logits are minus the mean squared error between the sample and what the noisy pass makes of it.

    Up: z_l = norm(W_l h_{l-1}) + noise, h_l = relu(z_l + b_l), at the top gain (z + b). Down: u_l = norm(V_l z'_{l+1}), z'_l = g_l(z_l, u_l), where
    the uppermost u is the normalised softmax. The energy compares z'_0 with the clean sample; samples are mapped from [-1, 1] to [0, 1] first.

    Normalisation is by the batch's statistics, without running averages, since the batches of a game are fakes as often as data. Out of training
    there is no noise, and the statistics are those of ``reference``.

    Args:
        sample_shape: any, flattened.
        num_classes: k.
        widths: units of the hidden layers; (1000, 500, 250, 250, 250) for MNIST.
        noise: deviation of the noise at the input and in every layer (.3).
        reference: real samples [r, ...] in [-1, 1], r at least 2, that give the statistics out of training.
    """

    mixes_samples = True
    reference: Tensor

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        *,
        num_classes: int,
        reference: Tensor,
        widths: tuple[int, ...] = (1000, 500, 250, 250, 250),
        noise: float = 0.3,
    ) -> None:
        super().__init__()
        sizes = [math.prod(sample_shape), *widths, num_classes]
        pairs = [*zip(sizes, sizes[1:], strict=False)]
        self.noise = noise
        self.up = nn.ParameterList(nn.Parameter(torch.randn(b, a) / math.sqrt(a)) for a, b in pairs)
        self.down = nn.ParameterList(nn.Parameter(torch.randn(a, b) / math.sqrt(b)) for a, b in pairs)
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in sizes[1:])
        self.gain = nn.Parameter(torch.ones(num_classes))
        self.combine = nn.ModuleList(Combinator(size) for size in sizes)
        self.register_buffer("reference", reference.detach().flatten(1).clone())

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] to logits [n], features [n, widths[-1]] and class logits [n, k], both of the pass with noise. ``labels`` are not used."""
        known = None if self.training else self._statistics()
        return self._walk(x.flatten(1), 0.0 if known else self.noise, known, [])

    @torch.no_grad()
    def _statistics(self) -> Statistics:
        found: Statistics = []
        self._walk(self.reference, 0.0, None, found)
        return found

    def _walk(self, x: Tensor, noise: float, known: Statistics | None, found: Statistics) -> Judgement:
        """Up and down; the statistics that were used are left in ``found``."""

        def norm(h: Tensor) -> Tensor:
            of_batch = known is None
            found.append((h.mean(0, keepdim=True), h.var(0, unbiased=False, keepdim=True)) if of_batch else known[len(found)])  # type: ignore[index]
            mean, variance = found[-1]
            return (h - mean) * torch.rsqrt(variance + EPS)

        x = (x + 1) / 2
        h = self._noisy(x, noise)
        zs, features = [h], h
        for index, (weight, shift) in enumerate(zip(self.up, self.shifts, strict=True)):
            features = h
            zs.append(self._noisy(norm(linear(h, weight)), noise))
            last = index == len(self.up) - 1
            h = self.gain * (zs[-1] + shift) if last else relu(zs[-1] + shift)
        class_logits = h  # n k
        cleaned = self.combine[-1](zs[-1], norm(class_logits.softmax(1)))
        for weight, combine, z in zip(reversed(self.down), [*self.combine][-2::-1], zs[-2::-1], strict=True):
            cleaned = combine(z, norm(linear(cleaned, weight)))
        return Judgement(-(cleaned - x).square().mean(1), features, class_logits)

    def _noisy(self, z: Tensor, deviation: float) -> Tensor:
        return z + deviation * draws_like(z).normal(*z.shape) if deviation else z
