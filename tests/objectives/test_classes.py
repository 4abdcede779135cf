"""Objectives over classes against explicit softmax tables in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.objectives import classes
from saddlepoint.objectives.classes import ActivationMaximisation, LabelGAN, SemiSupervised


def logits(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2


def softmax(x: Tensor) -> NDArray[np.float64]:
    table = np.exp(x.numpy())
    return np.asarray(table / table.sum(1, keepdims=True), dtype=np.float64)


LABELS = torch.tensor([0, 2, 1, 2, 0])
ROWS = np.arange(5)


def test_supervised_is_the_cross_entropy_of_the_classes() -> None:
    x = logits(1, 5, 3)
    np.testing.assert_allclose(classes.supervised(x, LABELS).numpy(), -np.log(softmax(x)[ROWS, LABELS.numpy()]), rtol=1e-12)


def test_semi_supervised_is_the_softmax_with_a_fake_logit_of_zero() -> None:
    """D = Z/(Z+1) is the real part of a (K+1)-way softmax whose fake logit is 0; the sheet's half weights included."""
    real, fake = logits(2, 5, 3), logits(3, 5, 3)
    zero = torch.zeros(5, 1, dtype=torch.float64)
    p_real, p_fake = softmax(torch.cat([real, zero], 1)), softmax(torch.cat([fake, zero], 1))
    expected = -0.5 * np.log(1 - p_real[:, 3]) - 0.5 * np.log(p_fake[:, 3])
    loss = SemiSupervised().discriminator(classes.realness(real), classes.realness(fake))
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(SemiSupervised().generator(classes.realness(fake)).numpy(), np.log(p_fake[:, 3]), rtol=1e-12)


def test_label_gan_and_am_gan_against_the_softmax() -> None:
    real, fake = logits(4, 5, 4), logits(5, 5, 4)
    p_real, p_fake = softmax(real), softmax(fake)
    expected = -np.log(p_real[ROWS, LABELS.numpy()]) - np.log(p_fake[:, 3])
    for objective in (LabelGAN(), ActivationMaximisation(), ActivationMaximisation(labelling="static")):
        np.testing.assert_allclose(objective.discriminator(real, fake, LABELS).numpy(), expected, rtol=1e-12)
        np.testing.assert_allclose(objective.score(fake).numpy(), np.log(p_fake[:, :3].sum(1) / p_fake[:, 3]), rtol=1e-12)
    np.testing.assert_allclose(LabelGAN().generator(fake).numpy(), -np.log(p_fake[:, :3].sum(1)), rtol=1e-12)
    dynamic = ActivationMaximisation().generator(fake)
    np.testing.assert_allclose(dynamic.numpy(), -np.log(p_fake[ROWS, p_fake[:, :3].argmax(1)]), rtol=1e-12)
    static = ActivationMaximisation(labelling="static").generator(fake, None, LABELS)
    np.testing.assert_allclose(static.numpy(), -np.log(p_fake[ROWS, LABELS.numpy()]), rtol=1e-12)


def test_dynamic_labelling_never_asks_for_the_fake_class_and_ignores_labels() -> None:
    fake = torch.tensor([[0.0, 1.0, 50.0]], dtype=torch.float64)
    wrong = torch.tensor([0])
    objective = ActivationMaximisation()
    np.testing.assert_allclose(objective.generator(fake, None, wrong).numpy(), -np.log(softmax(fake)[:, 1]), rtol=1e-12)


def test_slopes_of_the_generators() -> None:
    """AM-GAN pulls one class up; LabelGAN shares its pull among the classes by their probability; both push the fake class down."""
    fake = torch.tensor([[2.0, 1.0, 0.5]], dtype=torch.float64, requires_grad=True)
    p = softmax(fake.detach())[0]
    (am,) = torch.autograd.grad(ActivationMaximisation().generator(fake).sum(), fake)
    (shared,) = torch.autograd.grad(LabelGAN().generator(fake).sum(), fake)
    np.testing.assert_allclose(am[0].numpy(), p - np.array([1.0, 0.0, 0.0]), rtol=1e-12)
    share = np.append(p[:2] / p[:2].sum(), 0.0)
    np.testing.assert_allclose(shared[0].numpy(), p - share, rtol=1e-10)


def test_direction_and_permutation() -> None:
    real, fake = logits(6, 5, 4), logits(7, 5, 4)
    raised_label, raised_fake_class = real.clone(), fake.clone()
    raised_label[ROWS, LABELS] += 0.1
    raised_fake_class[:, 3] += 0.1
    objective = LabelGAN()
    loss = objective.discriminator(real, fake, LABELS)
    assert (objective.discriminator(raised_label, fake, LABELS) < loss).all()
    assert (objective.discriminator(real, raised_fake_class, LABELS) < loss).all()
    for generator in (LabelGAN(), ActivationMaximisation()):
        assert (generator.generator(raised_fake_class) > generator.generator(fake)).all()
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(objective.discriminator(real[order], fake[order], LABELS[order]), loss[order])


@pytest.mark.parametrize("size", [30.0, 1000.0])
def test_far_out_logits_stay_finite(size: float) -> None:
    fake = torch.tensor([[size, -size, 0.0], [-size, 0.0, size]], dtype=torch.float64, requires_grad=True)
    for objective in (LabelGAN(), ActivationMaximisation()):
        loss = objective.generator(fake)
        assert loss.isfinite().all()
        assert torch.autograd.grad(loss.sum(), fake)[0].isfinite().all()


def test_missing_labels_are_refused() -> None:
    x = torch.zeros(2, 3)
    with pytest.raises(UsageError, match="LabelGAN's discriminator needs labels; came none"):
        LabelGAN().discriminator(x, x)
    with pytest.raises(UsageError, match="static labelling needs labels"):
        ActivationMaximisation(labelling="static").generator(x)
    with pytest.raises(UsageError, match="'dynamic' or 'static'; came 'both'"):
        ActivationMaximisation(labelling="both")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"came \[2, 3\] and \[3\]"):
        classes.supervised(x, torch.zeros(3, dtype=torch.int64))
