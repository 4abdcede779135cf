"""AmbientGAN: Bora, Price, Dimakis, "AmbientGAN: generative models from lossy measurements", ICLR 2018."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.ambient import AmbientGame, AsModule, Measure, Method, shape_of_measurement
from saddlepoint.games.critics import TargetedPenalty
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import AuxiliaryClassifier, Term
from saddlepoint.networks.base import Discriminator, mixes_samples
from saddlepoint.networks.gulrajani_mnist import SLOPE_OF_ONE
from saddlepoint.networks.heads import ClassHead
from saddlepoint.networks.mlp import MLPDiscriminator
from saddlepoint.networks.projected import VectorDiscriminator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.views.measurement import open_measurement
from saddlepoint.views.unmeasure import Unmeasure
from saddlepoint.zoo.build import adversarial, small
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, build_pair, num_classes
from saddlepoint.zoo.pairs import Told


@dataclass(frozen=True, kw_only=True)
class AmbientConfig(NetworksConfig):
    """The model families of the paper: WGAN-GP, its conditional form with a classifying critic, and DCGAN.

    Attributes:
        measurement: name and settings, as block-pixels:p=0.9; the page on AmbientGAN lists all.
        method: "ambient", or a baseline: "ignore" takes measurements for samples, "unmeasure" restores them first.
        unmeasure: how they are restored.
        measured: the data are measurements already; only samples are measured.
        game: "wgan-gp" or the non-saturating game of "dcgan".
        gp_weight: of the gradient penalty.
        gp_slope: that it asks for; .5 is a slope of 1 of a critic on [0, 1].
        d_classes_weight: of the critic's cross-entropy on real measurements, where conditional in "wgan-gp".
        g_classes_weight: of the generator's.
    """

    measurement: str = "block-pixels:p=0.5"
    method: Method = "ambient"
    unmeasure: Unmeasure = "blur"
    measured: bool = False
    game: Literal["wgan-gp", "dcgan"] = "wgan-gp"
    gp_weight: float = 10.0
    gp_slope: float = 1.0
    d_classes_weight: float = 1.0
    g_classes_weight: float = 0.1


# The released scripts: MNIST by WGAN-GP with z uniform, 27,000 iterations; projections by the conditional DCGAN; faces by DCGAN, two moves of G a
# move of D; CIFAR-10 by the conditional WGAN-GP.
MNIST = AmbientConfig(
    architecture="wgan-gp-mnist",
    resolution=28,
    batch=64,
    rounds=27_000,
    latent_dim=128,
    latent="uniform",
    d_steps=5,
    gp_slope=SLOPE_OF_ONE,
    generator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.9999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.9999),
)
DCGAN = replace(MNIST, game="dcgan", architecture="dcgan5", latent_dim=100, d_steps=1)
PROJECTION = replace(DCGAN, measurement="project:angles=2", conditional=True)
CELEBA = replace(DCGAN, resolution=64, g_steps=2, rounds=70_000, measurement="block-pixels:p=0.95,zero=grey")
CIFAR = replace(
    MNIST,
    architecture="wgan-gp-32",
    width=128,
    critic_norm="none",
    conditional=True,
    resolution=32,
    batch=32,
    rounds=50_000,
    gp_slope=1.0,
    measurement="block-pixels:p=0.8,zero=grey",
)
SMALL = small(  # the DCGAN game with spectral norm in D, which needs no second derivative
    DCGAN,
    architecture="dcgan",
    critic_norm="spectral",
    resolution=28,
    latent_dim=64,
    latent="normal",
    generator_optimizer=Adam(lr=5e-4, beta1=0.5),
    discriminator_optimizer=Adam(lr=5e-4, beta1=0.5),
)
SMALL_WGAN_GP = small(MNIST, architecture="wgan-gp-mnist", resolution=28, d_steps=2, latent_dim=64, latent="normal")


@recipe(
    name="ambientgan",
    title="a generator of whole images, learnt from lossy measurements of them alone",
    paper="Bora, Price & Dimakis 2018",
    year=2018,
    url="https://openreview.net/forum?id=Hy7fDog0b",
    needs=("image",),
    presets={
        "paper": MNIST,
        "projection": PROJECTION,
        "projection-told": replace(PROJECTION, measurement="project-told:angles=2"),
        "celeba": CELEBA,
        "cifar": CIFAR,
        "small": SMALL,
        "small-ignore": replace(SMALL, method="ignore"),
        "small-unmeasure": replace(SMALL, method="unmeasure"),
        "small-wgan-gp": SMALL_WGAN_GP,
    },
)
def ambientgan(config: AmbientConfig, data: Dataset) -> AmbientGame:
    """The game behind the measurement that the configuration names."""
    return ambient_game(config, data, open_measurement(config.measurement))


def ambient_game(config: AmbientConfig, data: Dataset, measurement: nn.Module | Measure) -> AmbientGame:
    """AmbientGAN behind a measurement of one's own.

    Args:
        config: of the recipe; its ``measurement`` is not looked at.
        data: images.
        measurement: a differentiable map of images float [n, c, h, w] in [-1, 1] to measurements [n, ...], a module or a function.
    Raises:
        UsageError: for one that G cannot learn through.
    """
    f = measurement if isinstance(measurement, nn.Module) else AsModule(measurement)
    shape = shape_of_measurement(f, data.spec.shape)
    classes = num_classes(config, data.spec)
    critic_told = config.game == "dcgan"
    generator, critic = build_pair(config, data.spec, Told(classes, classes if critic_told else None))
    if config.method == "ambient" and len(shape) != 3:
        critic = _vector_critic(config, shape, classes if critic_told else None)
    elif shape != data.spec.shape:
        raise UsageError(
            f"{config.measurement} makes {list(shape)} of images of {list(data.spec.shape)}: no image of their size. Use --method ambient."
        )
    terms: list[Term] = []
    if config.game == "wgan-gp":
        if mixes_samples(critic):
            raise UsageError("The gradient penalty needs a critic that judges each measurement alone: choose --critic-norm none, or --game dcgan.")
        terms.append(TargetedPenalty(config.gp_weight, config.gp_slope))
        if classes is not None:
            critic = ClassHead(critic, classes, "auxiliary")
            terms += [AuxiliaryClassifier("discriminator", config.d_classes_weight), AuxiliaryClassifier("generator", config.g_classes_weight)]
    game = adversarial(
        config,
        data,
        Wasserstein() if config.game == "wgan-gp" else NonSaturating(),
        pair=(generator, critic),
        terms=terms,
        game=AmbientGame,
        measurement=f,
        method=config.method,
        unmeasure=config.unmeasure,
        measured=config.measured,
    )
    assert isinstance(game, AmbientGame)
    return game


def _vector_critic(config: AmbientConfig, shape: tuple[int, ...], classes: int | None) -> Discriminator:
    """The critic of vectors: the paper's for the DCGAN game; without batch norm, which the penalty forbids, an MLP of three layers."""
    if len(shape) != 1 or config.augment or config.augmentation:
        came = f"{list(shape)}, augment {config.augment!r} and augmentation {config.augmentation} came"
        raise UsageError(f"Measurements are images or vectors, and only images can be augmented; {came}.")
    if config.game == "dcgan":
        return VectorDiscriminator(shape[0], num_classes=classes)
    return MLPDiscriminator(shape, width=4 * config.width)
