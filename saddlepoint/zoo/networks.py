"""Which networks a recipe plays with: one table of pairs, so that every objective meets every architecture.

auto                mlp for points, dcgan for images
mlp                 three hidden ReLU layers each (Gulrajani et al. 2017's toys; Arjovsky et al. 2017's MLP)
mlp-half            the same, D with half of G's units: an opponent that G escapes easily
mlp-quarter         the same, a quarter
mlp-tanh            two hidden tanh layers, orthogonal (Metz et al. 2017's ring: width 128)
mlp-generator       the MLP as G against DCGAN's D (Arjovsky et al. 2017); width is D's, G has 8 times as many units (512 at width 64)
maxout              Goodfellow et al. 2014 on MNIST: ReLU/sigmoid G, maxout D with dropout; width is the units of G's hidden layers (1200)
maxout-tfd          the same on the Toronto Face Database (8000)
maxout-cifar        the same on CIFAR-10, fully connected, linear output (8000)
maxout-cifar-conv   the same on CIFAR-10, convolutional; width is the maps before the transposed convolution (80)
dcgan               Radford et al. 2016, 4x4 kernels (the torch version: width 64)
dcgan5              the same with the 5x5 kernels of the face model (width 128)
dcgan-mnist         the authors' MNIST model: a hidden dense layer of 16 * width units in either, sigmoid output (width 64)
dcgan-constant      DCGAN's G without batch norm and with the same channels everywhere, 8 * width (Arjovsky et al. 2017: 512)
lsgan-112           Mao et al. 2017, for sides divisible by 16 (width 64)
characters          the same paper's conditional pair for many classes, sides divisible by 4 (width 64)
mirza               Mirza & Osindero 2014, fully connected, told labels; width is the units of G's joint layer (1200), D has a fifth, at least 24
am-gan              Zhou et al. 2018 (G 96, D 64: width is D's, G has half as many again)
ac-gan              Odena et al. 2017 (width 16: of D's first map; G has 24 times as many at 32x32, 48 times above)
stability           Mescheder et al. 2018, residual, no normalisation (width 64)
biggan-cifar        Brock et al. 2019 on CIFAR-10, as in the first author's code: without shared embedding and attention (width 64)
metz-half           Metz et al. 2017 on stacked MNIST, D half as wide as G; width is the channels of G's first map (64)
metz-quarter        the same, a quarter
wgan-gp-mnist       Gulrajani et al. 2017, MNIST, no normalisation (width 64)
wgan-gp-32          Gulrajani et al. 2017, residual, CIFAR-10 (width 128)
good-64             the same at 64x64 (width 64)
row1 ... row7       the seven architectures of Gulrajani et al. 2017 (width 64); row7-shallow has two blocks a level
sngan-32            Miyato et al. 2018, residual, CIFAR-10 (width 256)
sngan-128           the same for 128 pixels (width 64)
sn-cnn              the same, plain convolutions (width 64)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from saddlepoint.data.records import DataSpec
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig
from saddlepoint.networks.layers import pyramid
from saddlepoint.zoo.pairs import PAIRS, Line, Norm, Order, Pair, Told

Architecture = Literal[
    "auto",
    "mlp",
    "mlp-half",
    "mlp-quarter",
    "mlp-tanh",
    "mlp-generator",
    "maxout",
    "maxout-tfd",
    "maxout-cifar",
    "maxout-cifar-conv",
    "dcgan",
    "dcgan5",
    "dcgan-mnist",
    "dcgan-constant",
    "lsgan-112",
    "characters",
    "mirza",
    "am-gan",
    "ac-gan",
    "stability",
    "biggan-cifar",
    "metz-half",
    "metz-quarter",
    "wgan-gp-mnist",
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
    "row7-shallow",
]


@dataclass(frozen=True, kw_only=True)
class NetworksConfig(AdversarialConfig):
    """Settings of the recipes that can play with any pair of networks.

    Attributes:
        architecture: networks of the players (the recipes' page lists them); "auto" is mlp for points and dcgan for images.
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
    line = PAIRS[name]
    if spec.kind == "points" and not line.points:
        raise UsageError(f"The architecture {name} makes images; {spec.name} holds points. Choose --architecture mlp.")
    told = Told(*[num_classes(config, spec)] * 2) if told is None else told
    _check_conditional(name, line, told)
    return line.build(
        Order(
            shape=spec.shape,
            latent_dim=config.latent_dim,
            width=config.width,
            critic=_norm(name, "critic", config.critic_norm),
            generator=_norm(name, "generator", config.generator_norm),
            told=told,
        )
    )


def architecture_of(config: NetworksConfig, spec: DataSpec) -> str:
    """Name of the architecture, "auto" resolved."""
    return config.architecture if config.architecture != "auto" else "mlp" if spec.kind == "points" else "dcgan"


def num_classes(config: NetworksConfig, spec: DataSpec) -> int | None:
    """Number of classes that the networks are told; None where they are told none."""
    if config.conditional and spec.num_classes is None:
        raise UsageError(
            f"A conditional model needs labels; {spec.name} has none. Put each class into a folder of its own, or choose --no-conditional."
        )
    return spec.num_classes if config.conditional else None


def image_shape(spec: DataSpec) -> tuple[int, int, int]:
    """Shape (c, h, w) of the images."""
    c, h, w = spec.shape
    return c, h, w


def narrow_note(channels: Callable[[int], int], shape: tuple[int, int, int], base: int) -> tuple[str, ...]:
    """What is said of networks whose finest level has few channels, because a preset for small images is used for large ones.

    Args:
        channels: level -> channels.
        shape: of the images, (c, h, w).
        base: the setting ``channel_base`` that they come from.

    >>> narrow_note(lambda level: 64 >> level, (3, 128, 128), 512)
    ("G's finest level has 2 channels: --channel-base 2048 gives it 8, and takes longer.",)
    """
    found, enough = channels(pyramid(shape, 4, "")[2]), min(8, channels(0))
    return (f"G's finest level has {found} channels: --channel-base {base * enough // found} gives it {enough}, and takes longer.",) * (
        found < enough
    )


def _check_conditional(name: str, line: Line, told: Told) -> None:
    if told == Told() or line.conditional is True or (line.conditional == "generator" and told.discriminator is None):
        return
    fit = ", ".join(other for other, entry in PAIRS.items() if entry.conditional is True)
    raise UsageError(f"The architecture {name} has no conditional form; these have: {fit}. Choose one of them with --architecture.")


def _norm(name: str, player: Literal["critic", "generator"], asked: Norm) -> Norm:
    """The norm of a player, "auto" resolved; refuses one that the architecture does not have, naming those that fit."""
    known: tuple[Norm, ...] = getattr(PAIRS[name], player)
    if asked == "auto":
        return known[0]
    if asked not in known:
        fit = ", ".join(other for other, line in PAIRS.items() if asked in getattr(line, player))
        raise UsageError(
            f"The {player} of the architecture {name} has {' or '.join(known)} norm; {asked} was asked for. "
            f"Choose --{player}-norm {known[0]}, or one of the architectures with {asked} norm: {fit}."
        )
    return asked
