"""Which networks a recipe plays with: one table of pairs, so that every objective meets every architecture.

auto                the recipe's own: mlp for points, dcgan for images where it names no other
mlp                 three hidden ReLU layers each (Gulrajani et al. 2017's toys; Arjovsky et al. 2017's MLP)
mlp-tanh            two hidden tanh layers, orthogonal (Metz et al. 2017's ring: width 128)
mlp-generator       the MLP as G against DCGAN's D (Arjovsky et al. 2017); width is D's, G has 8 times as many units (512 at width 64)
maxout              Goodfellow et al. 2014 on MNIST: ReLU/sigmoid G, maxout D with dropout; width is the units of G's hidden layers (1200)
maxout-tfd          the same on the Toronto Face Database (8000)
maxout-cifar        the same on CIFAR-10, fully connected, linear output (8000)
maxout-cifar-conv   the same on CIFAR-10, convolutional; width is the maps before the transposed convolution (80)
dcgan               Radford et al. 2016, 4x4 kernels (the torch version: width 64)
dcgan5              the same with the 5x5 kernels of the face model (width 128)
dcgan-constant      DCGAN's G without batch norm and with the same channels everywhere, 8 * width (Arjovsky et al. 2017: 512)
lsgan-112           Mao et al. 2017, for sides divisible by 16 (width 64)
am-gan              Zhou et al. 2018 (G 96, D 64: width is D's, G has half as many again)
stability           Mescheder et al. 2018, residual, no normalisation (width 64)
wgan-gp-32          Gulrajani et al. 2017, residual, CIFAR-10 (width 128)
good-64             the same at 64x64 (width 64)
row1 ... row7       the seven architectures of Gulrajani et al. 2017 (width 64)
sngan-32            Miyato et al. 2018, residual, CIFAR-10 (width 256)
sngan-128           the same for 32 to 256 pixels (width 64)
sn-cnn              the same, plain convolutions (width 64)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from saddlepoint.data.records import DataSpec
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig
from saddlepoint.networks.activation import ActivationDiscriminator, ActivationGenerator
from saddlepoint.networks.base import Discriminator, Generator
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.networks.heads import use_spectral_norm
from saddlepoint.networks.lsgan import LSGANDiscriminator, LSGANGenerator
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator, goodfellow
from saddlepoint.networks.resnet import ResNetDiscriminator, ResNetGenerator
from saddlepoint.networks.stability import StabilityDiscriminator, StabilityGenerator

Architecture = Literal[
    "auto",
    "mlp",
    "mlp-tanh",
    "mlp-generator",
    "maxout",
    "maxout-tfd",
    "maxout-cifar",
    "maxout-cifar-conv",
    "dcgan",
    "dcgan5",
    "dcgan-constant",
    "lsgan-112",
    "am-gan",
    "stability",
    "wgan-gp-32",
    "good-64",
    "sngan-32",
    "sngan-128",
    "sn-cnn",
    "row1",
    "row2",
    "row3",
    "row4",
    "row5",
    "row6",
    "row7",
]
Norm = Literal["auto", "batch", "layer", "none", "spectral"]
Pair = tuple[Generator, Discriminator]
FOR_POINTS = ("mlp", "mlp-tanh", "maxout", "maxout-cifar")


@dataclass(frozen=True, kw_only=True)
class NetworksConfig(AdversarialConfig):
    """Settings of the recipes that can play with any pair of networks.

    Attributes:
        architecture: see the table of this module; "auto" is mlp for points and dcgan for images.
        width: channels of the convolutional networks' largest map, or units of a hidden layer; the table says where it is another size.
        critic_norm: normalisation inside D; "auto" is the architecture's own.
        generator_norm: normalisation inside G; "auto" is the architecture's own.
        conditional: G and D are told the label (data must have labels).
    """

    architecture: Architecture = "auto"
    width: int = 64
    critic_norm: Norm = "auto"
    generator_norm: Literal["auto", "batch", "none"] = "auto"
    conditional: bool = False


class Told(NamedTuple):
    """Numbers of classes that G and D are told; None: no labels."""

    generator: int | None = None
    discriminator: int | None = None


@dataclass(frozen=True)
class Architectures:
    """One line of the table.

    Attributes:
        build: configuration, data, labels -> (G, D).
        critic: norms that D can have, its own first.
        generator: norms that G can have, its own first.
        conditional: whether both can be told labels.
    """

    build: Callable[[NetworksConfig, DataSpec, Told], Pair]
    critic: tuple[Norm, ...] = ("none",)
    generator: tuple[Norm, ...] = ("none",)
    conditional: bool = True


def build_pair(config: NetworksConfig, spec: DataSpec, told: Told | None = None) -> Pair:
    """Build G and D for this data.

    Args:
        config: names the architecture.
        spec: of the data.
        told: which player is told labels; None: both where ``config.conditional``.
    Raises:
        UsageError: for an architecture that cannot make samples of this kind or size, or has not that norm or no conditional form.
    """
    name = architecture_of(config, spec)
    if spec.kind == "points" and name not in FOR_POINTS:
        raise UsageError(f"The architecture {name} makes images; {spec.name} holds points. Choose --architecture mlp.")
    entry = PAIRS[name]
    told = Told(*[num_classes(config, spec)] * 2) if told is None else told
    if told != Told() and not entry.conditional:
        fit = ", ".join(other for other, line in PAIRS.items() if line.conditional)
        raise UsageError(f"The architecture {name} has no conditional form; these have: {fit}. Choose one of them with --architecture.")
    return entry.build(config, spec, told)


def architecture_of(config: NetworksConfig, spec: DataSpec) -> str:
    """Name of the architecture, "auto" resolved."""
    return config.architecture if config.architecture != "auto" else "mlp" if spec.kind == "points" else "dcgan"


def num_classes(config: NetworksConfig, spec: DataSpec) -> int | None:
    """Number of classes that the networks are told; None where they are told none."""
    if config.conditional and spec.num_classes is None:
        raise UsageError(
            f"A conditional model needs labels; {spec.name} has none. Put each class into a folder of its own, or leave --conditional out."
        )
    return spec.num_classes if config.conditional else None


def norm_of(config: NetworksConfig, spec: DataSpec, player: Literal["critic", "generator"]) -> Any:
    """The norm of a player, "auto" resolved.

    Raises:
        UsageError: for one that the architecture does not have, with those it has and the architectures that have it.
    """
    name = architecture_of(config, spec)
    known: tuple[Norm, ...] = getattr(PAIRS[name], player)
    asked: Norm = getattr(config, f"{player}_norm")
    if asked == "auto":
        return known[0]
    if asked not in known:
        fit = ", ".join(other for other, line in PAIRS.items() if asked in getattr(line, player))
        raise UsageError(
            f"The {player} of the architecture {name} has {' or '.join(known)} norm; {asked} was asked for. "
            f"Choose --{player}-norm {known[0]}, or one of the architectures with {asked} norm: {fit}."
        )
    return asked


def image_shape(spec: DataSpec) -> tuple[int, int, int]:
    """Shape (c, h, w) of the images."""
    c, h, w = spec.shape
    return c, h, w


def _plain(build: Callable[[NetworksConfig, DataSpec, Told], Pair]) -> Callable[[NetworksConfig, DataSpec, Told], Pair]:
    """The same, after checking that no other norm is asked for."""

    def checked(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
        norm_of(config, spec, "critic")
        norm_of(config, spec, "generator")
        return build(config, spec, told)

    return checked


def _mlp(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
    output: Literal["linear", "tanh"] = "tanh" if spec.kind == "image" else "linear"
    critic_norm = norm_of(config, spec, "critic")
    norm_of(config, spec, "generator")
    generator = MLPGenerator(config.latent_dim, spec.shape, width=config.width, hidden=3, output=output, num_classes=told.generator)
    discriminator = MLPDiscriminator(spec.shape, width=config.width, hidden=3, num_classes=told.discriminator)
    if critic_norm == "spectral":
        use_spectral_norm(discriminator)
    return generator, discriminator


def _mlp_tanh(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
    shared: Any = {"width": config.width, "hidden": 2, "activation": "tanh", "init": "orthogonal"}
    output: Literal["linear", "tanh"] = "tanh" if spec.kind == "image" else "linear"
    generator = MLPGenerator(config.latent_dim, spec.shape, output=output, num_classes=told.generator, **shared)
    return generator, MLPDiscriminator(spec.shape, num_classes=told.discriminator, **shared)


def _maxout(variant: str, units: int) -> Callable[[NetworksConfig, DataSpec, Told], Pair]:
    return lambda config, spec, told: goodfellow(variant, spec.shape, latent_dim=config.latent_dim, width=config.width / units)


def _dcgan(kernel: Literal[4, 5]) -> Callable[[NetworksConfig, DataSpec, Told], Pair]:
    def build(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
        shape, norm, critic_norm = image_shape(spec), norm_of(config, spec, "generator"), norm_of(config, spec, "critic")
        generator = DCGANGenerator(config.latent_dim, shape, config.width, kernel, norm=norm, num_classes=told.generator)
        return generator, DCGANDiscriminator(shape, config.width, kernel, norm=critic_norm, num_classes=told.discriminator)

    return build


def _dcgan_constant(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
    shape, critic_norm = image_shape(spec), norm_of(config, spec, "critic")
    norm_of(config, spec, "generator")
    generator = DCGANGenerator(config.latent_dim, shape, 8 * config.width, norm="none", constant_filters=True, num_classes=told.generator)
    return generator, DCGANDiscriminator(shape, config.width, norm=critic_norm, num_classes=told.discriminator)


def _mlp_generator(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
    shape, critic_norm = image_shape(spec), norm_of(config, spec, "critic")
    norm_of(config, spec, "generator")
    generator = MLPGenerator(config.latent_dim, shape, width=8 * config.width, hidden=3, output="tanh", num_classes=told.generator)
    return generator, DCGANDiscriminator(shape, config.width, norm=critic_norm, num_classes=told.discriminator)


def _lsgan(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
    shape = image_shape(spec)
    return LSGANGenerator(shape, latent_dim=config.latent_dim, width=config.width), LSGANDiscriminator(shape, width=config.width)


def _am_gan(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
    shape = image_shape(spec)
    generator = ActivationGenerator(shape, latent_dim=config.latent_dim, width=config.width * 3 // 2, num_classes=told.generator)
    return generator, ActivationDiscriminator(shape, width=config.width)


def _stability(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
    shape = image_shape(spec)
    generator = StabilityGenerator(shape, latent_dim=config.latent_dim, width=config.width, num_classes=told.generator)
    return generator, StabilityDiscriminator(shape, width=config.width, num_classes=told.discriminator)


def _resnet(variant: str, width: int) -> Callable[[NetworksConfig, DataSpec, Told], Pair]:
    def build(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
        shape, factor, critic_norm = image_shape(spec), config.width / width, norm_of(config, spec, "critic")
        norm = norm_of(config, spec, "generator")
        generator = ResNetGenerator(variant, shape, config.latent_dim, width=factor, num_classes=told.generator, norm=norm)
        spectral = critic_norm == "spectral"
        inner: Literal["batch", "layer", "none"] = "none" if spectral else critic_norm
        return generator, ResNetDiscriminator(variant, shape, width=factor, num_classes=told.discriminator, norm=inner, spectral_norm=spectral)

    return build


RESIDUAL_NORMS: tuple[Norm, ...] = ("none", "layer", "batch", "spectral")


def _residual(variant: str, width: int, own: Norm) -> Architectures:
    critic = (own, *(norm for norm in RESIDUAL_NORMS if norm != own))
    return Architectures(_resnet(variant, width), critic=critic, generator=("batch", "none"))


def _row(row: int) -> Callable[[NetworksConfig, DataSpec, Told], Pair]:
    def build(config: NetworksConfig, spec: DataSpec, told: Told) -> Pair:
        from saddlepoint.networks.gulrajani import architecture

        return architecture(row, image_shape(spec), width=config.width, critic_norm=norm_of(config, spec, "critic"), latent_dim=config.latent_dim)

    return build


ROW_NORMS: tuple[Norm, ...] = ("batch", "layer", "none")


PAIRS: dict[str, Architectures] = {
    "mlp": Architectures(_mlp, critic=("none", "spectral")),
    "mlp-tanh": Architectures(_plain(_mlp_tanh)),
    "mlp-generator": Architectures(_mlp_generator, critic=("batch", "none")),
    "maxout": Architectures(_plain(_maxout("mnist", 1200)), conditional=False),
    "maxout-tfd": Architectures(_plain(_maxout("tfd", 8000)), conditional=False),
    "maxout-cifar": Architectures(_plain(_maxout("cifar-fc", 8000)), conditional=False),
    "maxout-cifar-conv": Architectures(_plain(_maxout("cifar-conv", 80)), conditional=False),
    "dcgan": Architectures(_dcgan(4), critic=("batch", "none"), generator=("batch", "none")),
    "dcgan5": Architectures(_dcgan(5), critic=("batch", "none"), generator=("batch", "none")),
    "dcgan-constant": Architectures(_dcgan_constant, critic=("batch", "none")),
    "lsgan-112": Architectures(_plain(_lsgan), critic=("batch",), generator=("batch",), conditional=False),
    "am-gan": Architectures(_plain(_am_gan), critic=("batch",), generator=("batch",), conditional=False),
    "stability": Architectures(_plain(_stability)),
    "wgan-gp-32": _residual("wgan-gp-32", 128, "none"),
    "good-64": _residual("good-64", 64, "layer"),
    "sngan-32": _residual("sngan-32", 256, "spectral"),
    **{f"row{row}": Architectures(_row(row), critic=ROW_NORMS, generator=(), conditional=False) for row in range(1, 8)},
    "sngan-128": _residual("sngan-128", 64, "spectral"),
}
