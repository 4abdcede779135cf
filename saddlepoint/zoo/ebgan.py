"""EBGAN: Zhao, Mathieu, LeCun, "Energy-based generative adversarial networks", ICLR 2017."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import PullingAway
from saddlepoint.networks.autoencoders import EBGANDiscriminator, EBGANMLPDiscriminator
from saddlepoint.networks.base import Discriminator
from saddlepoint.networks.mlp import MLPGenerator, Output
from saddlepoint.objectives.energy import EnergyMargin
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, architecture_of, build_pair, image_shape


@dataclass(frozen=True, kw_only=True)
class EBGANConfig(NetworksConfig):
    """The discriminator is an auto-encoder whose error is the energy; the architecture is the generator's and chooses the auto-encoder's kind.

    Attributes:
        margin: m in the paper's unit, the squared error SUMMED over a sample's values; the library averages the error, and divides m alike.
        pulling_away_weight: of the repelling regulariser in G's loss (EBGAN-PT: 0.1); 0 is off.
        encoder_width: channels of the auto-encoder's first layer (half the generator's), or units of its hidden layers.
        code_dim: units of the fully connected auto-encoder's code.
        generator_hidden: hidden layers of an MLP generator.
        encoder_hidden: hidden layers before the code of the fully connected auto-encoder, and as many after it.
        dropout: in its hidden layers; 0 is off.
    """

    margin: float = 80.0
    pulling_away_weight: float = 0.0
    encoder_width: int = 64
    code_dim: int = 32
    generator_hidden: int = 3
    encoder_hidden: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.conditional:
            raise UsageError("EBGAN's auto-encoder takes no labels. Leave --conditional out.")


def autoencoder(config: EBGANConfig, data: Dataset) -> Discriminator:
    """Fully connected beside an MLP generator; convolutional, with up to three halvings, beside a convolutional one."""
    spec = data.spec
    if architecture_of(config, spec).startswith("mlp"):
        size = {"width": config.encoder_width, "code_dim": config.code_dim, "hidden": config.encoder_hidden}
        return EBGANMLPDiscriminator(spec.shape, **size, dropout=config.dropout)
    shape = image_shape(spec)
    levels = max((level for level in (1, 2, 3) if not any(side % 2**level for side in shape[1:])), default=3)
    return EBGANDiscriminator(shape, width=config.encoder_width, levels=levels)


LSUN = EBGANConfig(  # section 4.3, bedrooms at 64x64
    architecture="dcgan",
    width=128,
    batch=64,
    rounds=100_000,
    resolution=64,
    latent_dim=100,
    margin=80.0,
    generator_optimizer=Adam(lr=1e-3, beta1=0.5),
    discriminator_optimizer=Adam(lr=1e-3, beta1=0.5),
)
MNIST = replace(LSUN, architecture="mlp", width=256, resolution=28, encoder_width=256, margin=10.0)  # section 4.1, the best margin of the grid


@recipe(
    name="ebgan",
    title="energy-based GAN: the discriminator is an auto-encoder, low energy on data, a margin for fakes",
    paper="Zhao, Mathieu & LeCun 2017",
    year=2017,
    url="https://arxiv.org/abs/1609.03126",
    presets={
        "paper": LSUN,
        "pulling-away": replace(LSUN, pulling_away_weight=0.1),
        "celeba": replace(LSUN, margin=20.0),
        "mnist": MNIST,
        # a quarter of the channels; the margin of 1,024 values instead of 12,288, ten times looser; a fifth of the learning rate
        "small": small(LSUN, margin=80.0, pulling_away_weight=0.1, encoder_width=32, generator_optimizer=Adam(), discriminator_optimizer=Adam()),
        "toy": toy(LSUN, margin=1.0, encoder_width=128),
    },
)
def ebgan(config: EBGANConfig, data: Dataset) -> AdversarialGame:
    """Energies with a margin, and the pulling-away term where asked for."""
    generator = build_pair(config, data.spec)[0]
    connected = architecture_of(config, data.spec) == "mlp"
    if not connected and (config.generator_hidden, config.encoder_hidden, config.dropout) != (3, 1, 0.0):
        raise UsageError("generator_hidden, encoder_hidden and dropout are settings of the fully connected networks. Choose --architecture mlp.")
    if config.generator_hidden != 3:
        output: Output = "tanh" if data.spec.kind == "image" else "linear"
        generator = MLPGenerator(config.latent_dim, data.spec.shape, width=config.width, hidden=config.generator_hidden, output=output)
    objective = EnergyMargin(margin=config.margin / math.prod(data.spec.shape))
    terms = [PullingAway(config.pulling_away_weight)] if config.pulling_away_weight else []
    return adversarial(config, data, objective, pair=(generator, autoencoder(config, data)), terms=terms)
