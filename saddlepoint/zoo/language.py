"""WGAN-GP of letters: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", NeurIPS 2017, section 5.4."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialConfig
from saddlepoint.games.letters import LetterGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import GradientPenalty
from saddlepoint.networks.letters import LetterCritic, LetterGenerator
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.zoo.catalogue import recipe


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(AdversarialConfig):
    """Settings of the game of letters.

    Attributes:
        width: channels of both networks' residual blocks.
        blocks: how many each has.
        gp_weight: lambda of Eq. 3.
    """

    width: int = 512
    blocks: int = 5
    gp_weight: float = 10.0

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "width", "blocks")


ADAM = Adam(lr=1e-4, beta1=0.5, beta2=0.9)
PAPER = LanguageConfig(
    batch=64, rounds=200_000, latent_dim=128, latent="normal", d_steps=10, generator_optimizer=ADAM, discriminator_optimizer=ADAM
)  # 32 characters


@recipe(
    name="wgan-gp-language",
    title="Wasserstein GAN of letters: the critic reads the generator's probabilities, so gradients pass through text",
    paper="Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville 2017",
    year=2017,
    url="https://arxiv.org/abs/1704.00028",
    needs=("sequence",),
    presets={
        "paper": PAPER,
        # one critic turn, which learns faster (Heusel et al. 2017, arXiv:1706.08500)
        "ttur": replace(PAPER, d_steps=1, discriminator_optimizer=replace(ADAM, lr=3e-4)),
        # an eighth of the width, three blocks, two critic turns, ten times the learning rate
        "small": replace(
            PAPER,
            width=64,
            blocks=3,
            d_steps=2,
            rounds=2_000,
            ema_halflife_kimg=2.0,
            generator_optimizer=replace(ADAM, lr=1e-3),
            discriminator_optimizer=replace(ADAM, lr=1e-3),
        ),
    },
)
def wgan_gp_language(config: LanguageConfig, data: Dataset) -> LetterGame:
    """The Wasserstein value function with the penalty, on tables of probabilities."""
    words, (length,) = len(data.spec.vocabulary), data.spec.shape
    generator = LetterGenerator(config.latent_dim, words, length, width=config.width, blocks=config.blocks)
    critic = LetterCritic(words, length, width=config.width, blocks=config.blocks)
    return LetterGame(config, generator, critic, Wasserstein(), data, terms=[GradientPenalty(config.gp_weight)])
