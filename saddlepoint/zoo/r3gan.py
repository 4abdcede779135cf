"""R3GAN: Huang, Gokaslan, Kuleshov, Tompkin, "The GAN is dead; long live the GAN! A modern GAN baseline", NeurIPS 2024.

Five values move along half a cosine over the first 20 million images (200 million on ImageNet): the learning rate, Adam's second beta, gamma, the
augmentation's probability and the half-life of the average. The rounds of a preset are those images; a run of another length stretches them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.paired import PairedGame, adam_schedule, cosine, growing_halflife
from saddlepoint.games.player import Adam
from saddlepoint.games.settings import AdversarialConfig
from saddlepoint.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from saddlepoint.views.ada import Augment, Policy
from saddlepoint.views.colour import Colour
from saddlepoint.views.geometry import Geometry
from saddlepoint.views.mirror import Mirror
from saddlepoint.zoo.build import view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape

START = Adam(lr=2e-4, beta1=0.0, beta2=0.9)


@dataclass(frozen=True, kw_only=True)
class R3GANConfig(AdversarialConfig):
    """Paired relativistic loss with R1 and R2 (Eq. 4 and section 3), on the networks of section 4; constants of the release.

    Attributes:
        width: channels of the first stages of G, and of the last ones of D.
        full_stages: how many stages have that width; each later one of G has half the channels of the one before.
        blocks: residual blocks a stage.
        group_width: channels of a group of the 3x3 convolutions; where a block has fewer, there is one group.
        gamma: of gamma/2 times the squared slopes at real and at generated samples, at first.
        final_gamma: at last.
        final_lr: of both players at last; they start with their optimiser's.
        final_beta2: of Adam at last.
        final_p: probability of an augmentation at last; 0 at first. 0 is off.
        conditional: G and D are told the label; each fake has that of the real sample it is compared with.
        mirror: real images are mirrored at random.
    """

    latent_dim: int = 64
    generator_optimizer: Adam = START
    discriminator_optimizer: Adam = START
    width: int = 768
    full_stages: int = 4
    blocks: int = 2
    group_width: int = 16
    gamma: float = 2.0
    final_gamma: float = 0.2
    final_lr: float = 5e-5
    final_beta2: float = 0.99
    final_p: float = 0.3
    conditional: bool = False
    mirror: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.g_batch_factor != 1:
            raise UsageError("R3GAN compares each fake with one real sample; g_batch_factor must be 1.")
        if self.augment and self.final_p:
            raise UsageError(
                f"R3GAN augments by its own policy up to final_p {self.final_p}; --augment {self.augment} was given too. Set one of them."
            )
        if not 0 <= self.final_p <= 1:
            raise UsageError(f"final_p is a probability; it is {self.final_p}.")
        if self.lr_decay != "constant":
            raise UsageError(f"R3GAN's learning rate falls to final_lr by itself; --lr-decay {self.lr_decay} was given too. Leave it out.")

    @property
    def reads_a_round(self) -> int:
        """One for either player's turn; the release counts D's alone, so that its 20 million images are 40 million read."""
        return self.d_steps + self.g_steps


POLICY = Policy(  # of the release: geometry always, colours half as often, cutout
    geometry=Geometry(xflip=1.0, rotate90=1.0, integer=1.0, scale=1.0, rotate=1.0, aniso=1.0, fraction=1.0),
    colour=Colour(brightness=0.5, contrast=0.5, lumaflip=0.5, hue=0.5, saturation=0.5),
    cutout=1.0,
)
FFHQ64 = R3GANConfig(batch=256, rounds=78_125, resolution=64, ema_halflife_kimg=500.0)
CIFAR = replace(
    FFHQ64, batch=512, rounds=39_063, resolution=32, gamma=0.05, final_gamma=0.005, final_p=0.55, ema_halflife_kimg=5_000.0, conditional=True
)
IMAGENET = replace(
    FFHQ64, batch=4096, rounds=48_828, width=1536, full_stages=5, group_width=32, ema_halflife_kimg=50_000.0, conditional=True
)  # 64 pixels
# 32 pixels on two cores: widths 64, 32, 16, 8 of one block each, ten times the learning rate, an average of short memory, no augmentation. On emoji
# (one seed) the quick Frechet distance is 39 after 38 seconds of the processor and 36 after 56 (gamma .1 to .01 is as good); widths 64, 64, 32, 16
# of two blocks, 3.6 times as dear an image, are at 54 after 39 seconds.
SMALL = replace(
    FFHQ64,
    batch=32,
    rounds=2_000,
    resolution=32,
    width=64,
    full_stages=1,
    blocks=1,
    gamma=1.0,
    final_gamma=0.1,
    final_p=0.0,
    final_lr=5e-4,
    generator_optimizer=replace(START, lr=2e-3),
    discriminator_optimizer=replace(START, lr=2e-3),
    ema_halflife_kimg=2.0,
    mirror=False,
)


def num_classes(config: R3GANConfig, data: Dataset) -> int | None:
    """Number of classes that the networks are told; None where they are told none."""
    if config.conditional and data.spec.num_classes is None:
        raise UsageError(
            f"A conditional model needs labels; {data.spec.name} has none. Put each class into a folder of its own, or choose --no-conditional."
        )
    return data.spec.num_classes if config.conditional else None


@recipe(
    name="r3gan",
    title="a relativistic GAN with both slope penalties, which needs no other trick: modern residual networks and nothing else",
    paper="Huang, Gokaslan, Kuleshov & Tompkin 2024",
    year=2024,
    url="https://arxiv.org/abs/2501.05441",
    needs=("image",),
    presets={
        "paper": CIFAR,
        "cifar-unconditional": replace(CIFAR, conditional=False),
        "ffhq64": FFHQ64,
        "ffhq256": replace(FFHQ64, resolution=256, gamma=150.0, final_gamma=15.0),
        "imagenet32": replace(IMAGENET, resolution=32, gamma=0.5, final_gamma=0.05, final_p=0.5),
        "imagenet64": replace(IMAGENET, gamma=1.0, final_gamma=0.1, final_p=0.4),
        "small": SMALL,
    },
)
def r3gan(config: R3GANConfig, data: Dataset) -> PairedGame:
    """The paired game with R1 and R2."""
    if config.augmentation is not None:
        raise UsageError("R3GAN's D says only which of two is more real, and adaptive augmentation needs a verdict on one. Choose --final-p instead.")
    shape, classes = image_shape(data.spec), num_classes(config, data)
    sizes: dict[str, Any] = {"full": config.full_stages, "blocks": config.blocks, "group_width": config.group_width, "num_classes": classes}
    players = {
        name: {"schedule": adam_schedule((start.lr, config.final_lr), (start.beta2, config.final_beta2))}
        for name, start in (("generator", config.generator_optimizer), ("discriminator", config.discriminator_optimizer))
    }
    return PairedGame(
        config,
        R3GANGenerator(config.latent_dim, shape, config.width, **sizes),
        R3GANDiscriminator(shape, config.width, **sizes),
        gamma=cosine(config.gamma, config.final_gamma),
        view=Augment(POLICY) if config.final_p else view_of(config),
        real_view=Mirror() if config.mirror else None,
        num_classes=classes,
        augment_p=cosine(0.0, config.final_p) if config.final_p else None,
        ema_decay=None if config.ema_halflife_kimg is None else growing_halflife(config.ema_halflife_kimg),
        players=players,
    )
