"""EBGAN-LN: Zhao, Mathieu, LeCun, "Energy-based generative adversarial networks", ICLR 2017, section 4.2: few labels, with a ladder network as D."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from saddlepoint.data.labels import few_labels
from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.classifying import ClassifyingGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import Supervised
from saddlepoint.networks.ladder import LadderDiscriminator
from saddlepoint.objectives.energy import FadingMargin
from saddlepoint.zoo.build import small, some_samples, view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, build_pair

REFERENCE = 500  # real samples that give the ladder its statistics when it classifies


@dataclass(frozen=True, kw_only=True)
class EBGANLadderConfig(NetworksConfig):
    """Few records keep their label; D's error at the bottom is the energy, its top classifies. The architecture is the generator's.

    Attributes:
        margin: m at the start, in the squared error SUMMED over a sample of [0, 1]; the library averages the error, and divides m alike.
        margin_until: share of the rounds over which m falls linearly to 0, where only the ladder network is left; 0: a ladder network from the start.
        d_width: units of the ladder's first hidden layer; the others are a half and three quarters of that.
        noise: deviation of the ladder's noise.
        energy_weight: of the energies beside the cross-entropy of the labelled samples.
        labels_per_class: records of each class that keep their label.
        labels_seed: of their choice.
        average_rate: share of the distance that the averaged classifier moves after each move of D.
    """

    margin: float = 10.0
    margin_until: float = 1.0
    d_width: int = 1000
    noise: float = 0.3
    energy_weight: float = 1000.0
    labels_per_class: int = 10
    labels_seed: int = 1
    average_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.conditional:
            raise UsageError("EBGAN-LN's players are told no labels. Leave --conditional out.")
        if not 0 <= self.margin_until <= 1 or not 0 < self.average_rate <= 1 or self.margin <= 0 or self.energy_weight <= 0:
            raise UsageError("margin_until must lie in [0, 1], average_rate above 0 and up to 1, margin and energy_weight above 0.")


MNIST = EBGANLadderConfig(  # section 4.2, permutation-invariant MNIST; what the paper's appendix has of constants is from memory or chosen here
    architecture="mlp",
    width=256,
    batch=100,
    rounds=90_000,
    resolution=28,
    latent_dim=100,
    generator_optimizer=Adam(lr=1e-3, beta1=0.5),
    discriminator_optimizer=Adam(lr=2e-3, beta1=0.9),
)


@recipe(
    name="ebgan-ladder",
    title="energy-based GAN with few labels: the discriminator is a ladder network, and the margin fades",
    paper="Zhao, Mathieu & LeCun 2017",
    year=2017,
    url="https://arxiv.org/abs/1609.03126",
    needs=("image",),
    needs_labels=True,
    presets={
        "paper": MNIST,
        "200": replace(MNIST, labels_per_class=20),
        "1000": replace(MNIST, labels_per_class=100),
        "ladder": replace(MNIST, margin_until=0.0),  # the ladder network alone, which it is compared with
        # a quarter of the units; an average ten times faster, for a run thirty times shorter
        "small": small(MNIST, architecture="mlp", width=128, d_width=256, rounds=3_000, average_rate=1e-2),
    },
    prepare=lambda config, data: few_labels(data, config.labels_per_class, config.labels_seed),
)
def ebgan_ladder(config: EBGANLadderConfig, data: Dataset) -> ClassifyingGame:
    """Energies of the ladder with a margin that fades, and its classes on the labelled samples."""
    spec = data.spec
    assert spec.num_classes is not None
    generator, _ = build_pair(config, spec)
    widths = tuple(max(1, units * config.d_width // 1000) for units in (1000, 500, 250, 250, 250))
    reference = some_samples(data, REFERENCE)
    discriminator = LadderDiscriminator(spec.shape, num_classes=spec.num_classes, reference=reference, widths=widths, noise=config.noise)

    def share() -> float:
        return max(0.0, 1.0 - game.clock.progress / config.margin_until) if config.margin_until else 0.0

    objective = FadingMargin(margin=config.margin / math.prod(spec.shape), share=share)
    terms = [Supervised(1 / config.energy_weight)]
    game = ClassifyingGame(config, generator, discriminator, objective, terms=terms, view=view_of(config), average_rate=config.average_rate)
    return game
