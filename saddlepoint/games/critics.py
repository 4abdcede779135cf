"""What Progressive GAN adds to a critic's loss: a drift term, and a gradient penalty for another slope than 1."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from saddlepoint.games.terms import GradientPenalty, Scene, Term
from saddlepoint.networks.base import Judgement
from saddlepoint.objectives import wasserstein


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
        self.target = target

    def forward(self, scene: Scene) -> Tensor:
        """Return the weighted mean penalty, one place a sample."""

        def judge(x: Tensor, labels: Tensor | None = None) -> Judgement:
            judgement = scene.judge(x, labels)
            return judgement._replace(logits=judgement.logits / self.target)

        return super().forward(scene if self.target == 1 else replace(scene, judge=judge))
