"""Every value function against its paper's formula in NumPy, its direction, its slopes far out, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.objectives import boundary, energy, minimax, relativistic, wasserstein
from saddlepoint.objectives.array import DiscriminatorArray
from saddlepoint.objectives.classes import SemiSupervised
from saddlepoint.objectives.energy import EnergyMargin
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.objectives.leastsquares import LeastSquares
from saddlepoint.objectives.minimax import Blended, Minimax, NonSaturating
from saddlepoint.objectives.objective import Objective
from saddlepoint.objectives.relativistic import Relativistic
from saddlepoint.objectives.wasserstein import Wasserstein

Array = NDArray[np.float64]
Formula = Callable[[Array, Array], Array]


def log(x: Array) -> Array:
    return np.log(x)


def plus(x: Array) -> Array:
    return np.maximum(x, 0.0)


# name: (objective, the discriminator's loss by the paper, the generator's loss by the paper), of the logits r and f.
CASES: dict[str, tuple[Objective, Formula, Formula]] = {
    "minimax": (Minimax(), lambda r, f: -log(expit(r)) - log(1 - expit(f)), lambda r, f: log(1 - expit(f))),
    "halved": (Minimax(halved=True), lambda r, f: -(log(expit(r)) + log(1 - expit(f))) / 2, lambda r, f: log(1 - expit(f))),
    "nonsaturating": (NonSaturating(), lambda r, f: -log(expit(r)) - log(1 - expit(f)), lambda r, f: -log(expit(f))),
    "smoothed": (
        NonSaturating(real_target=0.9),
        lambda r, f: -0.9 * log(expit(r)) - 0.1 * log(1 - expit(r)) - log(1 - expit(f)),
        lambda r, f: -log(expit(f)),
    ),
    "blended": (
        Blended(nonsaturating_weight=2.0, minimax_weight=3.0, halved=True),
        lambda r, f: -(log(expit(r)) + log(1 - expit(f))) / 2,
        lambda r, f: (2 * -log(expit(f)) - 3 * (-log(1 - expit(f)) / 2)) / 5,
    ),
    "lsgan-binary": (LeastSquares.binary(), lambda r, f: 0.5 * (r - 1) ** 2 + 0.5 * f**2, lambda r, f: 0.5 * (f - 1) ** 2),
    "lsgan-pearson": (LeastSquares.pearson(), lambda r, f: 0.5 * (r - 1) ** 2 + 0.5 * (f + 1) ** 2, lambda r, f: 0.5 * f**2),
    "wasserstein": (Wasserstein(), lambda r, f: f - r, lambda r, f: -f),
    "hinge": (Hinge(), lambda r, f: plus(1 - r) + plus(1 + f), lambda r, f: -f),
    "ebgan": (EnergyMargin(margin=2.0), lambda r, f: -r + plus(2.0 - (-f)), lambda r, f: -f),
    "semi-supervised": (
        SemiSupervised(),
        lambda r, f: -0.5 * r + 0.5 * log(1 + np.exp(r)) + 0.5 * log(1 + np.exp(f)),
        lambda r, f: -log(1 + np.exp(f)),
    ),
    "rpgan": (Relativistic(), lambda r, f: log(1 + np.exp(-(r - f))), lambda r, f: log(1 + np.exp(-(f - r)))),
    "ragan": (
        Relativistic(form="logistic"),
        lambda r, f: -log(expit(r - f.mean())) - log(1 - expit(f - r.mean())),
        lambda r, f: -log(expit(f - r.mean())) - log(1 - expit(r - f.mean())),
    ),
    "ralsgan": (
        Relativistic(form="least-squares"),
        lambda r, f: (r - f.mean() - 1) ** 2 + (f - r.mean() + 1) ** 2,
        lambda r, f: (f - r.mean() - 1) ** 2 + (r - f.mean() + 1) ** 2,
    ),
    "rahinge": (
        Relativistic(form="hinge"),
        lambda r, f: plus(1 - (r - f.mean())) + plus(1 + (f - r.mean())),
        lambda r, f: plus(1 - (f - r.mean())) + plus(1 + (r - f.mean())),
    ),
}
NAMES = sorted(CASES)


def logits(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2


def both(objective: Objective, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return objective.discriminator(real, fake), objective.generator(fake, real if objective.needs_real_in_generator else None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(7,), (4, 1, 3, 3)])
def test_parity_with_the_paper(name: str, shape: tuple[int, ...]) -> None:
    objective, d_formula, g_formula = CASES[name]
    real, fake = logits(1, *shape), logits(2, *shape)
    d_loss, g_loss = both(objective, real, fake)
    assert d_loss.shape == real.shape
    assert g_loss.shape == real.shape
    np.testing.assert_allclose(d_loss.numpy(), d_formula(real.numpy(), fake.numpy()), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(g_loss.numpy(), g_formula(real.numpy(), fake.numpy()), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_patches_equal_flat_logits(name: str) -> None:
    objective = CASES[name][0]
    real, fake = logits(3, 4, 1, 3, 3), logits(4, 4, 1, 3, 3)
    for patches, flat in zip(both(objective, real, fake), both(objective, real.flatten(), fake.flatten()), strict=True):
        torch.testing.assert_close(patches.flatten(), flat, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_permuting_the_batch_permutes_the_losses(name: str) -> None:
    objective = CASES[name][0]
    real, fake = logits(5, 9), logits(6, 9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    for plain, permuted in zip(both(objective, real, fake), both(objective, real[order], fake[order]), strict=True):
        torch.testing.assert_close(permuted, plain[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_direction(name: str) -> None:
    """The discriminator's loss falls in real logits and rises in fake ones; the generator's falls in fake ones."""
    objective = CASES[name][0]
    start = -0.2 if name == "lsgan-pearson" else 0.2  # between the targets of least squares
    real, fake, up = torch.tensor([0.3], dtype=torch.float64), torch.tensor([start], dtype=torch.float64), 0.1
    d_loss, g_loss = both(objective, real, fake)
    assert objective.discriminator(real + up, fake).item() < d_loss.item()
    assert objective.discriminator(real, fake + up).item() > d_loss.item()
    assert objective.generator(fake + up, real).item() < g_loss.item()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_overflows_far_out(name: str) -> None:
    objective = CASES[name][0]
    for size in (30.0, 1000.0):
        real = torch.tensor([size, -size], dtype=torch.float64, requires_grad=True)
        fake = torch.tensor([-size, size], dtype=torch.float64, requires_grad=True)
        for loss in both(objective, real, fake):
            assert loss.isfinite().all()
            slopes = torch.autograd.grad(loss.sum(), [real, fake], allow_unused=True, materialize_grads=True)
            assert all(slope.isfinite().all() for slope in slopes)


def slope(loss: Callable[[Tensor], Tensor], at: float) -> float:
    x = torch.tensor([at], dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(loss(x).sum(), x)
    return float(grad.item())


@pytest.mark.parametrize("at", [-30.0, -2.0, 0.0, 2.0, 30.0])
def test_the_two_slopes_of_the_generator(at: float) -> None:
    """Minimax: -D, dead where D rejects the fake; non-saturating: D - 1, dead where D accepts it. The fixed point is common."""
    assert slope(minimax.generator, at) == pytest.approx(-expit(at), rel=1e-12)
    assert slope(minimax.nonsaturating_generator, at) == pytest.approx(-expit(-at), rel=1e-12)


# name: slopes of D's loss in the real logit, in the fake logit, and of G's loss in the fake logit, by hand.
SLOPES: dict[str, tuple[Callable[[float], float], Callable[[float], float], Callable[[float], float]]] = {
    "minimax": (lambda r: -expit(-r), expit, lambda f: -expit(f)),
    "nonsaturating": (lambda r: -expit(-r), expit, lambda f: -expit(-f)),
    "smoothed": (lambda r: expit(r) - 0.9, expit, lambda f: -expit(-f)),
    "lsgan-binary": (lambda r: r - 1, lambda f: f, lambda f: f - 1),
    "lsgan-pearson": (lambda r: r - 1, lambda f: f + 1, lambda f: f),
    "wasserstein": (lambda r: -1.0, lambda f: 1.0, lambda f: -1.0),
    "hinge": (lambda r: -float(r < 1), lambda f: float(f > -1), lambda f: -1.0),
    "ebgan": (lambda r: -1.0, lambda f: float(f > -2), lambda f: -1.0),
    "semi-supervised": (lambda r: -expit(-r) / 2, lambda f: expit(f) / 2, lambda f: -expit(f)),
    "rpgan": (lambda r: -expit(-r), expit, lambda f: -expit(-f)),
}


@pytest.mark.parametrize("name", sorted(SLOPES))
@pytest.mark.parametrize("at", [-30.0, 30.0])
def test_slopes_at_thirty(name: str, at: float) -> None:
    objective, zero = CASES[name][0], torch.zeros(1, dtype=torch.float64)
    in_real, in_fake, of_generator = SLOPES[name]
    assert slope(lambda r: objective.discriminator(r, zero), at) == pytest.approx(in_real(at), rel=1e-9, abs=1e-16)
    assert slope(lambda f: objective.discriminator(zero, f), at) == pytest.approx(in_fake(at), rel=1e-9, abs=1e-16)
    assert slope(lambda f: objective.generator(f, zero), at) == pytest.approx(of_generator(at), rel=1e-9, abs=1e-16)


def test_both_generators_share_the_fixed_point() -> None:
    """Where p = q the best D is 1/2 everywhere, its own slope is 0, and both generators push every sample equally: no direction is better."""
    zero = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    d_loss = minimax.discriminator(zero, zero).sum()
    assert torch.autograd.grad(d_loss, zero)[0].abs().max() == 0
    assert slope(minimax.generator, 0.0) == slope(minimax.nonsaturating_generator, 0.0) == -0.5


def test_value_at_the_fixed_point_is_log_four() -> None:
    zero = torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(minimax.discriminator(zero, zero), torch.full_like(zero, np.log(4)), rtol=0, atol=1e-15)


def test_smoothing_moves_the_best_real_logit() -> None:
    """With target 0.9 the loss of a real sample is least at sigmoid(C) = 0.9."""
    best = float(np.log(9.0))
    assert slope(lambda r: minimax.discriminator(r, torch.zeros_like(r), 0.9), best) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("a", "b", "c"), [(-1.0, 1.0, 0.0), (-0.5, 1.5, 0.5)])
def test_least_squares_reaches_the_pearson_divergence(a: float, b: float, c: float) -> None:
    """With b - c = 1 and b - a = 2, twice G's value at the best D is the Pearson chi-squared divergence of p + q and 2 q (Eq. 7)."""
    p, q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    best = (b * p + a * q) / (p + q)
    objective = LeastSquares(a=a, b=b, c=c)
    twice_value = 2 * ((p + q) * objective.generator(best)).sum()
    torch.testing.assert_close(twice_value, ((2 * q - (p + q)).square() / (p + q)).sum(), rtol=0, atol=1e-14)


