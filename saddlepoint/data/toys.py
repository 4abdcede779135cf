"""Toy data whose density is known, so that a game can be checked against the truth.

Axes: n points, d dimension, m modes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import DataCard, source
from saddlepoint.draws import derive_seed

NUM_POINTS = 100_000
GULRAJANI = "Gulrajani et al. 2017 (arXiv:1704.00028), constants of the authors' code"


class ToyDataset(ArrayDataset):
    """100,000 points drawn once, the same on every machine, with the density that they were drawn from.

    Attributes:
        centers: float64 [m, d], the modes of a mixture of equal isotropic Gaussians; None where there are none (swiss roll).
        std: standard deviation of each mode (0 for the Dirac mass), or of the swiss roll's noise; in the units of the points.
    """

    def __init__(self, fields: Mapping[str, Tensor], spec: DataSpec, toy: Toy) -> None:
        super().__init__(fields, spec)
        self.centers = toy.centers
        self.std = toy.std
        self._log_density = toy.log_density

    def density(self, x: Tensor) -> Tensor:
        """Log density of the data at ``x`` [n, d], in nats, float64 [n]; of a Dirac mass: +inf on it, -inf elsewhere."""
        return self._log_density(x.to(torch.float64))


@dataclass(frozen=True, kw_only=True)
class Toy:
    """One toy distribution: how it is drawn and how dense it is.

    Attributes:
        draw: (rng) -> points float64 [NUM_POINTS, d].
        log_density: x float64 [n, d] -> [n].
        centers, std: see :class:`ToyDataset`.
    """

    draw: Callable[[torch.Generator], Tensor]
    log_density: Callable[[Tensor], Tensor]
    centers: Tensor | None
    std: float


def mixture(centers: Tensor, std: float) -> Toy:
    r"""Equal mixture of isotropic Gaussians at ``centers`` [m, d]: :math:`p(x) = \frac1m \sum_j N(x; \mu_j, \sigma^2 I)`.

    Every mode gets the same number of points (as in the 25-Gaussian set of Gulrajani et al. 2017); point i is of mode i modulo m.
    """
    m, d = centers.shape

    def draw(rng: torch.Generator) -> Tensor:
        noise = torch.randn(NUM_POINTS, d, generator=rng, dtype=torch.float64)
        return centers[modes_of(m)] + std * noise

    def log_density(x: Tensor) -> Tensor:
        mu = centers.to(x.device)
        if std == 0:
            on_a_mode = (x[:, None] == mu).all(-1).any(-1)  # n m d -> n
            return torch.where(on_a_mode, torch.inf, -torch.inf).to(torch.float64)
        squares = (x[:, None] - mu).square().sum(-1)  # n m
        return torch.logsumexp(-squares / (2 * std**2), 1) - math.log(m) - d / 2 * math.log(2 * math.pi * std**2)

    return Toy(draw=draw, log_density=log_density, centers=centers, std=std)


def ring(modes: int, radius: float, std: float) -> Toy:
    """Gaussians at equal angles on a circle, mode j at angle 2 pi j / modes."""
    angles = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes
    return mixture(radius * torch.stack([angles.cos(), angles.sin()], 1), std)


def grid(side: int, spacing: float, std: float) -> Toy:
    """Gaussians on a square grid of side * side modes around 0, mode i * side + j at column i, row j."""
    ticks = spacing * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2)
    return mixture(torch.cartesian_prod(ticks, ticks), std)


def swiss_roll(noise: float, scale: float) -> Toy:
    r"""Two axes of the swiss roll (Marsland 2009): :math:`x = (t\cos t, t\sin t) + \epsilon`, t uniform on [1.5 pi, 4.5 pi], divided by ``scale``.

    The density is the integral over t of the noise's, by Gauss-Legendre quadrature with 16 nodes on each of 108 pieces, finer towards the ends of
    the curve. At scale 7.5 and noise .25 its logarithm is exact to 1e-9 on [-2.5, 2.5]^2 and to 1e-6 on [-6, 6]^2.
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    ends = 0.5 ** np.arange(6, 0, -1) / 96
    edges = 1.5 * math.pi + 3 * math.pi * np.concatenate([[0], ends, np.arange(1, 96) / 96, 1 - ends[::-1], [1]])
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    t = torch.from_numpy((middle[:, None] + half[:, None] * nodes).ravel())
    curve = torch.stack([t * t.cos(), t * t.sin()], 1) / scale  # q d
    std = noise / scale
    log_weights = torch.from_numpy(np.log((half[:, None] * weights).ravel() / (3 * math.pi))) - curve.square().sum(1) / (2 * std**2)  # q

    def draw(rng: torch.Generator) -> Tensor:
        t = 1.5 * math.pi * (1 + 2 * torch.rand(NUM_POINTS, generator=rng, dtype=torch.float64))
        return torch.stack([t * t.cos(), t * t.sin()], 1) / scale + std * torch.randn(NUM_POINTS, 2, generator=rng, dtype=torch.float64)

    def log_density(x: Tensor) -> Tensor:
        at, log_w = curve.to(x.device) / std**2, log_weights.to(x.device)
        pieces = [torch.logsumexp(part @ at.T + log_w, 1) for part in torch.split(x, 1024)]  # n q -> n; the square |x - curve|^2, multiplied out
        return torch.cat(pieces) - x.square().sum(1) / (2 * std**2) - math.log(2 * math.pi * std**2)

    return Toy(draw=draw, log_density=log_density, centers=None, std=std)


