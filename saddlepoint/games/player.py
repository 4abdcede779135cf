"""Players: who owns which parameters, and how they move."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from saddlepoint.games.laidout import LaidOutAdam


@dataclass
class Clock:
    """Where training is. The trainer sets it before each round; schedules, lazy intervals and EMA read it.

    Attributes:
        round: rounds finished.
        images_seen: real records read so far by the whole run (all processes).
        batch: records in the whole batch of one turn.
        horizon: rounds that the schedules are stretched over.
        asked: whether anything has looked at ``progress``, so that the horizon matters.
    """

    round: int = 0
    images_seen: int = 0
    batch: int = 1
    horizon: int = 1
    asked: bool = field(default=False, compare=False)

    @property
    def progress(self) -> float:
        """Share of the horizon that is done, in [0, 1]."""
        self.asked = True
        return min(self.round / max(self.horizon, 1), 1.0)


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1); weight_decay is L2 on the gradient."""

    lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    def build(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the torch optimiser; fused where the device has it."""
        fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
        return LaidOutAdam(parameters, lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps, weight_decay=self.weight_decay, fused=fused or None)

    def sharing(self, extra: float) -> Adam:
        """Itself beside ``extra`` moves for each of its own: lr and betas as if each were a share c of a move (StyleGAN2, section 3.1).

        >>> round(Adam(lr=2e-3).sharing(1 / 16).lr, 6)
        0.001882
        """
        c = 1 / (1 + extra)  # k / (k + 1) for one term every k rounds
        return replace(self, lr=self.lr * c, beta1=self.beta1**c, beta2=self.beta2**c)


@dataclass(frozen=True, kw_only=True)
class RMSprop:
    """RMSProp (Tieleman & Hinton 2012): squared-gradient average of decay ``alpha``, no momentum; weight_decay is L2 on the gradient."""

    lr: float = 5e-5
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0

    def build(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the torch optimiser."""
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha, eps=self.eps, weight_decay=self.weight_decay, foreach=True)


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Stochastic gradient descent with heavy-ball momentum; ``dampened``: a gradient enters it with weight 1 - momentum, Torch 7's default."""

    lr: float = 0.1
    momentum: float = 0.0
    dampened: bool = False

    def build(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the torch optimiser."""
        dampening = self.momentum if self.dampened else 0.0
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, dampening=dampening, foreach=True)


Optimizer = Adam | RMSprop | SGD
Schedule = Callable[[Clock], Mapping[str, float]]


@dataclass
class Player:
    """One player of a game.

    Attributes:
        name: "generator", "discriminator", ...
        modules: whose parameters it owns.
        optimizer: how it moves.
        schedule: clock -> values for the optimiser's parameter groups (lr, momentum, beta2, ...); None keeps them.
        before_move: called before each of its turns, for instance to clip weights (WGAN clips before the critic's step).
        after_move: called after each of its moves, for instance to project onto a ball.
        clip_norm: largest gradient norm; None means off.
    """

    name: str
    modules: list[nn.Module]
    optimizer: Optimizer
    schedule: Schedule | None = None
    before_move: Callable[[], None] | None = None
    after_move: Callable[[], None] | None = None
    clip_norm: float | None = None
    torch_optimizer: torch.optim.Optimizer | None = field(default=None, repr=False)

    def parameters(self) -> list[nn.Parameter]:
        """Every parameter of this player, once."""
        return list(self.named_parameters().values())

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters by name; a name begins with the module's index where there is more than one."""
        seen: dict[int, tuple[str, nn.Parameter]] = {}
        for index, module in enumerate(self.modules):
            prefix = f"{index}." if len(self.modules) > 1 else ""
            for name, parameter in module.named_parameters():
                seen.setdefault(id(parameter), (prefix + name, parameter))
        return dict(seen.values())

    def require_grad(self, needed: bool) -> None:
        """Thaw or freeze this player's parameters."""
        for module in self.modules:
            module.requires_grad_(needed)

    @contextlib.contextmanager
    def thawed(self) -> Iterator[None]:
        """Record a graph through this player's parameters inside another player's turn, for its own turn to use."""
        self.require_grad(True)
        try:
            yield
        finally:
            self.require_grad(False)


def move(optimizer: torch.optim.Optimizer, values: Mapping[str, float]) -> None:
    """Set scheduled values on every parameter group; "beta1" and "beta2" address Adam's pair."""
    for group in optimizer.param_groups:
        for name, value in values.items():
            if name in ("beta1", "beta2"):
                beta1, beta2 = group["betas"]
                group["betas"] = (value, beta2) if name == "beta1" else (beta1, value)
            else:
                group[name] = value


def linear_decay(lr: float, start: float = 0.0) -> Schedule:
    """Learning rate constant until the share ``start`` of the horizon, then linearly to 0 at its end.

    >>> linear_decay(1.0)(Clock(round=25, horizon=100))
    {'lr': 0.75}
    """
    return lambda clock: {"lr": lr * min(1.0, (1.0 - clock.progress) / (1.0 - start))}


def step_decay(lr: float, every: int, factor: float = 0.5, floor: float = 0.0) -> Schedule:
    """Learning rate multiplied by ``factor`` every ``every`` rounds, never under ``floor``.

    >>> step_decay(8e-5, every=100, floor=2e-5)(Clock(round=1000))
    {'lr': 2e-05}
    """
    return lambda clock: {"lr": max(lr * factor ** (clock.round // every), floor)}