def test_hinge_stops_beyond_the_margin() -> None:
    outside = torch.tensor([1.5, 30.0], dtype=torch.float64)
    assert Hinge().discriminator(outside, -outside).tolist() == [0.0, 0.0]


def test_drift() -> None:
    assert wasserstein.drift(torch.tensor([-3.0, 2.0])).tolist() == [9.0, 4.0]


def test_pulling_away_against_the_double_sum() -> None:
    codes = logits(7, 6, 5)
    s = codes.numpy()
    total = 0.0
    for i in range(6):
        for j in range(6):
            if i != j:
                total += float((s[i] @ s[j] / (np.linalg.norm(s[i]) * np.linalg.norm(s[j]))) ** 2)
    assert energy.pulling_away(codes).item() == pytest.approx(total / 30, rel=1e-12)
    assert energy.pulling_away(codes * 7).item() == pytest.approx(total / 30, rel=1e-12)
    assert torch.autograd.gradcheck(energy.pulling_away, codes.requires_grad_())


def test_boundary_losses_and_controller_by_hand() -> None:
    real, fake = torch.tensor([-4.0, -2.0]), torch.tensor([-1.0, -5.0])  # errors L(x) = 4, 2; L(G) = 1, 5
    assert boundary.discriminator(real, fake, 0.5).tolist() == [4 - 0.5 * 1, 2 - 0.5 * 5]
    assert boundary.generator(fake).tolist() == [1.0, 5.0]
    k = torch.tensor(0.0, dtype=torch.float64)
    expected = 0.0
    for real_error, fake_error in [(4.0, 1.0), (3.0, 2.5), (2.0, 9.0), (900.0, 0.0), (5000.0, 0.0)]:
        expected = min(max(expected + 0.001 * (0.5 * real_error - fake_error), 0.0), 1.0)
        k = boundary.update_k(k, torch.tensor(real_error, dtype=torch.float64), torch.tensor(fake_error, dtype=torch.float64))
        assert k.item() == pytest.approx(expected, abs=1e-15)
    assert k.item() == 1.0
    assert not k.requires_grad
    assert boundary.convergence(torch.tensor(4.0), torch.tensor(1.5)).item() == 4.5


