"""Progressive GAN: Karras, Aila, Laine, Lehtinen, "Progressive growing of GANs for improved quality, stability, and variation", ICLR 2018.

The presets row-a to row-h are Table 1, as configured in the authors' first release: low-capacity networks, 10 million images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.critics import Drift, TargetedPenalty
from saddlepoint.games.growing import GrowingConfig, GrowingGame, with_rounds
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import AuxiliaryClassifier, Term
from saddlepoint.networks.progan import Channels, ProGANDiscriminator, ProGANGenerator
from saddlepoint.objectives.leastsquares import LeastSquares
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.views.mirror import Mirror
from saddlepoint.zoo.build import view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape, narrow_note

ADAM = Adam(lr=0.001, beta1=0.0, beta2=0.99)


@dataclass(frozen=True, kw_only=True)
class ProGANConfig(GrowingConfig):
    """Appendix A.1 of the paper; conditional means a generator that is told labels and a discriminator that classifies.

    Attributes:
        width: channels at most.
        channel_base: level k has channel_base / 2^(k + 1) channels, at most ``width``.
        loss: "wgan-gp", or "lsgan" with multiplicative noise in D.
        gp_weight: lambda of the gradient penalty.
        gp_target: slope that the penalty asks for.
        drift_weight: epsilon of the drift term.
        conditional: AC-GAN (data must have labels).
        classes_weight: of the cross-entropies: D's on real samples and fakes, G's on fakes.
        stddev_group: samples that the minibatch's deviation compares; None leaves it out.
        minibatch_kernels: of minibatch discrimination; None leaves it out.
        equalised: equalised learning rate in both networks.
        generator_norm: in G: "pixel" after the activation, "batch" before it.
        layer_norm: layer norm in D.
        leaky: leaky ReLU in G; ReLU otherwise.
        normalise_latents: z to unit root mean square.
        tanh: bounded images.
        pixel_bias: G's dense layer has a bias for every value of its map (checkpoints of pytorch_GAN_zoo).
        fused: D halves before the activation, in one step (the released code), instead of after it (Table 2).
        mirror: real images are mirrored at random.
    """

    width: int = 512
    channel_base: int = 8192
    loss: Literal["wgan-gp", "lsgan"] = "wgan-gp"
    gp_weight: float = 10.0
    gp_target: float = 1.0
    drift_weight: float = 0.001
    conditional: bool = False
    classes_weight: float = 1.0
    stddev_group: int | None = 4
    minibatch_kernels: int | None = None
    equalised: bool = True
    generator_norm: Literal["pixel", "batch", "none"] = "pixel"
    layer_norm: bool = False
    leaky: bool = True
    normalise_latents: bool = True
    tanh: bool = False
    pixel_bias: bool = False
    fused: bool = True
    mirror: bool = False


CELEBA_HQ = with_rounds(  # Appendix A.1, as in the first release and the second's preset v1: the deviation is over the whole batch
    ProGANConfig(
        batch=16,
        resolution=1024,
        latent_dim=512,
        generator_optimizer=ADAM,
        discriminator_optimizer=ADAM,
        stable_kimg=800,
        fade_kimg=800,
        total_kimg=19_000,
        batch_at=((256, 14), (512, 6), (1024, 3)),
        stddev_group=16,
        fused=False,
        mirror=True,
    ),
    top=8,
)
RELEASE = with_rounds(  # preset v2 for one GPU, the second release's default
    replace(
        CELEBA_HQ,
        batch=4,
        batch_at=((4, 128), (8, 128), (16, 128), (32, 64), (64, 32), (128, 16), (256, 8), (512, 4)),
        lr_at=((1024, 0.0015),),
        stable_kimg=600.0,
        fade_kimg=600.0,
        total_kimg=12_000.0,
        stddev_group=4,
        fused=True,
    ),
    top=8,
)
LSUN = with_rounds(replace(CELEBA_HQ, resolution=256, batch_at=(), total_kimg=20_000.0, mirror=False), top=6)  # bedroom and dog; the others mirror
CIFAR = with_rounds(
    replace(LSUN, resolution=32, channel_base=4096, width=128, latent_dim=128, stable_kimg=400.0, fade_kimg=400.0, gp_target=750.0), top=3
)
SMALL = with_rounds(  # 4 -> 8 -> 16 -> 32: widths and images of a level for two cores, an average of short memory
    replace(
        RELEASE,
        resolution=32,
        batch=32,
        batch_at=(),
        lr_at=(),
        latent_dim=64,
        channel_base=256,
        width=64,
        stable_kimg=20.0,
        fade_kimg=20.0,
        total_kimg=140.0,
        ema_decay=0.995,
        mirror=False,
    ),
    top=3,
)


def rows(base: ProGANConfig, top: int) -> dict[str, ProGANConfig]:
    """Table 1, each row the one before with the change that gives it its name; (e*) is beside (e).

    Args:
        base: row (g) but for the length: resolution, channels, images, the deviation's group of the whole batch.
        top: level of the resolution.
    """
    slow = Adam(lr=0.0001, beta1=0.0, beta2=0.99)
    f = replace(base, generator_norm="none")  # equalised learning rate
    e = replace(f, equalised=False, generator_optimizer=slow, discriminator_optimizer=slow)  # minibatch deviation
    e_star = replace(e, stddev_group=None, minibatch_kernels=100)  # minibatch discrimination
    d = replace(e, stddev_group=None)  # revised training parameters
    old = Adam(lr=0.0001, beta1=0.0, beta2=0.9)
    c = replace(  # small minibatch
        d,
        generator_optimizer=old,
        discriminator_optimizer=old,
        d_steps=5,
        drift_weight=0.0,
        generator_norm="batch",
        layer_norm=True,
        leaky=False,
        normalise_latents=False,
        tanh=True,
        latent_dim=min(128, base.latent_dim),
        ema_decay=_power(base.ema_decay, 5),
    )
    b = replace(c, batch=4 * c.batch, ema_decay=_power(base.ema_decay, 20))  # progressive growing
    a = replace(b, first_level=None)  # Gulrajani et al. 2017
    found = {"row-a": a, "row-b": b, "row-c": c, "row-d": d, "row-e-star": e_star, "row-e": e, "row-f": f, "row-g": base}
    return {name: with_rounds(row, top) for name, row in found.items()}


def _power(decay: float | None, exponent: int) -> float | None:
    """The same memory in images where a move of G sees ``exponent`` times as many."""
    return None if decay is None else decay**exponent


TABLE = replace(CELEBA_HQ, resolution=128, channel_base=2048, batch_at=(), total_kimg=10_000.0)
CONVERGED = with_rounds(replace(TABLE, channel_base=8192, total_kimg=15_000.0), top=5)  # row (h): full capacity, trained longer


def networks(config: ProGANConfig, shape: tuple[int, int, int], classes: int | None) -> tuple[ProGANGenerator, ProGANDiscriminator]:
    """G and D of the configuration for images of this shape (c, h, w)."""
    channels = Channels(base=config.channel_base, most=config.width)
    generator = ProGANGenerator(
        shape,
        latent_dim=config.latent_dim,
        channels=channels,
        num_classes=classes,
        norm=config.generator_norm,
        equalised=config.equalised,
        leaky=config.leaky,
        normalise_latents=config.normalise_latents,
        tanh=config.tanh,
        pixel_bias=config.pixel_bias,
    )
    discriminator = ProGANDiscriminator(
        shape,
        channels=channels,
        num_classes=classes,
        group=config.stddev_group,
        kernels=config.minibatch_kernels,
        equalised=config.equalised,
        norm=config.layer_norm,
        noise=config.loss == "lsgan",
        fused=config.fused,
    )
    return generator, discriminator


@recipe(
    name="progan",
    title="progressive growing: both networks gain a resolution at a time",
    paper="Karras, Aila, Laine & Lehtinen 2018",
    year=2018,
    url="https://arxiv.org/abs/1710.10196",
    needs=("image",),
    presets={
        "paper": CELEBA_HQ,
        "release": RELEASE,
        "lsun": LSUN,
        "cifar": CIFAR,
        "lsgan": replace(CELEBA_HQ, loss="lsgan"),
        **rows(TABLE, top=5),
        "row-h": CONVERGED,
        "small": SMALL,
        "small-lsgan": replace(SMALL, loss="lsgan"),
    },
)
def progan(config: ProGANConfig, data: Dataset) -> GrowingGame:
    """Wasserstein value function with gradient penalty and drift, or least squares; the networks of Table 2."""
    classes = data.spec.num_classes if config.conditional else None
    if config.conditional and classes is None:
        raise UsageError(
            f"A conditional model needs labels; {data.spec.name} has none. Put each class into a folder of its own, or choose --no-conditional."
        )
    generator, discriminator = networks(config, image_shape(data.spec), classes)
    terms: list[Term] = []
    if config.loss == "wgan-gp":
        terms.append(TargetedPenalty(config.gp_weight, config.gp_target))
        terms += [Drift(config.drift_weight)] if config.drift_weight else []
    if classes is not None:
        terms += [AuxiliaryClassifier("discriminator", config.classes_weight, on_fakes=True), AuxiliaryClassifier("generator", config.classes_weight)]
    game = GrowingGame(
        config,
        generator,
        discriminator,
        Wasserstein() if config.loss == "wgan-gp" else LeastSquares.binary(),
        terms=terms,
        view=view_of(config),
        real_view=Mirror() if config.mirror else None,
        num_classes=classes,
    )
    game.notes = narrow_note(Channels(base=config.channel_base, most=config.width), image_shape(data.spec), config.channel_base)
    return game
