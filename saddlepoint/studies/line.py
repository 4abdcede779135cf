"""Discriminators against a generator that does not move, on a line where everything is known exactly.

The critic of WGAN against the earth mover's distance; D against p / (p + q); the slope that reaches G where D is sure.

Axes: n batch, m modes, g points of a grid. p is the density of the data, q the generator's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.data.records import DataSpec
from saddlepoint.data.toys import NUM_POINTS, ToyDataset, mixture
from saddlepoint.draws import derive_seed
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.game import Turn
from saddlepoint.games.player import Adam, RMSprop
from saddlepoint.games.terms import GradientPenalty, Scene, Term
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.mlp import MLPDiscriminator
from saddlepoint.objectives import analytic, penalties
from saddlepoint.objectives.minimax import Minimax, NonSaturating
from saddlepoint.objectives.objective import Objective
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.studies.play import play
from saddlepoint.training.trainer import Trainer, TrainerConfig

GRID = torch.linspace(-8.0, 12.0, 20_001, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class Line:
    """An equal mixture of Gaussians on a line."""

    centers: tuple[float, ...]
    std: float

    def log_density(self, x: Tensor) -> Tensor:
        """Log density at x [g], float64 [g]."""
        distances = (x[:, None] - x.new_tensor(self.centers)) / self.std  # g m
        return torch.logsumexp(-distances.square() / 2, 1) - math.log(len(self.centers) * self.std * math.sqrt(2 * math.pi))

    def distribution(self, x: Tensor) -> Tensor:
        """Share of the mass at most x [g], float64 [g]."""
        shares: Tensor = torch.special.ndtr((x[:, None] - x.new_tensor(self.centers)) / self.std)  # g m
        return shares.mean(1)

    def data(self, seed: int) -> ToyDataset:
        """NUM_POINTS points of it."""
        toy = mixture(torch.tensor(self.centers, dtype=torch.float64)[:, None], self.std)
        points = toy.draw(torch.Generator().manual_seed(derive_seed("line", seed))).float()
        spec = DataSpec(name="line", kind="points", shape=(1,), num_records=NUM_POINTS, fields=("point",))
        return ToyDataset({"point": points}, spec, toy)


class MixtureGenerator(Generator):
    """Draws from an equal mixture: z chooses the mode and the place in it."""

    latent_dim = 2

    def __init__(self, line: Line) -> None:
        super().__init__()
        self.means, self.std = nn.Parameter(torch.tensor(line.centers)), nn.Parameter(torch.tensor(line.std))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z [n, 2] standard normal -> [n, 1]."""
        mode = (torch.special.ndtr(z[:, 0]) * len(self.means)).long().clamp(max=len(self.means) - 1)
        return (self.means[mode] + self.std * z[:, 1])[:, None]


class StillGame(AdversarialGame):
    """The adversarial game without the generator's turns."""

    def play(self) -> Iterator[Turn]:
        """Discriminator turns only."""
        for _ in range(self.d_steps(self.clock)):
            yield self.discriminator_turn


def distance(p: Line, q: Line) -> float:
    """Exact earth mover's distance, the area between the two distribution functions."""
    return float(torch.trapezoid((p.distribution(GRID) - q.distribution(GRID)).abs(), GRID))


PAIRS = {
    "N(2, 0.5) from N(0, 0.5)": (Line(centers=(2.0,), std=0.5), Line(centers=(0.0,), std=0.5)),
    "N(0, 1) from N(0, 0.25)": (Line(centers=(0.0,), std=1.0), Line(centers=(0.0,), std=0.25)),
    "modes at -2, 2 from N(0, 1)": (Line(centers=(-2.0, 2.0), std=0.5), Line(centers=(0.0,), std=1.0)),
    "modes at 0, 5 from modes at -1, 1": (Line(centers=(0.0, 5.0), std=0.5), Line(centers=(-1.0, 1.0), std=0.3)),
}
CLIP, GP_WEIGHT = 0.1, 10.0


class OneSidedPenalty(GradientPenalty):
    """weight * max(0, slope - 1)^2 on the lines between real and fake: the form that Gulrajani et al. 2017 mention and did not choose."""

    def forward(self, scene: Scene) -> Tensor:
        """Judge between real and fake, and return the weighted mean penalty."""
        assert scene.x_real is not None and scene.x_fake is not None
        x_real, x_fake = scene.x_real.detach(), scene.x_fake.detach()
        between = penalties.interpolates(x_real, x_fake, scene.draws.uniform(len(x_real))).requires_grad_()
        return self.weight * penalties.gradient_penalty(scene.judge(between).logits, between, one_sided=True).mean()


CONSTRAINTS: dict[str, Callable[[], Term | None]] = {
    "gradient penalty": lambda: GradientPenalty(GP_WEIGHT),
    "one-sided penalty": lambda: OneSidedPenalty(GP_WEIGHT),
    "clipping": lambda: None,
}


