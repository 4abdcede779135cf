"""StackGAN: Zhang, Xu, Li, Zhang, Wang, Huang, Metaxas, "StackGAN: text to photo-realistic image synthesis ...", ICCV 2017."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.captions import ConditioningKL, Mismatched, StackGame, captions_of
from saddlepoint.games.terms import Term
from saddlepoint.networks.stackgan import StackDiscriminator, StackGenerator
from saddlepoint.objectives.matching import MatchingAware
from saddlepoint.zoo.build import view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.gan_cls import ADAM, CaptionConfig
from saddlepoint.zoo.networks import image_shape


@dataclass(frozen=True, kw_only=True)
class StackGANConfig(CaptionConfig):
    """Section 3 of the paper, with the released code's losses: the non-saturating G and the matching-aware D.

    Attributes:
        kl_weight: lambda of Eq. 4 and 6; 1 in the paper, 2 in the code.
        augment_captions: conditioning augmentation; without, a caption's code is mu.
        second_told: Stage II is told the caption again.
        blocks: residual blocks of Stage II.
        first_share: of the rounds that is Stage I; 1 less a round or more of Stage II.
    """

    kl_weight: float = 2.0
    augment_captions: bool = True
    second_told: bool = True
    blocks: int = 4
    first_share: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.first_share < 1 or self.blocks < 0:
            raise UsageError(f"first_share lies between 0 and 1 and blocks is at least 0; they are {self.first_share} and {self.blocks}.")


PAPER = StackGANConfig(  # birds: 600 epochs of 8,855 images for either stage
    batch=64,
    rounds=166_800,
    resolution=256,
    latent_dim=100,
    latent="normal",
    generator_optimizer=ADAM,
    discriminator_optimizer=ADAM,
    halvings=11,
)
SMALL = replace(PAPER, width=16, rounds=3_000, resolution=64, batch=32, blocks=2, halvings=0, ema_halflife_kimg=2.0)


@recipe(
    name="stackgan",
    title="images of captions in two stages, each caption spread to a distribution",
    paper="Zhang et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1612.03242",
    needs=("image",),
    second="caption",
    presets={
        "paper": PAPER,
        "no-augmentation": replace(PAPER, augment_captions=False, kl_weight=0.0),
        "second-untold": replace(PAPER, second_told=False),
        "small": SMALL,
        "small-no-augmentation": replace(SMALL, augment_captions=False, kl_weight=0.0),
        "small-second-untold": replace(SMALL, second_told=False),
    },
)
def stackgan(config: StackGANConfig, data: Dataset) -> StackGame:
    """Stage I, then Stage II over it."""
    captions, shape = captions_of(data), image_shape(data.spec)
    dim = captions.shape[1]
    generator = StackGenerator(
        shape, dim, latent_dim=config.latent_dim, width=config.width, blocks=config.blocks, augment=config.augment_captions, told=config.second_told
    )
    discriminator = StackDiscriminator(shape, dim, width=max(1, config.width // 2), told=config.second_told)
    terms: list[Term] = [Mismatched(captions, len(data), config.mismatch)] if config.mismatch else []
    return StackGame(
        config,
        generator,
        discriminator,
        MatchingAware(mismatch=config.mismatch),
        terms=[*terms, *([ConditioningKL(config.kl_weight)] if config.augment_captions and config.kl_weight else [])],
        captions=captions,
        first_share=config.first_share,
        view=view_of(config),
        players={"generator": config.rates(ADAM.lr, 2), "discriminator": config.rates(ADAM.lr, 2)},
    )
