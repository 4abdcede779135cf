"""Objectives over classes: semi-supervised K-way, LabelGAN's and AM-GAN's (K+1)-way softmax, AC-GAN's auxiliary classifier.

Axes: n batch, k real classes; the last of k+1 logits is the class "fake".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from saddlepoint.errors import UsageError
from saddlepoint.objectives import minimax
from saddlepoint.objectives.objective import Objective, check_pair


def supervised(class_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the K classes, -l_y + log Z with Z = sum_k exp(l_k), in nats: Salimans et al. 2016 (arXiv:1606.03498), Section 5.

    It is also AC-GAN's auxiliary term (Odena et al. 2017, arXiv:1610.09585, Eq. 3). Weights of WGAN-GP's released conditional CIFAR-10 run: 1.0 in
    the discriminator, on real samples only; 0.1 in the generator.

    Args:
        class_logits: l, [n, k].
        labels: y, int64 [n], 0 <= y < k.
    Returns:
        Shape [n].
    """
    if class_logits.ndim != 2 or labels.shape != class_logits.shape[:1]:
        logits_shape, labels_shape = list(class_logits.shape), list(labels.shape)
        raise UsageError(f"A classifier's loss needs logits [n, k] and labels [n]; came {logits_shape} and {labels_shape}. Give one label a sample.")
    return cross_entropy(class_logits, labels, reduction="none")


def realness(class_logits: Tensor) -> Tensor:
    """Logit of "real" of a K-way classifier whose fake logit is fixed at 0, log Z: D(x) = Z / (Z + 1). Shape [n]."""
    return class_logits.logsumexp(1)


def unsupervised(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Semi-supervised loss of real against fake from log Z: half the minimax discriminator's, Salimans et al. 2016, Section 5.

    L = -log Z(x) / 2 + softplus(log Z(x)) / 2 + softplus(log Z(G(z))) / 2.

    Args:
        real_logits: log Z of unlabelled real samples, [n] (:func:`realness`).
        fake_logits: log Z of fakes, [n].
    Returns:
        Shape [n].
    """
    return minimax.discriminator(real_logits, fake_logits) / 2


def softmax_discriminator(real_logits: Tensor, fake_logits: Tensor, labels: Tensor) -> Tensor:
    """Loss of a (K+1)-way discriminator, CE(x, y) + CE(G(z), K+1): Zhou et al. 2018 (arXiv:1703.02000), shared by LabelGAN and AM-GAN.

    Args:
        real_logits: [n, k+1], the last column is "fake".
        fake_logits: [n, k+1].
        labels: y of the real samples, int64 [n], 0 <= y < k.
    Returns:
        Shape [n].
    """
    check_pair(real_logits, fake_logits)
    return supervised(real_logits, labels) + supervised(fake_logits, torch.full_like(labels, fake_logits.shape[1] - 1))


def label_gan_generator(fake_logits: Tensor) -> Tensor:
    """LabelGAN's generator: -log of the whole probability of the K real classes; its slope averages over the classes. [n, k+1] -> [n]."""
    return softplus(-softmax_realness(fake_logits))


def am_gan_generator(fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
    """AM-GAN's generator: cross-entropy with ONE real class a sample, Zhou et al. 2018.

    Args:
        fake_logits: [n, k+1].
        labels: target classes, int64 [n] (static labelling). None: each fake's most likely real class, a constant (dynamic labelling).
    Returns:
        Shape [n].
    """
    target = fake_logits[:, :-1].detach().argmax(1) if labels is None else labels
    return supervised(fake_logits, target)


def softmax_realness(logits: Tensor) -> Tensor:
    """Log odds of real against fake of a (K+1)-way softmax: logsumexp of the K real logits less the fake one. [n, k+1] -> [n]."""
    return logits[:, :-1].logsumexp(1) - logits[:, -1]


def _needed(labels: Tensor | None, whose: str) -> Tensor:
    if labels is None:
        raise UsageError(f"{whose} needs labels; came none. Choose data with labels or an objective without classes.")
    return labels


@dataclass(frozen=True, kw_only=True)
class SemiSupervised(Objective):
    """Real against fake on log Z of a K-way classifier, Salimans et al. 2016; the game adds :func:`supervised` on the labelled samples.

    The generator's loss is the saturating one of the released minibatch-discrimination run; feature matching replaces it where a recipe says so.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """Half the cross-entropy of real against fake."""
        return unsupervised(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """-softplus(log Z(G(z)))."""
        return minimax.generator(fake_logits)


@dataclass(frozen=True, kw_only=True)
class LabelGAN(Objective):
    """(K+1)-way discriminator; the generator asks for any real class. Logits are [n, k+1], losses [n]."""

    needs_labels = True

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """CE(x, y) + CE(G(z), fake)."""
        return softmax_discriminator(real_logits, fake_logits, _needed(labels, "LabelGAN's discriminator"))

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """-log sum_k D_k(G(z))."""
        return label_gan_generator(fake_logits)

    def score(self, logits: Tensor) -> Tensor:
        """Log odds of any real class against fake, [n]."""
        return softmax_realness(logits)


@dataclass(frozen=True, kw_only=True)
class ActivationMaximisation(LabelGAN):
    """AM-GAN, Zhou et al. 2018 (arXiv:1703.02000): the generator asks for one real class a sample. Logits are [n, k+1], losses [n].

    Attributes:
        labelling: "dynamic" asks each fake for its own most likely class, "static" for the label that the generator was conditioned on.
    """

    labelling: Literal["dynamic", "static"] = "dynamic"

    def __post_init__(self) -> None:
        """Refuse a labelling that does not exist."""
        if self.labelling not in ("dynamic", "static"):
            raise UsageError(f"AM-GAN's labelling needs to be 'dynamic' or 'static'; came {self.labelling!r}.")

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """CE(G(z), target class)."""
        if self.labelling == "dynamic":
            return am_gan_generator(fake_logits)
        return am_gan_generator(fake_logits, _needed(labels, "AM-GAN's generator under static labelling"))
