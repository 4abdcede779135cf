"""The pairs of G and D that recipes play with, one line of the table each; :mod:`saddlepoint.zoo.networks` says what each is.

Where a paper's own width is not 64, ``width`` is scaled so that the paper's number gives the paper's network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from saddlepoint.errors import UsageError
from saddlepoint.networks.acgan import ACGANDiscriminator, ACGANGenerator
from saddlepoint.networks.activation import ActivationDiscriminator, ActivationGenerator
from saddlepoint.networks.base import Discriminator, Generator
from saddlepoint.networks.biggan import BigGANDiscriminator, BigGANGenerator
from saddlepoint.networks.characters import CharacterDiscriminator, CharacterGenerator
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.networks.gulrajani import architecture
from saddlepoint.networks.gulrajani_mnist import GulrajaniMNISTDiscriminator, GulrajaniMNISTGenerator
from saddlepoint.networks.heads import use_spectral_norm
from saddlepoint.networks.lsgan import LSGANDiscriminator, LSGANGenerator
from saddlepoint.networks.metz import MetzDiscriminator, MetzGenerator
from saddlepoint.networks.mirza import MirzaDiscriminator, MirzaGenerator
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator, goodfellow
from saddlepoint.networks.resnet import ResNetDiscriminator, ResNetGenerator
from saddlepoint.networks.sncnn import SNCNNDiscriminator, SNCNNGenerator
from saddlepoint.networks.stability import StabilityDiscriminator, StabilityGenerator

Norm = Literal["auto", "batch", "layer", "none", "spectral", "weight"]
Pair = tuple[Generator, Discriminator]


class Told(NamedTuple):
    """Numbers of classes that G and D are told; None: no labels."""

    generator: int | None = None
    discriminator: int | None = None


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked of a line of the table; the norms are among those the line has.

    Attributes:
        shape: of one sample.
        latent_dim: of z.
        width: see the table.
        critic: D's norm.
        generator: G's norm.
        told: labels.
    """

    shape: tuple[int, ...]
    latent_dim: int
    width: int
    critic: Any
    generator: Any
    told: Told

    @property
    def image(self) -> tuple[int, int, int]:
        """Shape (c, h, w) of the images."""
        c, h, w = self.shape
        return c, h, w

    @property
    def output(self) -> Literal["tanh", "linear"]:
        """Output of a fully connected G: images are bounded."""
        return "tanh" if len(self.shape) == 3 else "linear"


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        build: makes the pair.
        critic: norms that D can have, its own first.
        generator: norms that G can have, its own first.
        conditional: whether both can be told labels; "generator": G alone.
        points: whether it plays on points.
    """

    build: Callable[[Order], Pair]
    critic: tuple[Norm, ...] = ("none",)
    generator: tuple[Norm, ...] = ("none",)
    conditional: bool | Literal["generator"] = False
    points: bool = False


def _mlp(share: int = 1) -> Callable[[Order], Pair]:
    def build(order: Order) -> Pair:
        discriminator = MLPDiscriminator(order.shape, width=max(1, order.width // share), hidden=3, num_classes=order.told.discriminator)
        if order.critic == "spectral":
            use_spectral_norm(discriminator)
        shared: Any = {"width": order.width, "hidden": 3, "num_classes": order.told.generator}
        return MLPGenerator(order.latent_dim, order.shape, output=order.output, **shared), discriminator

    return build


def _mlp_tanh(order: Order) -> Pair:
    shared: Any = {"width": order.width, "hidden": 2, "activation": "tanh", "init": "orthogonal"}
    generator = MLPGenerator(order.latent_dim, order.shape, output=order.output, num_classes=order.told.generator, **shared)
    return generator, MLPDiscriminator(order.shape, num_classes=order.told.discriminator, **shared)


def _maxout(variant: str, units: int) -> Callable[[Order], Pair]:
    return lambda order: goodfellow(variant, order.shape, latent_dim=order.latent_dim, width=order.width / units)


def _dcgan_critic(order: Order, kernel: Literal[4, 5] = 4) -> Discriminator:
    norm: Any = "none" if order.critic == "spectral" else order.critic
    discriminator = DCGANDiscriminator(order.image, order.width, kernel, norm=norm, num_classes=order.told.discriminator)
    if order.critic == "spectral":
        use_spectral_norm(discriminator)
    return discriminator


def _dcgan(kernel: Literal[4, 5]) -> Callable[[Order], Pair]:
    def build(order: Order) -> Pair:
        shared: Any = {"norm": order.generator, "num_classes": order.told.generator}
        return DCGANGenerator(order.latent_dim, order.image, order.width, kernel, **shared), _dcgan_critic(order, kernel)

    return build


def _dcgan_mnist(order: Order) -> Pair:
    dense: Any = {"dense": 16 * order.width}
    shared: Any = {"norm": order.generator, "num_classes": order.told.generator, "output": "sigmoid"} | dense
    generator = DCGANGenerator(order.latent_dim, order.image, order.width, 5, **shared)
    return generator, DCGANDiscriminator(order.image, order.width, 5, norm=order.critic, num_classes=order.told.discriminator, **dense)


def _dcgan_constant(order: Order) -> Pair:
    shared: Any = {"norm": "none", "constant_filters": True, "num_classes": order.told.generator}
    return DCGANGenerator(order.latent_dim, order.image, 8 * order.width, **shared), _dcgan_critic(order)


def _mlp_generator(order: Order) -> Pair:
    shared: Any = {"width": 8 * order.width, "hidden": 3, "output": "tanh", "num_classes": order.told.generator}
    return MLPGenerator(order.latent_dim, order.shape, **shared), _dcgan_critic(order)


def _lsgan(order: Order) -> Pair:
    return LSGANGenerator(order.image, latent_dim=order.latent_dim, width=order.width), LSGANDiscriminator(order.image, width=order.width)


def _characters(order: Order) -> Pair:
    if order.told.generator is None or order.told.discriminator is None:
        raise UsageError("The architecture characters is made for labels. Choose --conditional, or another --architecture.")
    generator = CharacterGenerator(order.image, order.told.generator, latent_dim=order.latent_dim, width=order.width)
    return generator, CharacterDiscriminator(order.image, order.told.discriminator, width=order.width)


def _mirza(order: Order) -> Pair:
    if order.told.generator is None or order.told.discriminator is None:
        raise UsageError("The architecture mirza is made for labels. Choose --conditional, or another --architecture.")
    bounded = len(order.shape) == 3
    generator = MirzaGenerator(order.shape, order.told.generator, latent_dim=order.latent_dim, width=order.width, bounded=bounded)
    return generator, MirzaDiscriminator(order.shape, order.told.discriminator, units=max(24, order.width // 5), bounded=bounded)


def _am_gan(order: Order) -> Pair:
    shared: Any = {"latent_dim": order.latent_dim, "num_classes": order.told.generator}
    return ActivationGenerator(order.image, width=order.width * 3 // 2, **shared), ActivationDiscriminator(order.image, width=order.width)


def _ac_gan(order: Order) -> Pair:
    generator = ACGANGenerator(order.image, order.latent_dim, width=order.width, num_classes=order.told.generator)
    return generator, ACGANDiscriminator(order.image, width=order.width)


def _stability(order: Order) -> Pair:
    generator = StabilityGenerator(order.image, latent_dim=order.latent_dim, width=order.width, num_classes=order.told.generator)
    return generator, StabilityDiscriminator(order.image, width=order.width, num_classes=order.told.discriminator)


def _inner(order: Order) -> dict[str, Any]:
    """D's norm as networks with both kinds take it."""
    spectral = order.critic == "spectral"
    return {"norm": "none" if spectral else order.critic, "spectral_norm": spectral}


