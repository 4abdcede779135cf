"""ADA: its policies, the probabilities of its transformations, its gradients, its draws in pieces, and how p follows D."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.views.ada import ADA, AdaptiveAugment, Augment, Policy, policy_of
from saddlepoint.views.chance import Chance
from saddlepoint.views.colour import Colour
from saddlepoint.views.geometry import Geometry, draw_affine

ALL = "bgcfnc"
SHAPES = [(6, 3, 16, 16), (6, 1, 12, 12), (6, 2, 9, 14), (6, 4, 8, 8)]


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seen(view: Augment, x: Tensor, piece: int = 0, pieces: int = 1, groups: int = 1) -> Tensor:
    draws = Draws.seeded("test", dtype=torch.float64, piece=piece, pieces=pieces)
    with use(draws), draws.together(groups):
        return view(x)


def test_policies_are_sums_of_groups() -> None:
    blit = Geometry(xflip=1.0, rotate90=1.0, integer=1.0)
    general = Geometry(scale=1.0, rotate=1.0, aniso=1.0, fraction=1.0)
    assert policy_of("blit") == Policy(geometry=blit)
    assert policy_of("geom") == Policy(geometry=general)
    colour = Colour(brightness=1.0, contrast=1.0, lumaflip=1.0, hue=1.0, saturation=1.0)
    assert policy_of("color") == Policy(colour=colour)
    assert policy_of("filter, cutout") == Policy(filter=1.0, cutout=1.0)
    both = Geometry(**(vars(blit) | {name: value for name, value in vars(general).items() if value}))
    assert policy_of("bgc") == policy_of("color,geom,blit") == Policy(geometry=both, colour=colour)
    assert policy_of("bgcf") == Policy(geometry=both, colour=colour, filter=1.0)
    assert policy_of("bgcfn") == Policy(geometry=both, colour=colour, filter=1.0, noise=1.0)
    assert policy_of("bgcfnc") == Policy(geometry=both, colour=colour, filter=1.0, noise=1.0, cutout=1.0)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"came 'geometry'. Nearest: geom"):
        Augment("blit,geometry")
    with pytest.raises(UsageError, match="came ''"):
        Augment("")
    with pytest.raises(UsageError, match=r"between 0 and 1; it is 1.5"):
        Augment(p=1.5)
    with pytest.raises(UsageError, match=r"p at most the cap; came 0.5 and 0.2"):
        ADA(p=0.5, cap=0.2)
    with pytest.raises(UsageError, match="came 0 and 500"):
        ADA(interval=0)
    with pytest.raises(UsageError, match=r"needs images \[n, c, h, w\]; came \[4, 2\]"):
        Augment(p=0.5)(torch.zeros(4, 2))


def test_at_probability_0_the_images_themselves_pass() -> None:
    x = images(2, 3, 8, 8)
    assert seen(Augment(ALL), x) is x


@pytest.mark.parametrize("shape", SHAPES)
def test_any_channels_and_sides_the_same_draws_and_samples_of_their_own(shape: tuple[int, ...]) -> None:
    view, x = Augment(ALL, p=0.8), images(1, *shape[1:]).expand(*shape)
    y = seen(view, x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert torch.equal(y, seen(view, x))
    assert len({sample.numpy().tobytes() for sample in y}) == len(x)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("policy", ["bgc", ALL])
def test_pieces_see_what_the_whole_batch_sees(shape: tuple[int, ...], policy: str) -> None:
    view, x = Augment(policy, p=0.6), images(*shape)
    whole = seen(view, x)
    torch.testing.assert_close(torch.cat([seen(view, part, piece, 3) for piece, part in enumerate(x.chunk(3))]), whole, rtol=0, atol=1e-10)


def test_real_and_fake_in_one_batch_are_cut_into_pieces_each() -> None:
    view, real, fake = Augment(ALL, p=0.6), images(4, 3, 8, 8), images(4, 3, 8, 8, seed=1)
    whole = seen(view, torch.cat([real, fake]), groups=2)
    for piece, rows in enumerate((slice(0, 2), slice(2, 4))):
        part = seen(view, torch.cat([real[rows], fake[rows]]), piece, 2, groups=2)
        torch.testing.assert_close(part, torch.cat([whole[:4][rows], whole[4:][rows]]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("policy", ["blit", "geom", "color", "filter", "noise,cutout", ALL])
def test_gradients_are_exact_and_twice_differentiable(policy: str) -> None:
    view, x = Augment(policy, p=0.9), images(3, 3, 6, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: seen(view, t), x, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda t: seen(view, t).pow(3), x, fast_mode=True)


def test_r1_through_the_augmentation_reaches_the_weights() -> None:
    view, weight, x = Augment("bgc", p=0.9), images(3, 8, 8, seed=3).requires_grad_(), images(4, 3, 8, 8).requires_grad_()
    (slope,) = torch.autograd.grad((seen(view, x) * weight).pow(2).sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert weight.grad is not None and weight.grad.abs().min() > 0


def test_half_precision_is_computed_in_single() -> None:
    x = images(4, 3, 8, 8)
    y = seen(Augment("bgc", p=0.7), x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), seen(Augment("bgc", p=0.7), x.bfloat16().double()), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    ("geometry", "share"),  # of the samples that are changed, where p is 0.36
    [
        (Geometry(xflip=1.0), 0.36 / 2),
        (Geometry(rotate90=1.0), 0.36 * 3 / 4),
        (Geometry(scale=1.0), 0.36),
        (Geometry(aniso=0.5), 0.36 / 2),
        (Geometry(rotate=1.0), 0.36),  # before or after the anisotropic scaling
        (Geometry(fraction=1.0), 0.36),
        (Geometry(integer=1.0), 0.36 * (1 - (1 / 4) ** 2)),  # up to 2 pixels of 16 either way, and less than half a pixel is none
    ],
)
def test_every_transformation_happens_with_its_probability(geometry: Geometry, share: float) -> None:
    n = 40_000
    with use(Draws.seeded("share")):
        chance = Chance(torch.zeros(n, 1, 1, 1), torch.tensor(0.36))
    affine = draw_affine(geometry, chance, 16, 16)
    still = (affine.linear == torch.eye(2)).all(2).all(1) & (affine.shift == 0).all(1)
    assert 1 - still.double().mean().item() == pytest.approx(share, abs=4 * (share * (1 - share) / n) ** 0.5)


def test_turns_by_right_angles_can_be_undone_in_distribution() -> None:
    """What D sees of an image is the image turned 0 to 3 times, with the shares of a circulant matrix; below p = 1 it has an inverse (Appendix C)."""
    p, n = 0.8, 40_000
    with use(Draws.seeded("leak")):
        chance = Chance(torch.zeros(n, 1, 1, 1), torch.tensor(p))
    affine = draw_affine(Geometry(rotate90=1.0), chance, 16, 16)
    angle = torch.atan2(affine.linear[:, 1, 0], affine.linear[:, 0, 0]).div(torch.pi / 2).round().long() % 4
    shares = torch.bincount(angle, minlength=4).double() / n
    torch.testing.assert_close(shares, torch.tensor([1 - p + p / 4, p / 4, p / 4, p / 4], dtype=torch.float64), rtol=0, atol=0.01)
    eigenvalues = torch.fft.fft(shares).abs()
    torch.testing.assert_close(eigenvalues, torch.tensor([1, 1 - p, 1 - p, 1 - p], dtype=torch.float64), rtol=0, atol=0.02)


def signs(view: AdaptiveAugment, value: float, turns: int = 1) -> float:
    for _ in range(turns):
        logged = view.after_turn("discriminator", {"discriminator/sign": torch.tensor(value)}, 50)
    return float(logged["discriminator/ada_p"])


def test_p_follows_the_sign_of_d_on_real_samples() -> None:
    """4 turns of 50 images are 200 of the 1000 in which p may go from 0 to 1."""
    view = AdaptiveAugment(target=0.6, interval=4, speed_kimg=1.0)
    assert [signs(view, 0.9) for _ in range(4)] == pytest.approx([0, 0, 0, 0.2])
    assert [signs(view, 0.9, 4) for _ in range(2)] == pytest.approx([0.4, 0.6])
    assert signs(view, 0.1, 3) == pytest.approx(0.6)
    assert signs(view, 0.9) == pytest.approx(0.4)  # the mean of the four turns, 0.3, is below the target
    assert [signs(view, 0.6, 4)] == pytest.approx([0.4])  # at the target p stays
    assert [signs(view, -1.0, 4) for _ in range(3)] == pytest.approx([0.2, 0.0, 0.0], abs=1e-6)
    assert view.after_turn("generator", {"generator/adversarial": torch.tensor(1.0)}, 50) == {}
    assert view.after_turn("discriminator", {"discriminator/r1": torch.tensor(1.0)}, 50) == {}


def test_p_stops_at_the_cap_and_says_so() -> None:
    view = AdaptiveAugment(interval=1, speed_kimg=0.1, cap=0.8)
    first, second = (view.after_turn("discriminator", {"discriminator/sign": torch.tensor(1.0)}, 50) for _ in range(2))
    assert [float(each["discriminator/ada_p"]) for each in (first, second)] == pytest.approx([0.5, 0.8])
    assert [float(each["discriminator/ada_capped"]) for each in (first, second)] == [0, 1]


def test_a_fixed_p_only_logs() -> None:
    view = AdaptiveAugment(p=0.3, target=None)
    assert signs(view, 1.0, 8) == pytest.approx(0.3)
    assert view.watch(torch.tensor([1.0, 2.0, -3.0, 0.0]))["sign"] == 0.25


def test_the_state_is_the_buffers() -> None:
    view, other = (ADA(speed_kimg=1.0).build() for _ in range(2))
    signs(view, 0.9, 6)
    other.load_state_dict(view.state_dict())
    assert [signs(view, 0.9) for _ in range(3)] == [signs(other, 0.9) for _ in range(3)]
    assert sorted(view.state_dict()) == ["images", "p", "sign_sum", "turns"]
    assert "'bgc', p=0.4, target=0.6, interval=4, speed_kimg=1, cap=1" in repr(view)


def test_a_batch_that_changes_moves_p_by_the_images_that_d_has_seen() -> None:
    view = AdaptiveAugment(interval=2, speed_kimg=1.0)
    for images in (100, 300):
        logged = view.after_turn("discriminator", {"discriminator/sign": torch.tensor(1.0)}, images)
    assert float(logged["discriminator/ada_p"]) == pytest.approx(0.4)
