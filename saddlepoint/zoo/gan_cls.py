"""GAN-CLS: Reed, Akata, Yan, Logeswaran, Schiele, Lee, "Generative adversarial text to image synthesis", ICML 2016."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.captions import CaptionGame, Mismatched, captions_of
from saddlepoint.games.player import Adam, Clock
from saddlepoint.games.settings import AdversarialConfig
from saddlepoint.games.terms import Term
from saddlepoint.networks.captioned import ReedDiscriminator, ReedGenerator
from saddlepoint.objectives.matching import MatchingAware
from saddlepoint.zoo.build import view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape


@dataclass(frozen=True, kw_only=True)
class CaptionConfig(AdversarialConfig):
    """What games of captions share.

    Attributes:
        width: channels of G's largest hidden map; D's first has half as many.
        mismatch: share of real images with another's caption in what D refuses (the released code's cls); 0 is off, GAN without the mismatched pair.
        halvings: how often the learning rates are halved, evenly over the run.
    """

    width: int = 128
    mismatch: float = 0.5
    halvings: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 2 or self.halvings < 0:
            raise UsageError(f"width must be at least 2 and halvings at least 0; they are {self.width} and {self.halvings}.")

    def rates(self, lr: float, spans: int = 1) -> dict[str, object]:
        """Settings of a player: its learning rate, halved as often as asked in each of ``spans`` equal parts of the run."""

        def schedule(clock: Clock) -> dict[str, float]:
            share = clock.round / self.rounds * spans % 1
            return {"lr": lr * 0.5 ** int(share * (self.halvings + 1))}

        return {"schedule": schedule} if self.halvings else {}


@dataclass(frozen=True, kw_only=True)
class GANCLSConfig(CaptionConfig):
    """Algorithm 1 and section 4.3 of the paper, with the released code's constants.

    Attributes:
        interpolate: G also makes half as many images of captions between two (GAN-INT).
        between: "middle", or "beyond" (the released code's second kind).
    """

    interpolate: bool = False
    between: Literal["middle", "beyond"] = "middle"


ADAM = Adam(lr=2e-4, beta1=0.5, beta2=0.999)
BIRDS = GANCLSConfig(  # 8,855 training images, 600 epochs, rates halved every 100; fakes shared between the turns as in the code
    batch=64,
    rounds=83_400,
    resolution=64,
    latent_dim=100,
    latent="normal",
    generator_optimizer=ADAM,
    discriminator_optimizer=ADAM,
    halvings=5,
)
SMALL = replace(BIRDS, width=32, rounds=2_000, resolution=32, batch=32, halvings=0, ema_halflife_kimg=2.0)


@recipe(
    name="gan-cls",
    title="images of captions: D also sees real images with captions that are not theirs",
    paper="Reed et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1605.05396",
    needs=("image",),
    second="caption",
    presets={
        "paper": replace(BIRDS, interpolate=True),  # GAN-INT-CLS, the best of the paper
        "cls": BIRDS,
        "int": replace(BIRDS, mismatch=0.0, interpolate=True),
        "plain": replace(BIRDS, mismatch=0.0),
        "small": replace(SMALL, interpolate=True),
        "small-cls": SMALL,
        "small-int": replace(SMALL, mismatch=0.0, interpolate=True),
        "small-plain": replace(SMALL, mismatch=0.0),
    },
)
def gan_cls(config: GANCLSConfig, data: Dataset) -> CaptionGame:
    """The non-saturating game with the matching-aware D."""
    captions, shape = captions_of(data), image_shape(data.spec)
    dim = captions.shape[1]
    generator = ReedGenerator(shape, dim, latent_dim=config.latent_dim, width=config.width)
    discriminator = ReedDiscriminator(shape, dim, width=max(1, config.width // 2))
    terms: list[Term] = [Mismatched(captions, len(data), config.mismatch)] if config.mismatch else []
    return CaptionGame(
        config,
        generator,
        discriminator,
        MatchingAware(mismatch=config.mismatch),
        terms=terms,
        captions=captions,
        interpolate=config.interpolate,
        between=config.between,
        view=view_of(config),
        players={"generator": config.rates(ADAM.lr), "discriminator": config.rates(ADAM.lr)},
    )