def _resnet(variant: str, width: int) -> Callable[[Order], Pair]:
    def build(order: Order) -> Pair:
        scale = order.width / width
        shared: Any = {"width": scale, "num_classes": order.told.generator, "norm": order.generator}
        generator = ResNetGenerator(variant, order.image, order.latent_dim, **shared)
        return generator, ResNetDiscriminator(variant, order.image, width=scale, num_classes=order.told.discriminator, **_inner(order))

    return build


def _sn_cnn(order: Order) -> Pair:
    scale = order.width / 64
    generator = SNCNNGenerator(order.image, order.latent_dim, width=scale, norm=order.generator)
    if order.critic == "weight":
        return generator, SNCNNDiscriminator(order.image, width=scale, spectral_norm=False, weight_norm=True)
    return generator, SNCNNDiscriminator(order.image, width=scale, **_inner(order))


def _wgan_gp_mnist(order: Order) -> Pair:
    generator = GulrajaniMNISTGenerator(order.image, latent_dim=order.latent_dim, width=order.width)
    return generator, GulrajaniMNISTDiscriminator(order.image, width=order.width)


def _metz(share: int) -> Callable[[Order], Pair]:
    def build(order: Order) -> Pair:
        generator = MetzGenerator(order.image, latent_dim=order.latent_dim, width=order.width)
        return generator, MetzDiscriminator(order.image, width=max(1, order.width // (8 * share)), norm=order.critic)

    return build


def _biggan_cifar(order: Order) -> Pair:
    shared: Any = {"width": order.width, "attention": (), "start": "normal"}
    generator = BigGANGenerator(
        order.image, order.latent_dim, num_classes=order.told.generator, shared_dim=None, hierarchical=False, eps=1e-5, **shared
    )
    return generator, BigGANDiscriminator(order.image, num_classes=order.told.discriminator, **shared)


def _row(row: int, blocks: int | None = None) -> Callable[[Order], Pair]:
    return lambda order: architecture(row, order.image, order.width, order.critic, latent_dim=order.latent_dim, blocks=blocks)


NORMS: tuple[Norm, ...] = ("none", "layer", "batch", "spectral")
DCGAN_NORMS: tuple[Norm, ...] = ("batch", "none", "spectral")
ROW_NORMS: tuple[Norm, ...] = ("batch", "layer", "none")
BATCH: tuple[Norm, ...] = ("batch",)
BATCH_OR_NONE: tuple[Norm, ...] = ("batch", "none")


def _with_own(own: Norm) -> tuple[Norm, ...]:
    return (own, *(norm for norm in NORMS if norm != own))


PAIRS: dict[str, Line] = {
    "mlp": Line(_mlp(), critic=("none", "spectral"), conditional=True, points=True),
    "mlp-half": Line(_mlp(2), critic=("none", "spectral"), conditional=True, points=True),
    "mlp-quarter": Line(_mlp(4), critic=("none", "spectral"), conditional=True, points=True),
    "mlp-tanh": Line(_mlp_tanh, conditional=True, points=True),
    "mlp-generator": Line(_mlp_generator, critic=DCGAN_NORMS, conditional=True),
    "maxout": Line(_maxout("mnist", 1200)),
    "maxout-tfd": Line(_maxout("tfd", 8000)),
    "maxout-cifar": Line(_maxout("cifar-fc", 8000), points=True),
    "maxout-cifar-conv": Line(_maxout("cifar-conv", 80)),
    "dcgan": Line(_dcgan(4), critic=DCGAN_NORMS, generator=BATCH_OR_NONE, conditional=True),
    "dcgan5": Line(_dcgan(5), critic=DCGAN_NORMS, generator=BATCH_OR_NONE, conditional=True),
    "dcgan-mnist": Line(_dcgan_mnist, critic=BATCH_OR_NONE, generator=BATCH_OR_NONE, conditional=True),
    "dcgan-constant": Line(_dcgan_constant, critic=DCGAN_NORMS, conditional=True),
    "lsgan-112": Line(_lsgan, critic=BATCH, generator=BATCH),
    "characters": Line(_characters, critic=BATCH, generator=BATCH, conditional=True),
    "mirza": Line(_mirza, conditional=True, points=True),
    "am-gan": Line(_am_gan, critic=BATCH, generator=BATCH, conditional="generator"),
    "ac-gan": Line(_ac_gan, critic=BATCH, generator=BATCH, conditional="generator"),
    "stability": Line(_stability, conditional=True),
    "biggan-cifar": Line(_biggan_cifar, critic=("spectral",), generator=BATCH, conditional=True),
    "metz-half": Line(_metz(2), critic=BATCH_OR_NONE, generator=BATCH),
    "metz-quarter": Line(_metz(4), critic=BATCH_OR_NONE, generator=BATCH),
    "wgan-gp-mnist": Line(_wgan_gp_mnist),
    "wgan-gp-32": Line(_resnet("wgan-gp-32", 128), critic=_with_own("none"), generator=BATCH_OR_NONE, conditional=True),
    "good-64": Line(_resnet("good-64", 64), critic=_with_own("layer"), generator=BATCH_OR_NONE, conditional=True),
    "sngan-32": Line(_resnet("sngan-32", 256), critic=_with_own("spectral"), generator=BATCH_OR_NONE, conditional=True),
    "sngan-128": Line(_resnet("sngan-128", 64), critic=_with_own("spectral"), generator=BATCH_OR_NONE, conditional=True),
    "sn-cnn": Line(_sn_cnn, critic=(*_with_own("spectral"), "weight"), generator=BATCH_OR_NONE),
    "row1": Line(_row(1), critic=ROW_NORMS, generator=BATCH),
    "row2": Line(_row(2), critic=ROW_NORMS),
    "row3": Line(_row(3), critic=ROW_NORMS),
    "row4": Line(_row(4)),
    "row5": Line(_row(5), critic=ROW_NORMS, generator=BATCH),
    "row6": Line(_row(6), critic=ROW_NORMS, generator=BATCH),
    "row7": Line(_row(7), critic=ROW_NORMS, generator=BATCH),
    "row7-shallow": Line(_row(7, blocks=2), critic=ROW_NORMS, generator=BATCH),
}
