"""The unrolled opponent: the generator plays against the discriminator as it will be after k more steps.

Metz et al. 2017 (arXiv:1611.02163), Eq. 7-10. theta_D^0 is where D stands; k steps of D's own optimiser on this turn's batch, the generator's fakes
included, give theta_D^k as a differentiable function of theta_G. G's gradient flows through all of them; the unrolled weights are then forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.func import functional_call

from saddlepoint.data.records import Batch
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import Judge
from saddlepoint.networks.base import Judgement
from saddlepoint.objectives.unrolling import AdamState, adam_step, unroll


@dataclass(frozen=True)
class Unrolled:
    """An opponent for :class:`AdversarialGame`; D must be optimised by Adam.

    Attributes:
        steps: k; 0 plays against D as it is.
    """

    steps: int = 5

    def __call__(self, game: AdversarialGame, batch: Batch, x_fake: Tensor, fake_labels: Tensor | None) -> Judge:
        """Unroll on this batch, and return the judge that D will be."""
        player = game.players["discriminator"]
        settings = player.optimizer
        if not isinstance(settings, Adam):
            raise UsageError(
                f"Unrolling differentiates through Adam's steps; the discriminator's optimiser is {type(settings).__name__}. Choose Adam."
            )
        params = dict(game.discriminator.named_parameters())
        optimizer = player.torch_optimizer
        state = AdamState.zeros(params) if optimizer is None else AdamState.of(optimizer, params)
        x_real, labels = game.reals(batch), game.labels_of(batch)

        def loss(theta: dict[str, Tensor]) -> Tensor:
            real, fake = self._judge(game, theta, x_real, labels), self._judge(game, theta, x_fake, fake_labels)
            return game.objective.discriminator(real.logits, fake.logits, labels).mean()

        step = partial(adam_step, lr=settings.lr, betas=(settings.beta1, settings.beta2), eps=settings.eps)
        theta = unroll(loss, params, state, step, self.steps)
        return lambda x, labels=None: self._judge(game, theta, x, labels)

    def _judge(self, game: AdversarialGame, theta: dict[str, Tensor], x: Tensor, labels: Tensor | None) -> Judgement:
        x = x if game.view is None else game.view(x)
        arguments = (x,) if game.num_classes is None else (x, labels)
        judgement: Judgement = functional_call(game.discriminator, theta, arguments)
        return judgement
