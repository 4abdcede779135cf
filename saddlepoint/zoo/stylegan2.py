"""StyleGAN2: Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, "Analyzing and improving the image quality of StyleGAN", CVPR 2020.

The presets a to f are Table 1 on FFHQ (paper is f); --g-architecture and --d-architecture span Table 2. The presets cifar and paper256 are those of
the later release (Karras et al. 2020b, arXiv:2006.06676), without its augmentation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.growing import GrowingConfig, GrowingGame, with_rounds
from saddlepoint.games.path_length import PathLength
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import R1, Term
from saddlepoint.networks.stylegan import StyleGANDiscriminator, StyleGANGenerator
from saddlepoint.networks.stylegan2 import Architecture, Channels, StyleGAN2Generator
from saddlepoint.networks.stylegan2_discriminator import StyleGAN2Discriminator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.views.mirror import Mirror
from saddlepoint.zoo.build import view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape, narrow_note
from saddlepoint.zoo.pairs import Pair


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Config(GrowingConfig):
    """Table 1 and Appendix B of the paper; conditional means labels in the mapping network and a projection discriminator.

    Attributes:
        stylegan: the networks of StyleGAN (configuration A), whose widths and lengths these settings then are.
        code_dim: of the style codes w.
        mapping_layers: of the mapping network.
        channel_base: a level of r pixels has channel_base / r channels, at most ``width``.
        width: channels at most.
        g_architecture: of the synthesis network; "orig" is the one that can grow.
        d_architecture: of the discriminator; "orig" is the one that can grow.
        style_mixing: probability that the styles of two latents are mixed in training.
        noise: whether the layers of G have noise.
        r1_gamma: of gamma/2 times the squared slope at real images; None: .0002 * pixels / batch, the later release's rule.
        r1_every: rounds from one penalty to the next, which is a move of its own where this is more than 1.
        path_weight: of path length regularisation; None is off.
        path_every: rounds from one path length move to the next.
        stddev_group: samples that the minibatch's deviation compares; None leaves it out.
        conditional: G and D are told labels (data must have them).
        mirror: real images are mirrored at random.
    """

    first_level: int | None = None
    ema_decay: float | None = None
    ema_halflife_kimg: float | None = 10.0
    stylegan: bool = False
    code_dim: int = 512
    mapping_layers: int = 8
    channel_base: int = 32768
    width: int = 512
    g_architecture: Architecture = "skip"
    d_architecture: Architecture = "resnet"
    style_mixing: float = 0.9
    noise: bool = True
    r1_gamma: float | None = 10.0
    r1_every: int = 16
    path_weight: float | None = 2.0
    path_every: int = 4
    stddev_group: int | None = 4
    conditional: bool = False
    mirror: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.style_mixing <= 1:
            raise UsageError(f"style_mixing is a probability; it is {self.style_mixing}.")
        if self.first_level is not None and (self.g_architecture, self.d_architecture) != ("orig", "orig"):
            raise UsageError(
                f"Growing needs the architecture orig in both networks; they are {self.g_architecture} and {self.d_architecture}. "
                "Choose --g-architecture orig --d-architecture orig, or leave --first-level out."
            )
        if self.stylegan and (self.first_level is None or self.path_weight):
            raise UsageError("StyleGAN's networks grow and have no path length regularisation here. Choose --preset a, or leave --stylegan out.")
        if self.r1_every < 1 or self.path_every < 1:
            raise UsageError(f"r1_every and path_every must be at least 1; they are {self.r1_every} and {self.path_every}.")


def optimizers(lr: float) -> dict[str, Any]:
    """Adam (0, .99) with this learning rate for both players."""
    adam = Adam(lr=lr, beta1=0.0, beta2=0.99)
    return {"generator_optimizer": adam, "discriminator_optimizer": adam}


F = StyleGAN2Config(  # Appendix B: 25 million images at 1024 x 1024
    batch=32, rounds=781_250, resolution=1024, latent_dim=512, total_kimg=25_000.0, mirror=True, **optimizers(0.002)
)
E = replace(F, channel_base=16384, r1_gamma=100.0)  # no growing, new architectures
D = with_rounds(  # path length regularisation
    replace(
        E,
        r1_gamma=10.0,
        g_architecture="orig",
        d_architecture="orig",
        first_level=1,
        stable_kimg=600.0,
        fade_kimg=600.0,
        batch_at=((8, 256), (16, 128), (32, 64)),
        lr_at=((128, 0.0015), (256, 0.002), (512, 0.003), (1024, 0.003)),
        **optimizers(0.001),
    ),
    top=8,
)
C = replace(D, path_weight=None)  # lazy regularisation
B = replace(C, r1_every=1)  # weight demodulation
A = replace(B, stylegan=True)  # baseline StyleGAN
RELEASE = replace(
    F,
    batch=64,
    rounds=390_625,
    resolution=256,
    channel_base=16384,
    stddev_group=8,
    r1_gamma=1.0,
    ema_halflife_kimg=20.0,
    mirror=False,
    **optimizers(0.0025),
)
CIFAR = replace(
    RELEASE,
    rounds=1_562_500,
    resolution=32,
    channel_base=32768,
    total_kimg=100_000.0,
    mapping_layers=2,
    stddev_group=32,
    d_architecture="orig",
    r1_gamma=0.01,
    path_weight=None,
    style_mixing=0.0,
    ema_halflife_kimg=500.0,
    ema_rampup=0.05,
)
# 32 pixels on two cores: 64, 64, 32 and 16 channels, codes of 64, two mapping layers, gamma by the rule, an average of short memory. On emoji (one
# seed) the quick Frechet distance is 53 after 35 seconds of the processor; with 64 channels everywhere and a batch of 16, 3.8 times as dear an image,
# it is 99 after 36.
SMALL = replace(
    F,
    batch=32,
    rounds=2_000,
    resolution=32,
    latent_dim=64,
    code_dim=64,
    mapping_layers=2,
    width=64,
    channel_base=512,
    r1_gamma=None,
    ema_halflife_kimg=2.0,
    mirror=False,
    **optimizers(0.0025),
)


def num_classes(config: StyleGAN2Config, data: Dataset) -> int | None:
    """Number of classes that the networks are told; None where they are told none."""
    if config.conditional and data.spec.num_classes is None:
        raise UsageError(
            f"A conditional model needs labels; {data.spec.name} has none. Put each class into a folder of its own, or choose --no-conditional."
        )
    return data.spec.num_classes if config.conditional else None


def networks(config: StyleGAN2Config, data: Dataset) -> Pair:
    """G and D for this data."""
    shape, channels, classes = image_shape(data.spec), Channels(base=config.channel_base, most=config.width), num_classes(config, data)
    grows = config.first_level is not None
    if config.stylegan:
        return _stylegan(config, shape, channels, classes)
    generator = StyleGAN2Generator(
        shape,
        latent_dim=config.latent_dim,
        code_dim=config.code_dim,
        mapping_layers=config.mapping_layers,
        channels=channels,
        architecture=config.g_architecture,
        growing=grows,
        num_classes=classes,
        style_mixing=config.style_mixing,
        noise=config.noise,
    )
    discriminator = StyleGAN2Discriminator(
        shape, channels=channels, architecture=config.d_architecture, growing=grows, num_classes=classes, stddev_group=config.stddev_group or 0
    )
    return generator, discriminator


def _stylegan(config: StyleGAN2Config, shape: tuple[int, int, int], channels: Channels, classes: int | None) -> Pair:
    """The networks of configuration A."""
    generator = StyleGANGenerator(
        shape,
        latent_dim=config.latent_dim,
        code_dim=config.code_dim,
        mapping_layers=config.mapping_layers,
        channels=channels,
        num_classes=classes,
        noise=config.noise,
        style_mixing=config.style_mixing,
    )
    return generator, StyleGANDiscriminator(shape, channels=channels, num_classes=classes, stddev_group=config.stddev_group or 0)


def gamma_of(config: StyleGAN2Config, data: Dataset) -> float:
    """R1's gamma: as set, or by the rule of the later release, .0002 * pixels / batch."""
    _, h, w = data.spec.shape
    return 0.0002 * h * w / config.batch if config.r1_gamma is None else config.r1_gamma


