"""DCGAN: Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative adversarial networks", ICLR 2016."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam, linear_decay
from saddlepoint.games.standing import StandingGame
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class DCGANConfig(NetworksConfig):
    """Section 4 of the paper.

    Attributes:
        decay_from: share of the rounds after which both learning rates fall linearly to 0; 1 keeps them (the MNIST model: half).
        standing_passes: batches of latents whose statistics samples are drawn with, as in the authors' tests; 0: the running averages of training.
    """

    decay_from: float = 1.0
    standing_passes: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.decay_from <= 1 or (self.decay_from < 1 and self.lr_decay != "constant"):
            raise UsageError("decay_from must lie in [0, 1], and lr_decay stay constant beside it.")
        if self.standing_passes < 0:
            raise UsageError(f"standing_passes must be at least 0; it is {self.standing_passes}.")


FACES = DCGANConfig(  # the authors' face model: 350k images, 25 epochs, weight decay 1e-5
    architecture="dcgan5",
    width=128,
    batch=128,
    rounds=68_000,
    resolution=64,
    latent_dim=100,
    latent="uniform",
    share_fakes=False,
    standing_passes=100,
    generator_optimizer=Adam(lr=2e-4, beta1=0.5, weight_decay=1e-5),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, weight_decay=1e-5),
)
MNIST = replace(  # the authors' conditional model: 100 epochs of 60,000 images, then 100 in which the rates fall to 0; weight decay 2.5e-5
    FACES,
    architecture="dcgan-mnist",
    width=64,
    rounds=93_800,
    resolution=28,
    conditional=True,
    decay_from=0.5,
    generator_optimizer=Adam(lr=2e-4, beta1=0.5, weight_decay=2.5e-5),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, weight_decay=2.5e-5),
)
TORCH = DCGANConfig(architecture="dcgan", width=64, batch=64, rounds=25_000, resolution=64, share_fakes=True)


@recipe(
    name="dcgan",
    title="deep convolutional GAN: strided convolutions, batch norm, Adam with beta1 = 0.5",
    paper="Radford, Metz & Chintala 2016",
    year=2016,
    url="https://arxiv.org/abs/1511.06434",
    needs=("image",),
    presets={
        "paper": FACES,
        "torch": TORCH,
        "mnist": MNIST,
        "small": small(TORCH, rounds=4_000),  # half the width and size of the torch version
    },
)
def dcgan(config: DCGANConfig, data: Dataset) -> AdversarialGame:
    """Non-saturating loss on the DCGAN pair."""
    optimizers = {"generator": config.generator_optimizer, "discriminator": config.discriminator_optimizer}
    decaying = optimizers if config.decay_from < 1 else {}
    players = {name: {"schedule": linear_decay(optimizer.lr, start=config.decay_from)} for name, optimizer in decaying.items()}
    return adversarial(config, data, NonSaturating(), players=players, game=StandingGame, standing_passes=config.standing_passes)