def modes_of(num_modes: int) -> Tensor:
    """The mode of every point of a mixture, int64 [NUM_POINTS]."""
    return torch.arange(NUM_POINTS) % num_modes


TOYS: dict[str, tuple[Callable[[], Toy], str, str]] = {  # name: (the toy, what it is, whose)
    "ring8": (lambda: ring(8, 2 / 1.414, 0.02 / 1.414), "8 Gaussians on a ring, scaled to unit variance, mode as label", GULRAJANI),
    "ring8-unrolled": (lambda: ring(8, 2.0, 0.02), "8 Gaussians on a ring of radius 2", "Metz et al. 2017 (arXiv:1611.02163)"),
    "grid25": (lambda: grid(5, 2 / 2.828, 0.05 / 2.828), "25 Gaussians on a grid, scaled to unit variance", GULRAJANI),
    "grid25-labelled": (lambda: grid(5, 2 / 2.828, 0.05 / 2.828), "the points of grid25, mode as label", GULRAJANI),
    "swissroll": (lambda: swiss_roll(noise=0.25, scale=7.5), "a spiral with noise", GULRAJANI),
    "dirac": (
        lambda: mixture(torch.zeros(1, 1, dtype=torch.float64), 0.0),
        "all mass at 0, in one dimension",
        "Mescheder et al. 2018 (arXiv:1801.04406)",
    ),
    "gaussian1d": (lambda: mixture(torch.full((1, 1), 2.0, dtype=torch.float64), 0.5), "one Gaussian of mean 2 and deviation 0.5", "this project"),
}
LABELLED = ("ring8", "grid25-labelled")


def open_toy(name: str) -> ToyDataset:
    """The toy of that name, a key of ``TOYS``. Its seed is the name without "-labelled", so both grids hold the same points."""
    toy = TOYS[name][0]()
    points = toy.draw(torch.Generator().manual_seed(derive_seed("toy", name.removesuffix("-labelled")))).to(torch.float32)
    num_modes = len(toy.centers) if toy.centers is not None and name in LABELLED else None
    fields = {"point": points} | ({"label": modes_of(num_modes)} if num_modes else {})
    spec = DataSpec(
        name=name,
        kind="points",
        shape=tuple(points.shape[1:]),
        num_records=NUM_POINTS,
        num_classes=num_modes,
        class_names=tuple(f"mode {j}" for j in range(num_modes or 0)),
        content_hash=content_hash(fields),
        fields=tuple(fields),
    )
    return ToyDataset(fields, spec, toy)


def _register(name: str, title: str, owed_to: str) -> None:
    shape = (1,) if name in ("dirac", "gaussian1d") else (2,)
    card = DataCard(
        name=name,
        title=title,
        kind="points",
        shape=shape,
        num_records=NUM_POINTS,
        licence="none needed",
        origin="drawn by saddlepoint, the same everywhere",
        credits=owed_to,
    )
    source(card)(lambda request: open_toy(request.name))


for _name, (_, _title, _owed_to) in TOYS.items():
    _register(_name, _title, _owed_to)
