"""SNGAN: Miyato, Kataoka, Koyama, Yoshida, "Spectral normalization for generative adversarial networks", ICLR 2018."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, build_pair


@dataclass(frozen=True, kw_only=True)
class SNGANConfig(NetworksConfig):
    """Section 4 of the paper; D's layers have spectral norm 1.

    Attributes:
        loss: "hinge" (Eq. 16 and 17) or "log", the non-saturating loss.
        clip: set, the paper's comparison: before each of D's moves its convolutions' weights are brought into [-clip, clip], with critic_norm "none"
            (section 4.1: 0.01).
    """

    loss: Literal["hinge", "log"] = "hinge"
    clip: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip is not None and (self.clip <= 0 or self.critic_norm != "none"):
            raise UsageError("SNGAN's clip is above 0 and takes the place of a norm: choose --critic-norm none, or leave --clip out.")


CIFAR = SNGANConfig(
    architecture="sngan-32",
    width=256,
    critic_norm="spectral",
    batch=64,
    rounds=50_000,
    resolution=32,
    latent_dim=128,
    d_steps=5,
    g_batch_factor=2,
    lr_decay="linear",
    generator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.9),
)
CNN = replace(CIFAR, architecture="sn-cnn", width=64, loss="log")


@recipe(
    name="sngan",
    title="spectrally normalised GAN: every layer of the discriminator has largest singular value one",
    paper="Miyato, Kataoka, Koyama & Yoshida 2018",
    year=2018,
    url="https://arxiv.org/abs/1802.05957",
    presets={
        "paper": CIFAR,
        "cnn": CNN,
        # DCGAN with a spectrally normalised D of half the width, two steps of D in place of five
        "small": small(CNN, loss="hinge", d_steps=2, g_batch_factor=1, rounds=1_500, lr_decay="constant"),
        "toy": toy(CIFAR),
    },
)
def sngan(config: SNGANConfig, data: Dataset) -> AdversarialGame:
    """Hinge or logistic game on normalised networks."""
    generator, discriminator = build_pair(config, data.spec)
    players: dict[str, Any] = (
        {} if config.clip is None else {"discriminator": {"before_move": partial(clip_convolutions, discriminator, config.clip)}}
    )
    objective = Hinge() if config.loss == "hinge" else NonSaturating()
    return adversarial(config, data, objective, pair=(generator, discriminator), players=players)


@torch.no_grad()
def clip_convolutions(network: nn.Module, limit: float) -> None:
    """Bring the weights of every convolution into [-limit, limit]; biases and linear layers stay."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.clamp_(-limit, limit)
