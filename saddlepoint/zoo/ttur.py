"""TTUR: Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, "GANs trained by a two time-scale update rule...", NeurIPS 2017."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import GradientPenalty
from saddlepoint.networks.base import mixes_samples
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, build_pair


@dataclass(frozen=True, kw_only=True)
class TTURConfig(NetworksConfig):
    """Different learning rates, one turn each a round.

    Attributes:
        game: "dcgan": the non-saturating game; "wgan-gp": the Wasserstein game with the gradient penalty.
        gp_weight: of the gradient penalty, in the second game.
    """

    game: Literal["dcgan", "wgan-gp"] = "dcgan"
    gp_weight: float = 10.0


def _rates(d_lr: float, g_lr: float, beta1: float = 0.5, beta2: float = 0.999) -> dict[str, Any]:
    return {
        "discriminator_optimizer": Adam(lr=d_lr, beta1=beta1, beta2=beta2),
        "generator_optimizer": Adam(lr=g_lr, beta1=beta1, beta2=beta2),
    }


CELEBA = TTURConfig(architecture="dcgan5", width=64, batch=64, rounds=225_000, resolution=64, latent_dim=100, **_rates(1e-5, 5e-4))
WGAN_GP = replace(CELEBA, game="wgan-gp", architecture="row1", critic_norm="layer", latent_dim=128, rounds=100_000, **_rates(3e-4, 1e-4, 0.0, 0.9))


@recipe(
    name="ttur",
    title="two time-scale update rule: D and G learn at different rates, one step each",
    paper="Heusel et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1706.08500",
    presets={
        "paper": CELEBA,
        "cifar": replace(CELEBA, resolution=32, **_rates(1e-4, 5e-4)),
        "svhn": replace(CELEBA, resolution=32, **_rates(1e-5, 1e-4)),
        "lsun": replace(CELEBA, **_rates(1e-5, 1e-4)),
        "wgan-gp": WGAN_GP,
        "wgan-gp-one-rate": replace(WGAN_GP, d_steps=5, **_rates(5e-4, 5e-4, 0.0, 0.9)),  # the arm it is compared with
        "small": small(CELEBA, **_rates(1e-4, 5e-4)),  # half the width
        "toy": toy(CELEBA, **_rates(1e-3, 3e-4)),
    },
)
def ttur(config: TTURConfig, data: Dataset) -> AdversarialGame:
    """Either game; only the learning rates are the paper's own."""
    if config.game == "dcgan":
        return adversarial(config, data, NonSaturating())
    generator, critic = build_pair(config, data.spec)
    if mixes_samples(critic):
        raise UsageError(
            "The gradient penalty needs a critic that judges each sample alone; batch norm mixes them. Choose --critic-norm layer or none."
        )
    return adversarial(config, data, Wasserstein(), pair=(generator, critic), terms=[GradientPenalty(config.gp_weight)])
