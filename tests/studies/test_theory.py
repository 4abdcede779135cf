"""Games whose outcome is known, played by the engine."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.objectives import dirac
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.studies import line
from saddlepoint.studies.convergence import METHODS, RATES, dirac_path, dirac_theory, saddle_path
from saddlepoint.studies.line import PAIRS, Line, MixtureGenerator, distance, gradient_study
from saddlepoint.studies.toyruns import Protocol, train_arm
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.field is not None])
def test_the_engine_follows_the_theory_of_the_dirac_gan(name):
    engine, theory = dirac_path(METHODS[name], rounds=40), dirac_theory(METHODS[name], rounds=40)
    assert engine.dtype == torch.float64
    torch.testing.assert_close(engine, theory, rtol=1e-9, atol=1e-9)
    assert (engine[-1] - engine[0]).norm() > 0.1  # both moved


@pytest.mark.parametrize("name", METHODS)
def test_the_dirac_gan_converges_with_r1_or_noise_and_circles_without(name):
    method = METHODS[name]
    radii = dirac_path(method, rounds=300 if method.noise else 150).norm(dim=1)
    if method.converges:
        assert 0 < radii[-40:].max() < 0.2
    else:
        assert 0.4 < radii[-40:].max() < 3


def test_the_eigenvalues_say_the_same():
    assert dirac.eigenvalues(METHODS["non-saturating, R1, gamma 1"].field).real.max() < -0.4
    for name in ("minimax", "non-saturating", "WGAN, no constraint"):
        assert dirac.eigenvalues(METHODS[name].field).real.abs().max() < 1e-9


def test_two_time_scales_settle_the_saddle():
    norms = {name: saddle_path(*RATES[name], rounds=250, seed=0).norm(dim=1) for name in RATES}
    fast, slow = norms["one time scale"], norms["two, x slow"]
    assert 0.01 < slow[-100:].square().mean().sqrt() < 0.2
    assert not fast[-100:].max() < 0.3  # swings or leaves the numbers
    assert norms["one, ten times slower"][-1] < norms["one, ten times slower"][0]


def test_the_saddle_has_the_slopes_of_its_function():
    path = saddle_path(1e-3, 1e-3, rounds=1, seed=0, noise=0.0)
    x, y = 0.5, -0.4
    x_new = x - 1e-3 * 2 * x * (100 - y * y)
    y_new = y + 1e-3 * -2 * y * (1 + x_new * x_new)
    torch.testing.assert_close(path[1], torch.tensor([x_new, y_new], dtype=torch.float64), rtol=1e-6, atol=1e-8)


def test_distances_on_the_line_are_exact():
    assert distance(*PAIRS["N(2, 0.5) from N(0, 0.5)"]) == pytest.approx(2.0, abs=1e-6)
    assert distance(*PAIRS["N(0, 1) from N(0, 0.25)"]) == pytest.approx(0.75 * math.sqrt(2 / math.pi), abs=1e-6)


def test_the_still_generator_draws_its_mixture():
    mixture = Line(centers=(-1.0, 3.0), std=0.5)
    x = MixtureGenerator(mixture)(torch.randn(40_000, 2)).squeeze(1)
    assert abs(x.mean() - 1) < 0.05 and abs(x.std() - math.sqrt(4 + 0.25)) < 0.03
    assert abs(float((x < 1).double().mean()) - 0.5) < 0.02
    mass = torch.trapezoid(mixture.log_density(line.GRID).exp(), line.GRID)
    assert float(mass) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("constraint", line.CONSTRAINTS)
def test_the_critic_estimates_a_known_distance(constraint):
    p, q = PAIRS["N(2, 0.5) from N(0, 0.5)"]
    penalty = line.CONSTRAINTS[constraint]()
    clip = None if penalty else line.CLIP
    critic = line.still(p, q, Wasserstein(), rounds=250, seed=0, width=32, clip=clip, penalty=penalty)
    values = line.logits_on_grid(critic)
    estimate = float(torch.trapezoid(values * (p.log_density(line.GRID).exp() - q.log_density(line.GRID).exp()), line.GRID))
    near = (line.GRID > -1.5) & (line.GRID < 3.5)
    bound = estimate / float((values.diff() / line.GRID.diff()).abs()[near[1:]].max())
    assert 0.6 * 2 < bound < 2 * 1.001  # never above the distance
    if penalty:
        assert 0.9 * 2 < estimate < 1.25 * 2  # the penalty lets slopes exceed one a little


def test_the_discriminator_learns_p_over_p_plus_q(monkeypatch):
    p, q = line.OPTIMAL
    best = torch.sigmoid(p.log_density(line.GRID) - q.log_density(line.GRID))
    weight = (p.log_density(line.GRID).exp() + q.log_density(line.GRID).exp()) / 2
    learnt = line.logits_on_grid(line.still(p, q, NonSaturating(), rounds=300, seed=0, width=32)).sigmoid()
    error = float(torch.trapezoid(weight * (learnt - best).abs(), line.GRID))
    constant = float(torch.trapezoid(weight * (0.5 - best).abs(), line.GRID))
    assert 0 < error < 0.05 < constant / 3


def test_a_sure_discriminator_starves_the_minimax_generator_only():
    found = gradient_study((0.25, 1.0, 4.0))
    ratios = [minimax / other for minimax, other in zip(found["minimax"], found["non-saturating"], strict=True)]
    assert 0.5 > ratios[0] > ratios[1] > ratios[2] > 0
    assert found["minimax"][2] < 1e-4 < 0.5 < found["non-saturating"][2] < 2


def test_unrolling_is_not_the_same_as_more_steps_of_d():
    data, config = open_data("ring8-unrolled"), dataclasses.replace(find_recipe("unrolled").preset("paper"), width=16, batch=64, latent_dim=8)
    gradients = {}
    for name, steps in (("as it is", 0), ("unrolled", 5), ("more steps", 0)):
        torch.manual_seed(0)
        game = find_recipe("unrolled").game(dataclasses.replace(config, unroll_steps=steps), data).double()
        trainer = Trainer(game, data, TrainerConfig(batch=64))
        for _ in range(5 if name == "more steps" else 0):
            trainer.take(game.discriminator_turn, 0, trainer.feed.next())
        found = trainer.gradient_of(game.generator_turn, index=9)
        gradients[name] = torch.cat([gradient.reshape(-1) for gradient in found.values()])
        trainer.close()
    plain, unrolled, more = gradients["as it is"], gradients["unrolled"], gradients["more steps"]
    assert 0.001 < (unrolled - plain).norm() / plain.norm() < 1
    assert 0.001 < (unrolled - more).norm() / plain.norm() < 1


def test_least_squares_finds_modes_of_the_ring():
    job = {"recipe": "lsgan", "settings": {}, "data": "ring8", "seed": 0, "protocol": dataclasses.asdict(Protocol(updates=400))}
    looks = train_arm(job)["looks"]
    best = min(looks, key=lambda look: look["sliced_w1"])
    assert 5 <= best["modes"] <= 8
    assert 0.02 < best["sliced_w1"] < looks[0]["sliced_w1"]
