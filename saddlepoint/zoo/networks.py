"""Which networks a recipe plays with: one table of pairs, so that every objective meets every architecture.

    auto        mlp for points, dcgan for images
    mlp         three hidden ReLU layers each (Gulrajani et al. 2017's toys; Arjovsky et al. 2017's MLP)
    mlp-tanh    two hidden tanh layers of 128, orthogonal (Metz et al. 2017's ring)
    maxout      Goodfellow et al. 2014: ReLU/sigmoid G, maxout D with dropout
    dcgan       Radford et al. 2016, 4x4 kernels (the torch version)
    dcgan5      the same with the 5x5 kernels of the face model
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from saddlepoint.data.records import DataSpec
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig
from saddlepoint.networks.base import Discriminator, Generator
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator, goodfellow

Architecture = Literal["auto", "mlp", "mlp-tanh", "maxout", "dcgan", "dcgan5"]
Pair = tuple[Generator, Discriminator]


@dataclass(frozen=True, kw_only=True)
class NetworksConfig(AdversarialConfig):
    """Settings of the recipes that can play with any pair of networks.

    Attributes:
        architecture: see the table of this module; "auto" is mlp for points and dcgan for images.
        width: channels of the convolutional networks' largest map, or units of a hidden layer.
        critic_norm: normalisation inside D.
        conditional: G and D are told the label (data must have labels).
    """

    architecture: Architecture = "auto"
    width: int = 64
    critic_norm: Literal["batch", "layer", "none", "spectral"] = "batch"
    conditional: bool = False


def build_pair(config: NetworksConfig, spec: DataSpec) -> Pair:
    """Build G and D for this data.

    Raises:
        UsageError: for an architecture that cannot make samples of this kind or size.
    """
    name = config.architecture if config.architecture != "auto" else "mlp" if spec.kind == "points" else "dcgan"
    if spec.kind == "points" and name not in ("mlp", "mlp-tanh", "maxout"):
        raise UsageError(f"The architecture {name} makes images; {spec.name} holds points. Choose --architecture mlp.")
    return _PAIRS[name](config, spec, num_classes(config, spec))


def num_classes(config: NetworksConfig, spec: DataSpec) -> int | None:
    """Number of classes that the networks are told; None where they are told none."""
    if config.conditional and spec.num_classes is None:
        raise UsageError(f"A conditional model needs labels; {spec.name} has none. Put each class into a folder of its own, or leave --conditional out.")
    return spec.num_classes if config.conditional else None


def _mlp(config: NetworksConfig, spec: DataSpec, classes: int | None) -> Pair:
    output: Literal["linear", "tanh"] = "tanh" if spec.kind == "image" else "linear"
    generator = MLPGenerator(config.latent_dim, spec.shape, width=config.width, hidden=3, output=output, num_classes=classes)
    return generator, MLPDiscriminator(spec.shape, width=config.width, hidden=3, num_classes=classes)


def _mlp_tanh(config: NetworksConfig, spec: DataSpec, classes: int | None) -> Pair:
    generator = MLPGenerator(config.latent_dim, spec.shape, width=config.width, hidden=2, activation="tanh", init="orthogonal", num_classes=classes)
    return generator, MLPDiscriminator(spec.shape, width=config.width, hidden=2, activation="tanh", init="orthogonal", num_classes=classes)


def _dcgan(kernel: Literal[4, 5]) -> Callable[[NetworksConfig, DataSpec, int | None], Pair]:
    def build(config: NetworksConfig, spec: DataSpec, classes: int | None) -> Pair:
        c, h, w = spec.shape
        if config.critic_norm not in ("batch", "none"):
            raise UsageError(f"DCGAN's discriminator has batch norm or none; {config.critic_norm!r} norm was asked for. Choose --critic-norm none.")
        generator = DCGANGenerator(config.latent_dim, (c, h, w), config.width, kernel, num_classes=classes)
        return generator, DCGANDiscriminator((c, h, w), config.width, kernel, norm=config.critic_norm, num_classes=classes)

    return build


_PAIRS: dict[str, Callable[[NetworksConfig, DataSpec, int | None], Pair]] = {
    "mlp": _mlp,
    "mlp-tanh": _mlp_tanh,
    "dcgan": _dcgan(4),
    "dcgan5": _dcgan(5),
}
