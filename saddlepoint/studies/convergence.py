"""Two games of two numbers, played by the library's own engine: the Dirac-GAN, and a saddle that two time scales settle.

Mescheder et al. 2018 (arXiv:1801.04406): data at 0, G gives theta, D(x) = psi x. Which training methods reach (0, 0)?
Heusel et al. 2017 (arXiv:1706.08500): f(x, y) = (1 + x^2)(100 - y^2) with noisy gradients, the toy of the authors' notebook.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.data.sources import open_data
from saddlepoint.errors import NotFiniteError
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import SGD
from saddlepoint.games.terms import R1, GradientPenalty, Term
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.objectives import dirac
from saddlepoint.objectives.minimax import Minimax, NonSaturating
from saddlepoint.objectives.objective import Objective
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.studies.play import Value, play
from saddlepoint.views.noise import InstanceNoise

START = (1.0, 1.0)
CLIP = 1.0
NOISE_STD = 0.7


class DiracGenerator(Generator):
    """theta, whatever z."""

    latent_dim = 1

    def __init__(self, theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z [n, 1] -> [n, 1]."""
        return self.theta.expand(len(z), 1)


class DiracDiscriminator(Discriminator):
    """psi x."""

    def __init__(self, psi: float) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(psi))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """x [n, 1] -> logits [n]."""
        return Judgement((self.psi * x).squeeze(1))


@dataclass(frozen=True, kw_only=True)
class Method:
    """A training method of the Dirac-GAN.

    Attributes:
        objective: the value function.
        terms: what is added to D's loss.
        noise: deviation of instance noise; 0 is none.
        batch: records a batch; with noise more than one.
        clip: largest |psi| after D's move; None: no clipping.
        field: the same in theory, with the sign of psi turned (there D is high on fakes); None where chance or clipping enters.
        converges: whether theory says so.
    """

    objective: Objective
    terms: tuple[Term, ...] = ()
    noise: float = 0.0
    batch: int = 1
    clip: float | None = None
    field: dirac.Field | None = None
    converges: bool = False


METHODS = {
    "minimax": Method(objective=Minimax(), field=dirac.minimax),
    "non-saturating": Method(objective=NonSaturating(), field=dirac.nonsaturating),
    "WGAN, no constraint": Method(objective=Wasserstein(), field=dirac.wasserstein),
    "WGAN, |psi| <= 1": Method(objective=Wasserstein(), clip=CLIP),
    "WGAN-GP, weight 1": Method(objective=Wasserstein(), terms=(GradientPenalty(1.0),), field=partial(dirac.gradient_penalised, weight=2.0)),
    "non-saturating, R1, gamma 1": Method(objective=NonSaturating(), terms=(R1(1.0),), field=partial(dirac.zero_centered, gamma=1.0), converges=True),
    "minimax, instance noise 0.7": Method(objective=Minimax(), noise=NOISE_STD, batch=512, converges=True),
}


def dirac_path(method: Method, *, rounds: int, lr: float = 0.1, seed: int = 0, start: tuple[float, float] = START) -> Tensor:
    """(theta, psi) after each round of alternating gradient steps, float64 [rounds + 1, 2]."""
    config = AdversarialConfig(batch=method.batch, rounds=rounds, latent_dim=1, generator_optimizer=SGD(lr=lr), discriminator_optimizer=SGD(lr=lr))
    generator, discriminator = DiracGenerator(start[0]), DiracDiscriminator(start[1])

    @torch.no_grad()
    def clip() -> None:
        if method.clip is not None:
            discriminator.psi.clamp_(-method.clip, method.clip)

    view = InstanceNoise(method.noise) if method.noise else None
    players = {"discriminator": {"after_move": clip}}
    game = AdversarialGame(config, generator, discriminator, method.objective, terms=method.terms, view=view, players=players).double()
    states: list[Tensor] = []

    def watch(done: int) -> None:
        states.append(torch.stack([generator.theta, discriminator.psi]).detach().clone())

    play(game, open_data("dirac"), rounds=rounds, batch=method.batch, seed=seed, watch=watch)
    return torch.stack(states)


def dirac_theory(method: Method, *, rounds: int, lr: float = 0.1, start: tuple[float, float] = START) -> Tensor:
    """The same path by the field of the theory, [rounds + 1, 2]."""
    assert method.field is not None
    path = dirac.simulate(method.field, start=(start[0], -start[1]), step=lr, num_steps=rounds, alternating=True)
    return path * path.new_tensor([1.0, -1.0])