def still(
    p: Line, q: Line, objective: Objective, *, rounds: int, seed: int, width: int, clip: float | None = None, penalty: Term | None = None
) -> Discriminator:
    """A discriminator trained on data p against a generator that stays q.

    Args:
        p: the data.
        q: what the generator draws.
        objective: the value function.
        rounds: of one turn of D, the learning rate falling to 0.
        seed: of everything random.
        width: units of its three hidden layers.
        clip: largest weight after each move, with RMSProp at 5e-4; None: no clipping, and Adam at 1e-3.
        penalty: what is added to its loss; with one, Adam's betas are those of WGAN-GP.
    """
    torch.manual_seed(derive_seed(seed, "initialisation"))
    adam = Adam(lr=1e-3, beta1=0.0, beta2=0.9) if penalty else Adam(lr=1e-3, beta1=0.5)
    optimizer = RMSprop(lr=5e-4) if clip else adam
    config = AdversarialConfig(batch=256, rounds=rounds, latent_dim=2, discriminator_optimizer=optimizer, lr_decay="linear")
    discriminator = MLPDiscriminator((1,), width=width, hidden=3)

    @torch.no_grad()
    def limit() -> None:
        for parameter in discriminator.parameters():
            parameter.clamp_(-float(clip or math.inf), float(clip or math.inf))

    terms = [] if penalty is None else [penalty]
    players = {"discriminator": {"after_move": limit}}
    game = StillGame(config, MixtureGenerator(q), discriminator, objective, terms=terms, players=players)
    play(game, p.data(seed), rounds=rounds, batch=config.batch, seed=seed, every=rounds)
    return discriminator


@torch.no_grad()
def logits_on_grid(discriminator: Discriminator) -> Tensor:
    """C at the points of GRID, float64 [g]."""
    logits: Tensor = discriminator.eval().double()(GRID[:, None]).logits
    return logits


def critic_study(*, rounds: int = 2000, seeds: int = 3, width: int = 64) -> dict[str, dict[str, Any]]:
    """Critics of every constraint on every pair: their estimate E_p C - E_q C (by quadrature), and that over their largest slope on the data.

    The second can never exceed the distance: a critic divided by its largest slope is 1-Lipschitz. It is taken where p + q is above 1e-4.
    """
    found: dict[str, dict[str, Any]] = {}
    for pair, (p, q) in PAIRS.items():
        gap = p.log_density(GRID).exp() - q.log_density(GRID).exp()
        seen = (p.log_density(GRID).exp() + q.log_density(GRID).exp())[1:] > 1e-4
        found[pair] = {"exact": distance(p, q)}
        for constraint, make in CONSTRAINTS.items():
            estimates, bounds = [], []
            for seed in range(seeds):
                penalty = make()
                critic = still(p, q, Wasserstein(), rounds=rounds, seed=seed, width=width, clip=None if penalty else CLIP, penalty=penalty)
                values = logits_on_grid(critic)
                estimates.append(float(torch.trapezoid(values * gap, GRID)))
                slopes = (values.diff() / GRID.diff()).abs()
                bounds.append(estimates[-1] / float(slopes[seen].max()))
            found[pair][constraint] = {"estimate": estimates, "over_largest_slope": bounds}
    return found


OPTIMAL = (Line(centers=(-2.0, 1.0), std=0.5), Line(centers=(0.0,), std=1.0))


def optimal_study(*, rounds: int = 3000, seeds: int = 3, width: int = 64) -> dict[str, Any]:
    """D of the first GAN against p / (p + q) of a mixture and one Gaussian: mean absolute error under (p + q) / 2, and the value reached."""
    p, q = OPTIMAL
    log_p, log_q = p.log_density(GRID), q.log_density(GRID)
    best = analytic.optimal_logit(log_p, log_q).sigmoid()
    weight = (log_p.exp() + log_q.exp()) / 2
    errors, values, curves = [], [], []
    for seed in range(seeds):
        logits = logits_on_grid(still(p, q, NonSaturating(), rounds=rounds, seed=seed, width=width))
        errors.append(float(torch.trapezoid(weight * (logits.sigmoid() - best).abs(), GRID)))
        parts = log_p.exp() * nn.functional.logsigmoid(logits) + log_q.exp() * nn.functional.logsigmoid(-logits)
        values.append(float(torch.trapezoid(parts, GRID)))
        curves.append(logits.sigmoid())
    exact = float(analytic.optimal_value(analytic.jensen_shannon_quadrature(log_p, log_q, GRID)))
    shown = slice(3000, 13_000, 20)  # -5 to 5
    return {
        "error": errors,
        "value": values,
        "best_value": exact,
        "x": GRID[shown].tolist(),
        "best": best[shown].tolist(),
        "learnt": [curve[shown].tolist() for curve in curves],
        "p": log_p[shown].exp().tolist(),
        "q": log_q[shown].exp().tolist(),
    }


class SureDiscriminator(Discriminator):
    """The logit ``slope`` * (x - 4): the steeper, the surer."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """x [n, 1] -> logits [n]."""
        return Judgement(self.slope * (x[:, 0] - 4.0))


def gradient_study(slopes: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)) -> dict[str, Any]:
    """Length of G's gradient, divided by D's slope, for data at 8 and fakes at 0: how much of D's opinion reaches G in either game."""
    p, q = Line(centers=(8.0,), std=0.5), Line(centers=(0.0,), std=0.5)
    found: dict[str, Any] = {"slope": list(slopes), "minimax": [], "non-saturating": [], "fake_probability": []}
    for slope in slopes:
        for name, objective in (("minimax", Minimax()), ("non-saturating", NonSaturating())):
            game = AdversarialGame(AdversarialConfig(batch=256, latent_dim=2), MixtureGenerator(q), SureDiscriminator(slope), objective).double()
            trainer = Trainer(game, p.data(0), TrainerConfig(batch=256))
            try:
                gradients = trainer.gradient_of(game.generator_turn)
            finally:
                trainer.close()
            found[name].append(float(torch.cat([gradient.reshape(-1) for gradient in gradients.values()]).norm()) / slope)
        found["fake_probability"].append(1 / (1 + math.exp(4 * slope)))
    return found
