"""The adversarial game whose discriminator is also a classifier, and whose classifier is the average of its weights over the run.

Salimans et al. 2016 (arXiv:1606.03498), section 5, as in the authors' code: the average moves by 1e-4 of its distance after every move of D, starts
at zero, and is what classifies.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.networks.base import Judgement


class ClassifyingGame(AdversarialGame):
    """G against a D that gives class logits [n, k] too (protocol ``Classifies``).

    Args:
        arguments: of :class:`AdversarialGame`.
        average_rate: share of the distance that the averaged discriminator moves after each move of D.
        settings: the keyword arguments of :class:`AdversarialGame`.
    """

    def __init__(self, *arguments: Any, average_rate: float = 1e-4, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.add_average("discriminator", "discriminator", lambda clock: 1.0 - average_rate)
        with torch.no_grad():
            for parameter in self.get_submodule("discriminator_ema").parameters():
                parameter.zero_()

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Class probabilities [n, k] by the averaged discriminator, without noise or dropout."""
        discriminator = self.get_submodule("discriminator_ema")
        was_training = discriminator.training
        discriminator.eval()
        judgement: Judgement = discriminator(x)
        discriminator.train(was_training)
        assert judgement.class_logits is not None, "this discriminator gives no class logits"
        return judgement.class_logits.softmax(1)
