"""StyleGAN: Karras, Laine, Aila, "A style-based generator architecture for generative adversarial networks", CVPR 2019.

The presets a to f are Table 1 on FFHQ (paper is f); celeba-hq is f with the loss that the paper uses there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.critics import Drift
from saddlepoint.games.growing import GrowingConfig, GrowingGame, with_rounds
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import R1, GradientPenalty, Term
from saddlepoint.networks.stylegan import StyleGANDiscriminator, StyleGANGenerator
from saddlepoint.networks.stylegan2 import Channels
from saddlepoint.networks.upfirdn import BILINEAR
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.views.mirror import Mirror
from saddlepoint.zoo.build import view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape, narrow_note


@dataclass(frozen=True, kw_only=True)
class StyleGANConfig(GrowingConfig):
    """Section 2 and Appendix C of the paper; conditional means labels in the mapping network and a discriminator with an output a class.

    Attributes:
        code_dim: of the style codes w.
        mapping_layers: of the mapping network; 0 passes the normalised z on.
        channel_base: a level of r pixels has channel_base / r channels, at most ``width``.
        width: channels at most.
        styles: instance norm and styles in G; pixel norm otherwise.
        constant: G begins with a learned constant; with a dense layer of w otherwise.
        noise: noise in the layers of G.
        blur: blurs after doubling and before halving ("bilinear up and down").
        style_mixing: probability that the styles of two latents are mixed in training.
        loss: "logistic", non-saturating with R1, or "wgan-gp" with drift.
        r1_gamma: of gamma/2 times the squared slope at real images.
        gp_weight: lambda of the gradient penalty.
        drift_weight: epsilon of the drift term.
        stddev_group: samples that the minibatch's deviation compares; None leaves it out.
        conditional: G and D are told labels (data must have them).
        mirror: real images are mirrored at random.
    """

    first_level: int | None = 1
    ema_decay: float | None = None
    ema_halflife_kimg: float | None = 10.0
    code_dim: int = 512
    mapping_layers: int = 8
    channel_base: int = 16384
    width: int = 512
    styles: bool = True
    constant: bool = True
    noise: bool = True
    blur: bool = True
    style_mixing: float = 0.9
    loss: Literal["logistic", "wgan-gp"] = "logistic"
    r1_gamma: float = 10.0
    gp_weight: float = 10.0
    drift_weight: float = 0.001
    stddev_group: int | None = 4
    conditional: bool = False
    mirror: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.style_mixing <= 1:
            raise UsageError(f"style_mixing is a probability; it is {self.style_mixing}.")
        if self.style_mixing and not self.styles:
            raise UsageError("Style mixing needs a generator with styles; --no-styles leaves them out. Add --style-mixing 0.")


ADAM: dict[str, Any] = {name: Adam(lr=0.001, beta1=0.0, beta2=0.99) for name in ("generator_optimizer", "discriminator_optimizer")}
F = with_rounds(  # + mixing regularization: Table 1 (f), 25 million images of FFHQ on eight GPUs
    StyleGANConfig(
        batch=32,
        resolution=1024,
        latent_dim=512,
        total_kimg=25_000.0,
        batch_at=((8, 256), (16, 128), (32, 64)),
        lr_at=((128, 0.0015), (256, 0.002), (512, 0.003), (1024, 0.003)),
        mirror=True,
        **ADAM,
    ),
    top=8,
)
E = replace(F, style_mixing=0.0)  # + noise inputs
D = replace(E, noise=False)  # - traditional input
C = replace(D, constant=False)  # + mapping and styles
B = replace(C, styles=False, mapping_layers=0)  # + tuning (incl. bilinear up/down)
A = with_rounds(  # baseline Progressive GAN, by its release's preset for eight GPUs
    replace(
        B,
        blur=False,
        loss="wgan-gp",
        first_level=0,
        batch_at=((4, 512), (8, 256), (16, 128), (32, 64)),
        total_kimg=12_000.0,
        ema_decay=0.999,
        ema_halflife_kimg=None,
    ),
    top=8,
)
CELEBA_HQ = replace(F, loss="wgan-gp", lr_at=((128, 0.0015), (256, 0.002), (512, 0.002), (1024, 0.002)))
SMALL = with_rounds(  # 4 -> 8 -> 16 -> 32: widths and images of a level for two cores, codes of 64, an average of short memory
    replace(
        F,
        resolution=32,
        batch=16,
        batch_at=(),
        lr_at=(),
        latent_dim=64,
        code_dim=64,
        mapping_layers=4,
        channel_base=512,
        width=64,
        first_level=0,
        stable_kimg=4.0,
        fade_kimg=4.0,
        total_kimg=40.0,
        r1_gamma=0.1,
        ema_halflife_kimg=2.0,
        mirror=False,
    ),
    top=3,
)


@recipe(
    name="stylegan",
    title="style-based generator: a mapping network, adaptive instance norm and noise in every layer",
    paper="Karras, Laine & Aila 2019",
    year=2019,
    url="https://arxiv.org/abs/1812.04948",
    needs=("image",),
    presets={
        "paper": F,
        "celeba-hq": CELEBA_HQ,
        "e": E,
        "d": D,
        "c": C,
        "b": B,
        "a": A,
        "small": SMALL,
    },
)
def stylegan(config: StyleGANConfig, data: Dataset) -> GrowingGame:
    """Non-saturating game with R1, or Wasserstein's with gradient penalty, on networks that grow."""
    classes = data.spec.num_classes if config.conditional else None
    if config.conditional and classes is None:
        raise UsageError(
            f"A conditional model needs labels; {data.spec.name} has none. Put each class into a folder of its own, or choose --no-conditional."
        )
    shape, channels, taps = image_shape(data.spec), Channels(base=config.channel_base, most=config.width), BILINEAR if config.blur else None
    generator = StyleGANGenerator(
        shape,
        latent_dim=config.latent_dim,
        code_dim=config.code_dim,
        mapping_layers=config.mapping_layers,
        channels=channels,
        num_classes=classes,
        styles=config.styles,
        constant=config.constant,
        noise=config.noise,
        style_mixing=config.style_mixing,
        taps=taps,
    )
    discriminator = StyleGANDiscriminator(shape, channels=channels, num_classes=classes, stddev_group=config.stddev_group or 0, taps=taps)
    wasserstein = config.loss == "wgan-gp"
    terms: list[Term] = [GradientPenalty(config.gp_weight), Drift(config.drift_weight)] if wasserstein else [R1(config.r1_gamma)]
    game = GrowingGame(
        config,
        generator,
        discriminator,
        Wasserstein() if wasserstein else NonSaturating(),
        terms=terms,
        view=view_of(config),
        real_view=Mirror() if config.mirror else None,
        num_classes=classes,
    )
    game.notes = narrow_note(channels, shape, config.channel_base)
    return game
