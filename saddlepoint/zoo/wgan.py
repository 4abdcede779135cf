"""WGAN: Arjovsky, Chintala, Bottou, "Wasserstein generative adversarial networks", ICML 2017."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Clock, RMSprop
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, build_pair


@dataclass(frozen=True, kw_only=True)
class WGANConfig(NetworksConfig):
    """Algorithm 1 of the paper with the schedule of the authors' code.

    Attributes:
        clip: before each of the critic's moves all its parameters, gains and biases of batch norm too, are brought into [-clip, clip].
        burst_d_steps: critic turns in the first ``burst_rounds`` rounds and in every ``burst_every``-th.
        burst_rounds: rounds at the start.
        burst_every: interval in rounds.
    """

    clip: float = 0.01
    burst_d_steps: int = 100
    burst_rounds: int = 25
    burst_every: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip <= 0 or self.burst_d_steps < 1 or self.burst_every < 1:
            raise UsageError("WGAN needs clip above 0 and burst_d_steps and burst_every of at least 1.")


def critic_steps(config: WGANConfig, clock: Clock) -> int:
    """Critic turns of this round: 100 at the start and at every 500th round, else 5."""
    burst = clock.round < config.burst_rounds or clock.round % config.burst_every == 0
    return config.burst_d_steps if burst else config.d_steps


@torch.no_grad()
def clip_weights(module: nn.Module, limit: float) -> None:
    """Bring every parameter into [-limit, limit]."""
    for parameter in module.parameters():
        parameter.clamp_(-limit, limit)


LSUN = WGANConfig(
    architecture="dcgan",
    width=64,
    batch=64,
    rounds=200_000,
    resolution=64,
    latent_dim=100,
    d_steps=5,
    generator_optimizer=RMSprop(lr=5e-5),
    discriminator_optimizer=RMSprop(lr=5e-5),
)
FASTER = RMSprop(lr=5e-4)


@recipe(
    name="wgan",
    title="Wasserstein GAN: a critic of clipped weights estimates the earth mover's distance",
    paper="Arjovsky, Chintala & Bottou 2017",
    year=2017,
    url="https://arxiv.org/abs/1701.07875",
    presets={
        "paper": LSUN,
        "no-norm": replace(LSUN, architecture="dcgan-constant"),
        "mlp-generator": replace(LSUN, architecture="mlp-generator"),
        "mlp": replace(LSUN, architecture="mlp", width=512),
        "study": replace(LSUN, architecture="row1", latent_dim=128),  # as a baseline in Gulrajani et al. 2017
        # ten times the learning rate and a fifth of the bursts, for minutes instead of days
        "small": small(LSUN, burst_d_steps=20, generator_optimizer=FASTER, discriminator_optimizer=FASTER),
        # clipping at 0.1 lets a critic of four layers have slopes near one
        "toy": toy(LSUN, clip=0.1, burst_d_steps=20, generator_optimizer=FASTER, discriminator_optimizer=FASTER),
    },
)
def wgan(config: WGANConfig, data: Dataset) -> AdversarialGame:
    """Clip, then move the critic; its loss estimates the distance, and is logged so."""
    generator, discriminator = build_pair(config, data.spec)
    return adversarial(
        config,
        data,
        Wasserstein(),
        pair=(generator, discriminator),
        d_steps=lambda clock: critic_steps(config, clock),
        players={"discriminator": {"before_move": lambda: clip_weights(discriminator, config.clip)}},
    )
