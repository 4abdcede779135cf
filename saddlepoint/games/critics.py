"""What Progressive GAN adds to a critic's loss, a drift term and a gradient penalty for another slope than 1; and DRAGAN's, around the data."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.games.terms import GradientPenalty, Scene, Term
from saddlepoint.networks.base import Judgement
from saddlepoint.objectives import penalties, wasserstein


class Drift(Term):
    """weight * C(x)^2, which keeps the critic's free constant near zero (Karras et al. 2018, arXiv:1710.10196, Appendix A.1)."""

    name = "drift"

    def __init__(self, weight: float = 0.001) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, scene: Scene) -> Tensor:
        """Return the weighted mean square of the real logits."""
        assert scene.real is not None, "the drift term met a turn without real samples"
        return self.weight * wasserstein.drift(scene.real.logits).mean()


class TargetedPenalty(GradientPenalty):
    """weight * ((slope - target) / target)^2 on the lines between real and fake (Karras et al. 2018, Appendix A.1; target 750 on CIFAR-10).

    It is the penalty for a slope of 1, put on the critic divided by the target.
    """

    def __init__(self, weight: float = 10.0, target: float = 1.0, every: int = 1) -> None:
        super().__init__(weight, every)
        if not target > 0:
            raise UsageError(f"The slope that a penalty asks for must be above 0; it is {target}.")
        self.target = target

    def forward(self, scene: Scene) -> Tensor:
        """Return the weighted mean penalty, one place a sample."""

        def judge(x: Tensor, labels: Tensor | None = None) -> Judgement:
            judgement = scene.judge(x, labels)
            return judgement._replace(logits=judgement.logits / self.target)

        return super().forward(scene if self.target == 1 else replace(scene, judge=judge))


class PenaltyNearData(TargetedPenalty):
    """weight * ((slope - target) / target)^2 around the real samples (Kodali et al. 2017, arXiv:1705.07215, Algorithm 1), without fakes.

    The places are x + a * reach * U[0, 1)^d with one a of U[0, 1) a sample: the released code, which moves to one side, where the paper writes
    Gaussian noise. That code's reach is half the standard deviation of all values of the batch.

    Args:
        reach: in the unit of the samples; kept with the run.
        weight: of the penalty.
        target: slope that is asked for.
    """

    reach: Tensor

    def __init__(self, reach: float, weight: float = 10.0, target: float = 1.0) -> None:
        super().__init__(weight, target)
        if not reach >= 0:
            raise UsageError(f"The places of the penalty lie at a distance from the data of at least 0; it is {reach:g}. Choose another reach.")
        self.register_buffer("reach", torch.tensor(reach))

    def places(self, scene: Scene) -> Tensor:
        """The moved samples."""
        assert scene.x_real is not None, "the penalty near the data met a turn without real samples"
        x = scene.x_real.detach()
        moved = x + self.reach.to(x) * scene.draws.uniform(*x.shape).to(x)
        return penalties.interpolates(moved, x, scene.draws.uniform(len(x)))
