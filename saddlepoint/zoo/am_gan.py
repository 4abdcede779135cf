"""AM-GAN: Zhou, Cai, Rong, Song, Ren, Zhang, Yu, Wang, "Activation maximization generative adversarial nets", ICLR 2018."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import AuxiliaryClassifier
from saddlepoint.networks.heads import ClassHead
from saddlepoint.objectives.classes import ActivationMaximisation, LabelGAN
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.objective import Objective
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, build_pair
from saddlepoint.zoo.pairs import Told


@dataclass(frozen=True, kw_only=True)
class AMGANConfig(NetworksConfig):
    """The data must have labels; D learns them, G is told them only where the method needs it.

    Attributes:
        method: "am-gan": D has K+1 classes, G asks for one real class; "label-gan": G asks for any real class; "ac-gan": D has one logit and K
            classes, and both players add the cross-entropy of the class.
        labelling: of am-gan: "dynamic" asks each fake for its own most likely class, "static" for the label that G was told.
    """

    method: Literal["am-gan", "label-gan", "ac-gan"] = "am-gan"
    labelling: Literal["dynamic", "static"] = "dynamic"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.conditional:
            raise UsageError("In am-gan the method and the labelling say who is told labels. Leave --conditional out.")
        if self.labelling == "static" and self.method == "label-gan":
            raise UsageError("LabelGAN has no labelling. Choose --labelling dynamic or --method am-gan.")

    @property
    def generator_is_told(self) -> bool:
        """Whether G is conditioned on labels."""
        return self.method == "ac-gan" or self.labelling == "static"


CIFAR = AMGANConfig(
    architecture="am-gan",
    width=64,
    batch=100,
    rounds=1_000_000,
    resolution=32,
    latent_dim=100,
    lr_decay="linear",
    generator_optimizer=Adam(lr=4e-4, beta1=0.5, beta2=0.999),
    discriminator_optimizer=Adam(lr=4e-4, beta1=0.5, beta2=0.999),
)


@recipe(
    name="am-gan",
    title="activation maximisation GAN: D has K+1 classes, and each fake is pushed towards one of the real ones",
    paper="Zhou et al. 2018",
    year=2018,
    url="https://arxiv.org/abs/1703.02000",
    needs_labels=True,
    presets={
        "paper": CIFAR,
        # DCGAN of width 32 in place of the paper's own pair, half the learning rate
        "small": small(CIFAR, batch=64, lr_decay="constant", generator_optimizer=Adam(), discriminator_optimizer=Adam()),
        "toy": toy(CIFAR),
    },
)
def am_gan(config: AMGANConfig, data: Dataset) -> AdversarialGame:
    """AM-GAN, or one of the two that it is compared with."""
    classes = data.spec.num_classes
    assert classes is not None
    told = classes if config.generator_is_told else None
    generator, plain = build_pair(config, data.spec, Told(generator=told))
    if config.method == "ac-gan":
        terms = [AuxiliaryClassifier("discriminator", on_fakes=True), AuxiliaryClassifier("generator")]
        pair = generator, ClassHead(plain, classes, "auxiliary")
        return adversarial(config, data, NonSaturating(), pair=pair, terms=terms, num_classes=told)
    objective: Objective = LabelGAN() if config.method == "label-gan" else ActivationMaximisation(labelling=config.labelling)
    return adversarial(config, data, objective, pair=(generator, ClassHead(plain, classes, "softmax")), num_classes=told)