def test_relativistic_roles_are_exchanged() -> None:
    real, fake = logits(8, 6), logits(9, 6)
    for form in relativistic.FORMS:
        objective = Relativistic(form=form)
        torch.testing.assert_close(objective.generator(fake, real), objective.discriminator(fake, real))
        assert objective.needs_real_in_generator


def test_relativistic_average_has_gradient_through_both_means() -> None:
    real, fake = logits(10, 4).requires_grad_(), logits(11, 4).requires_grad_()
    for form in relativistic.FORMS:
        assert torch.autograd.gradcheck(Relativistic(form=form).discriminator, (real, fake))


def test_array_sums_over_discriminators_and_averages_for_the_generator() -> None:
    real, fake = logits(12, 5, 3), logits(13, 5, 3)
    array, alone = DiscriminatorArray(), NonSaturating()
    columns = range(3)
    torch.testing.assert_close(array.discriminator(real, fake), torch.stack([alone.discriminator(real[:, k], fake[:, k]) for k in columns]).sum(0))
    torch.testing.assert_close(array.generator(fake), torch.stack([alone.generator(fake[:, k]) for k in columns]).mean(0))
    torch.testing.assert_close(array.score(real), real.mean(1))


@pytest.mark.parametrize("name", NAMES)
def test_shapes_that_would_broadcast_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"came real \[4\] and fake \[4, 1\]"):
        CASES[name][0].discriminator(torch.zeros(4), torch.zeros(4, 1))


def test_settings_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(UsageError, match="real target needs"):
        NonSaturating(real_target=1.5)
    with pytest.raises(UsageError, match="margin needs to be above 0"):
        EnergyMargin(margin=0.0)
    with pytest.raises(UsageError, match="at least 2; came 1"):
        energy.pulling_away(torch.ones(1, 4))
    with pytest.raises(UsageError, match="came 'pairs'"):
        Relativistic(form="pairs")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="needs real logits; came none"):
        Relativistic().generator(torch.zeros(2))
    with pytest.raises(UsageError, match="sees fakes only; came Relativistic"):
        DiscriminatorArray(each=Relativistic())