def dirac_study(*, rounds: int = 500, lr: float = 0.1, seeds: int = 3) -> dict[str, dict[str, Any]]:
    """Every method from (1, 1): distance from the equilibrium at the end, and the largest in the last fifth; over seeds where chance enters."""
    found = {}
    for name, method in METHODS.items():
        paths = [dirac_path(method, rounds=rounds, lr=lr, seed=seed) for seed in range(seeds if method.noise else 1)]
        radii = [path.norm(dim=1) for path in paths]
        theory = None if method.field is None else dirac_theory(method, rounds=rounds, lr=lr)
        found[name] = {
            "path": paths[0].tolist(),
            "theory": None if theory is None else theory.tolist(),
            "gap": None if theory is None else float((paths[0] - theory).abs().max()),
            "eigenvalues": None if method.field is None else [[v.real, v.imag] for v in dirac.eigenvalues(method.field).tolist()],
            "end": [float(radius[-1]) for radius in radii],
            "late": [float(radius[-rounds // 5 :].max()) for radius in radii],
            "converges": method.converges,
        }
    return found


class SaddleGame(Game):
    """x minimises and y maximises f(x, y) = (1 + x^2)(100 - y^2); to either slope standard normal noise is added.

    Args:
        x_lr: of x, which moves first.
        y_lr: of y.
        noise: deviation of the noise.
    """

    def __init__(self, x_lr: float, y_lr: float, noise: float = 1.0) -> None:
        super().__init__()
        self.x, self.y, self.noise = Value(0.5), Value(-0.4), noise  # as in the authors' notebook
        self.add_player("x", [self.x], SGD(lr=x_lr))
        self.add_player("y", [self.y], SGD(lr=y_lr))

    def play(self) -> Iterator[Turn]:
        """x, then y, which sees the new x."""
        yield self.x_turn
        yield self.y_turn

    def value(self) -> Tensor:
        """f(x, y)."""
        return (1 + self.x.value.square()) * (100 - self.y.value.square())

    @turn("x")
    def x_turn(self, batch: Batch) -> Loss:
        """Descend f."""
        return Loss(value=self.value(), noise=self.noise * self.draws.normal(1)[0] * self.x.value)

    @turn("y")
    def y_turn(self, batch: Batch) -> Loss:
        """Ascend f."""
        return Loss(value=-self.value(), noise=self.noise * self.draws.normal(1)[0] * self.y.value)


RATES = {  # of (x, y): the four lines of the notebook
    "one time scale": (0.01, 0.01),
    "one, ten times slower": (0.001, 0.001),
    "two, x slow": (0.0001, 0.01),
    "two, y slow": (0.01, 0.0001),
}


def saddle_path(x_lr: float, y_lr: float, *, rounds: int, seed: int, noise: float = 1.0) -> Tensor:
    """(x, y) after each round, float64 [rounds + 1, 2], or fewer where it left the numbers."""
    game = SaddleGame(x_lr, y_lr, noise).double()
    states: list[Tensor] = []

    def watch(done: int) -> None:
        states.append(torch.stack([game.x.value, game.y.value]).detach().clone())

    with contextlib.suppress(NotFiniteError):
        play(game, open_data("dirac"), rounds=rounds, batch=1, seed=seed, watch=watch)
    return torch.stack(states)


def saddle_study(*, rounds: int = 5000, seeds: int = 3) -> dict[str, dict[str, Any]]:
    """The four pairs of rates: root mean square distance from the saddle over the last fifth, and the largest; infinite where it diverged."""
    found = {}
    for name, (x_lr, y_lr) in RATES.items():
        paths = [saddle_path(x_lr, y_lr, rounds=rounds, seed=seed) for seed in range(seeds)]
        whole = [len(path) == rounds + 1 for path in paths]
        late = [path.norm(dim=1)[-rounds // 5 :] for path in paths]
        found[name] = {
            "x_lr": x_lr,
            "y_lr": y_lr,
            "norms": paths[0].norm(dim=1).tolist(),
            "rms": [float(norms.square().mean().sqrt()) if ok else math.inf for norms, ok in zip(late, whole, strict=True)],
            "largest": [float(norms.max()) if ok else math.inf for norms, ok in zip(late, whole, strict=True)],
        }
    return found
