"""What every generator and discriminator of the library looks like from outside.

Axes: n batch, c channels, h w image, d latent or feature, k classes.

    generator(z, labels=None)      -> images n c h w in [-1, 1] (or points n d)
    discriminator(x, labels=None)  -> Judgement(logits, features, class_logits)
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Judgement(NamedTuple):
    """What a discriminator says of each sample.

    Attributes:
        logits: raw, higher is more real; [n], or [n, m] for an array of m discriminators, or [n, k+1] for AM-GAN's softmax.
        features: the representation before the head, [n, d]; None where the network has none.
        class_logits: [n, k] where the discriminator also classifies, else None.
    """

    logits: Tensor
    features: Tensor | None = None
    class_logits: Tensor | None = None


class Generator(nn.Module):
    """Maps latents z [n, latent_dim] to samples. Subclasses set ``latent_dim`` and define ``forward(z, labels=None)``."""

    latent_dim: int


class Discriminator(nn.Module):
    """Judges samples. Subclasses define ``forward(x, labels=None) -> Judgement``."""


def mixes_samples(module: nn.Module) -> bool:
    """Whether a sample's output depends on the others of its batch while training (batch norm, minibatch discrimination, ...).

    Layers of our own that mix samples carry the class attribute ``mixes_samples = True``.
    """
    return any(_mixes(m) for m in module.modules())


def mixes_kinds(module: nn.Module) -> bool:
    """Whether real and fake may not pass together, even where the draws say so (:meth:`saddlepoint.draws.Draws.together`).

    Layers that mix the samples of one kind alone carry the class attribute ``keeps_kinds_apart = True``.
    """
    return any(_mixes(m) and not getattr(m, "keeps_kinds_apart", False) for m in module.modules())


def _mixes(layer: nn.Module) -> bool:
    return isinstance(layer, nn.modules.batchnorm._BatchNorm) or getattr(layer, "mixes_samples", False)