def regularisers(config: StyleGAN2Config, data: Dataset) -> list[Term]:
    """R1 and path length regularisation, where they are on; either is a move of its own where it is lazy."""
    gamma = gamma_of(config, data)
    r1 = [R1(gamma, config.r1_every, alone=config.r1_every > 1)] if gamma else []
    return [*r1, *([PathLength(config.path_weight, config.path_every)] if config.path_weight else [])]


def play(config: StyleGAN2Config, data: Dataset, pair: Pair, **settings: Any) -> AdversarialGame:
    """The non-saturating game on these networks, growing where the configuration says so; ``settings`` are :class:`AdversarialGame`'s."""
    settings.setdefault("view", view_of(config))
    kind = AdversarialGame if config.first_level is None else GrowingGame
    game = kind(
        config,
        *pair,
        NonSaturating(),
        terms=regularisers(config, data),
        real_view=Mirror() if config.mirror else None,
        num_classes=num_classes(config, data),
        **settings,
    )
    game.notes = narrow_note(Channels(base=config.channel_base, most=config.width), image_shape(data.spec), config.channel_base)
    if config.r1_gamma is None:
        game.notes += (f"R1's gamma is {gamma_of(config, data):.3g} by the rule .0002 * pixels / batch; --r1-gamma sets another.",)
    return game


@recipe(
    name="stylegan2",
    title="style-based generator with demodulated weights, path length regularisation and no growing",
    paper="Karras, Laine, Aittala, Hellsten, Lehtinen & Aila 2020",
    year=2020,
    url="https://arxiv.org/abs/1912.04958",
    needs=("image",),
    presets={"paper": F, "e": E, "d": D, "c": C, "b": B, "a": A, "paper256": RELEASE, "cifar": CIFAR, "small": SMALL},
)
def stylegan2(config: StyleGAN2Config, data: Dataset) -> AdversarialGame:
    """Non-saturating game with lazy regularisation."""
    return play(config, data, networks(config, data))
