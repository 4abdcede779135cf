"""NSGAN: the non-saturating game of Goodfellow et al. 2014, section 3, on the networks of later studies."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class NSGANConfig(NetworksConfig):
    """The generator maximises log D(G(z)).

    Attributes:
        real_target: what D is asked to answer on real samples; 0.9 is one-sided label smoothing.
    """

    real_target: float = 1.0


BASELINE = NSGANConfig(  # the "DCGAN" baseline of Gulrajani et al. 2017's study: Adam 2e-4, beta1 0.5, 200k iterations, batch 64
    architecture="row1",
    batch=64,
    rounds=200_000,
    resolution=64,
    latent_dim=128,
    generator_optimizer=Adam(lr=2e-4, beta1=0.5),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5),
)


@recipe(
    name="nsgan",
    title="non-saturating GAN: the generator maximises log D(G(z))",
    paper="Goodfellow et al. 2014",
    year=2014,
    url="https://arxiv.org/abs/1406.2661",
    presets={"paper": BASELINE, "small": small(replace(BASELINE, latent_dim=100)), "toy": toy(BASELINE)},
)
def nsgan(config: NSGANConfig, data: Dataset) -> AdversarialGame:
    """Cross-entropy for D, -log D for G."""
    return adversarial(config, data, NonSaturating(real_target=config.real_target))
