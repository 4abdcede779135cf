"""AC-GAN: Odena, Olah, Shlens, "Conditional image synthesis with auxiliary classifier GANs", ICML 2017."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import AuxiliaryClassifier
from saddlepoint.networks.acgan import ACGANDiscriminator
from saddlepoint.networks.heads import ClassHead
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, build_pair, image_shape
from saddlepoint.zoo.pairs import Told


@dataclass(frozen=True, kw_only=True)
class ACGANConfig(NetworksConfig):
    """Section 3 and appendix A of the paper. G is told the label, D names it.

    Attributes:
        class_weight: of L_C in either player's loss.
        classify_fakes: D learns the class of fakes too, as in Eq. 3; without, of real samples only, as WGAN-GP, StarGAN and ProGAN have it.
        activation_noise: standard deviation of the noise on D's activations; 0, .1 and .2 were searched.
    """

    class_weight: float = 1.0
    classify_fakes: bool = True
    activation_noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.conditional:
            raise UsageError("In acgan G is always told the label and D never. Leave --conditional out.")
        if self.activation_noise and self.architecture != "ac-gan":
            raise UsageError(f"Only the architecture ac-gan has activation noise; this is {self.architecture}. Leave --activation-noise out.")


CIFAR = ACGANConfig(
    architecture="ac-gan",
    width=16,
    batch=100,
    rounds=50_000,
    resolution=32,
    latent_dim=100,
    generator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
)


@recipe(
    name="acgan",
    title="auxiliary classifier GAN: D also names the class, and G's samples must be recognised as theirs",
    paper="Odena, Olah & Shlens 2017",
    year=2017,
    url="https://arxiv.org/abs/1610.09585",
    needs_labels=True,
    presets={
        "paper": replace(CIFAR, resolution=128),
        "imagenet-64": replace(CIFAR, resolution=64),
        "cifar": CIFAR,
        # a quarter of the paper's widths
        "small": small(CIFAR, architecture="ac-gan", width=4, batch=64),
        "toy": toy(CIFAR),
    },
)
def acgan(config: ACGANConfig, data: Dataset) -> AdversarialGame:
    """The non-saturating game, with the cross-entropy of the class in both losses."""
    classes = data.spec.num_classes
    assert classes is not None
    generator, plain = build_pair(config, data.spec, Told(generator=classes))
    if config.activation_noise:
        plain = ACGANDiscriminator(image_shape(data.spec), width=config.width, noise=config.activation_noise)
    terms = [
        AuxiliaryClassifier("discriminator", config.class_weight, on_fakes=config.classify_fakes),
        AuxiliaryClassifier("generator", config.class_weight),
    ]
    pair = generator, ClassHead(plain, classes, "auxiliary")
    return adversarial(config, data, NonSaturating(), pair=pair, terms=terms, num_classes=classes)
