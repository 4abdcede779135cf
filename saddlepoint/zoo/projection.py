"""Projection discriminator: Miyato, Koyama, "cGANs with projection discriminator", ICLR 2018."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam, linear_decay
from saddlepoint.games.terms import AuxiliaryClassifier, Term
from saddlepoint.networks.base import Discriminator
from saddlepoint.networks.heads import ClassHead
from saddlepoint.networks.projection import ProjectionHead
from saddlepoint.networks.resnet import VARIANTS, ResNetDiscriminator
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, architecture_of, build_pair, image_shape
from saddlepoint.zoo.pairs import Told


@dataclass(frozen=True, kw_only=True)
class ProjectionConfig(NetworksConfig):
    """Sections 4 and 5 of the paper. G has a gain and a bias for each class in its norms where the architecture has such norms.

    Attributes:
        head: how D is told the class: "projection" (Eq. 5), or what the paper compares it with: "concat", an embedding of 128 joined to the map
            before the fourth residual block, and "auxiliary", which names the class itself (AC-GAN) and adds the cross-entropy to both losses.
        decay_start: share of the rounds after which both learning rates fall linearly to 0; None: they are constant.
    """

    head: Literal["projection", "concat", "auxiliary"] = "projection"
    decay_start: float | None = 8 / 9

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.conditional:
            raise UsageError("In projection G is always told the label, and the head says how D is. Leave --conditional out.")
        if self.lr_decay != "constant":
            raise UsageError("In projection decay_start says when the learning rates fall. Leave --lr-decay out.")
        if self.head == "concat" and self.architecture not in VARIANTS:
            raise UsageError(f"The head concat needs a residual network: {', '.join(VARIANTS)}; the architecture is {self.architecture}.")


IMAGENET = ProjectionConfig(
    architecture="sngan-128",
    width=64,
    critic_norm="spectral",
    batch=64,
    rounds=450_000,
    resolution=128,
    latent_dim=128,
    d_steps=5,
    g_batch_factor=2,
    generator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.9),
)
SMALL = small(IMAGENET, d_steps=2, g_batch_factor=1, rounds=1_500, decay_start=None)
RESIDUAL = replace(SMALL, architecture="sngan-32", batch=32)  # an eighth of the width that SNGAN has at 32x32


@recipe(
    name="projection",
    title="projection discriminator: the class enters D as an inner product with its features",
    paper="Miyato & Koyama 2018",
    year=2018,
    url="https://arxiv.org/abs/1802.05637",
    needs_labels=True,
    presets={
        "paper": IMAGENET,
        "concat": replace(IMAGENET, head="concat"),
        "auxiliary": replace(IMAGENET, head="auxiliary"),
        "small": SMALL,
        "small-residual": RESIDUAL,
        "small-concat": replace(RESIDUAL, head="concat"),
        "small-auxiliary": replace(RESIDUAL, head="auxiliary"),
        "toy": toy(IMAGENET, d_steps=1, critic_norm="auto", decay_start=None),
    },
)
def projection(config: ProjectionConfig, data: Dataset) -> AdversarialGame:
    """The hinge game; D is told the class by its head."""
    classes = data.spec.num_classes
    assert classes is not None
    generator, plain = build_pair(config, data.spec, Told(generator=classes))
    terms: list[Term] = []
    discriminator: Discriminator
    if config.head == "auxiliary":
        discriminator = ClassHead(plain, classes, "auxiliary")
        terms = [AuxiliaryClassifier("discriminator", on_fakes=True), AuxiliaryClassifier("generator")]
    elif config.head == "concat":
        discriminator = _concatenating(config, data, classes)
    else:
        discriminator = ProjectionHead(plain, classes)
    players: dict[str, Any] = {}
    if config.decay_start is not None:
        rates = {"generator": config.generator_optimizer.lr, "discriminator": config.discriminator_optimizer.lr}
        players = {name: {"schedule": linear_decay(lr, config.decay_start)} for name, lr in rates.items()}
    return adversarial(config, data, Hinge(), pair=(generator, discriminator), terms=terms, num_classes=classes, players=players)


def _concatenating(config: ProjectionConfig, data: Dataset, classes: int) -> Discriminator:
    """D of the architecture with the label joined to a map."""
    name = architecture_of(config, data.spec)
    norm: Any = {"auto": None, "spectral": "none"}.get(config.critic_norm, config.critic_norm)
    spectral = None if config.critic_norm == "auto" else config.critic_norm == "spectral"
    own = {"wgan-gp-32": 128, "sngan-32": 256}.get(name, 64)  # the width that is the paper's
    shared: Any = {"norm": norm, "spectral_norm": spectral}
    return ResNetDiscriminator(name, image_shape(data.spec), width=config.width / own, num_classes=classes, head="concat", **shared)
