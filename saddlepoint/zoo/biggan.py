"""BigGAN and BigGAN-deep: Brock, Donahue, Simonyan, "Large scale GAN training for high fidelity natural image synthesis", ICLR 2019."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.biggan import BigGANGame, late_average
from saddlepoint.games.orthogonal import OrthogonalRegularisation
from saddlepoint.games.player import Adam
from saddlepoint.games.settings import AdversarialConfig
from saddlepoint.networks.biggan import BigGANDiscriminator, BigGANGenerator, Start
from saddlepoint.networks.biggan_deep import BigGANDeepDiscriminator, BigGANDeepGenerator
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.zoo.build import view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape
from saddlepoint.zoo.pairs import Pair


@dataclass(frozen=True, kw_only=True)
class BigGANConfig(AdversarialConfig):
    """Section 3 and appendices B and C of the paper. Data without labels is learnt without classes.

    Attributes:
        width: ch, the unit that channels are multiples of.
        shared_dim: of the class embedding that all norms of G share; None: a gain and a bias for each class in each norm.
        hierarchical: z is cut into a piece for each block (skip-z).
        attention: sides of the maps that look at themselves, in G and D; () for none.
        start: of the weights: orthogonal, normal N(0, .02), or xavier.
        norm_eps: added to the variance in G's batch normalisation.
        orthogonal_weight: beta of Eq. 3, for G; 0 leaves the term out.
        ema_decay: share that G's average keeps a move.
        ema_start: round until which the average is G itself.
        standing_passes: forward passes whose statistics samples are drawn with; 0: the running ones.
    """

    width: int = 96
    shared_dim: int | None = 128
    hierarchical: bool = True
    attention: tuple[int, ...] = (64,)
    start: Start = "orthogonal"
    norm_eps: float = 1e-4
    orthogonal_weight: float = 1e-4
    ema_decay: float = 0.9999
    ema_start: int = 20_000
    standing_passes: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hierarchical and self.shared_dim is None:
            raise UsageError("A hierarchical z joins the shared embedding, and there is none. Set --shared-dim, or --no-hierarchical.")
        if self.ema_halflife_kimg is not None:
            raise UsageError("BigGAN's average is set by ema_decay and ema_start; ema_halflife_kimg was given too. Leave it out.")


@dataclass(frozen=True, kw_only=True)
class BigGANDeepConfig(BigGANConfig):
    """Appendix B, Tables 7 to 9: bottleneck blocks, the whole z in every norm.

    Attributes:
        depth: blocks a size.
    """

    depth: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shared_dim is None or self.hierarchical:
            raise UsageError("BigGAN-deep joins the whole z to a shared embedding. Set --shared-dim, and leave --hierarchical out.")


IMAGENET = BigGANConfig(
    batch=2048,
    rounds=150_000,
    resolution=128,
    latent_dim=120,
    d_steps=2,
    generator_optimizer=Adam(lr=5e-5, beta1=0.0, beta2=0.999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.999),
)
PORT = replace(
    IMAGENET,
    d_steps=1,
    norm_eps=1e-5,
    orthogonal_weight=0.0,
    standing_passes=0,
    generator_optimizer=Adam(lr=1e-4, beta1=0.0, beta2=0.999, eps=1e-6),
    discriminator_optimizer=Adam(lr=4e-4, beta1=0.0, beta2=0.999, eps=1e-6),
)
CIFAR = BigGANConfig(
    width=64,
    batch=50,
    rounds=125_000,  # 500 epochs of 50,000 images, four batches of 50 a round
    resolution=32,
    latent_dim=128,
    shared_dim=None,
    hierarchical=False,
    attention=(),
    start="normal",
    norm_eps=1e-5,
    orthogonal_weight=0.0,
    d_steps=4,
    ema_start=1_000,
    standing_passes=0,
    generator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.999),
)
DEEP = BigGANDeepConfig(**{**vars(IMAGENET), "width": 128, "latent_dim": 128, "hierarchical": False})


def _small(config: Any, **changes: Any) -> Any:
    """32x32 images for two cores: ch 16, batch 64, one turn of either player a round, an average of half-life two thousand images."""
    common: dict[str, Any] = {
        "width": 16,
        "batch": 64,
        "rounds": 600,
        "resolution": 32,
        "d_steps": 1,
        "shared_dim": 32,
        "attention": (16,),
        "ema_decay": 0.5 ** (64 / 2_000),
        "ema_start": 200,
        "standing_passes": 16,
        "generator_optimizer": Adam(lr=2e-4, beta1=0.0, beta2=0.999),
        "discriminator_optimizer": Adam(lr=4e-4, beta1=0.0, beta2=0.999),
    }
    return replace(config, **(common | changes))


def biggan_game(config: BigGANConfig, data: Dataset, pair: Pair) -> BigGANGame:
    """Hinge game between networks of this family."""
    generator, discriminator = pair
    terms = [OrthogonalRegularisation("generator", generator, config.orthogonal_weight)] if config.orthogonal_weight else []
    return BigGANGame(
        config,
        generator,
        discriminator,
        Hinge(),
        terms=terms,
        view=view_of(config),
        num_classes=data.spec.num_classes,
        ema_decay=late_average(config.ema_decay, config.ema_start),
        standing_passes=config.standing_passes,
    )


@recipe(
    name="biggan",
    title="BigGAN: class-conditional residual networks at scale, with truncation for fidelity",
    paper="Brock, Donahue & Simonyan 2019",
    year=2019,
    url="https://arxiv.org/abs/1809.11096",
    needs=("image",),
    presets={
        "paper": IMAGENET,
        "port": PORT,  # the first author's PyTorch code, script launch_BigGAN_bs256x8
        "cifar": CIFAR,  # the same, script launch_cifar_ema
        "small": _small(IMAGENET, latent_dim=80),
    },
)
def biggan(config: BigGANConfig, data: Dataset) -> BigGANGame:
    """Hinge game with a projection discriminator; every layer spectrally normalised, G's orthogonal."""
    shape, classes = image_shape(data.spec), data.spec.num_classes
    shared: Any = {"width": config.width, "num_classes": classes, "attention": config.attention, "start": config.start}
    generator = BigGANGenerator(
        shape, config.latent_dim, shared_dim=config.shared_dim, hierarchical=config.hierarchical, eps=config.norm_eps, **shared
    )
    return biggan_game(config, data, (generator, BigGANDiscriminator(shape, **shared)))


@recipe(
    name="biggan-deep",
    title="BigGAN-deep: four times as many layers in bottleneck blocks, with fewer parameters",
    paper="Brock, Donahue & Simonyan 2019",
    year=2019,
    url="https://arxiv.org/abs/1809.11096",
    needs=("image",),
    presets={"paper": DEEP, "small": _small(DEEP, latent_dim=32)},
)
def biggan_deep(config: BigGANDeepConfig, data: Dataset) -> BigGANGame:
    """The same game on the deep networks."""
    shape, classes = image_shape(data.spec), data.spec.num_classes
    assert config.shared_dim is not None
    shared: Any = {"width": config.width, "num_classes": classes, "attention": config.attention, "start": config.start, "depth": config.depth}
    generator = BigGANDeepGenerator(shape, config.latent_dim, shared_dim=config.shared_dim, eps=config.norm_eps, **shared)
    return biggan_game(config, data, (generator, BigGANDeepDiscriminator(shape, **shared)))
