"""The parts of ADA against their definitions: resampling by zeros and filters, homogeneous matrices, PyTorch's own sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad

from saddlepoint.draws import Draws, use
from saddlepoint.views.ada import Augment, Policy
from saddlepoint.views.chance import Chance
from saddlepoint.views.colour import Colour, draw_colour, recolour
from saddlepoint.views.corruptions import EXPECTED_POWER, amplify, amplify_reference, cut_out, draw_gains
from saddlepoint.views.geometry import Affine, Geometry, along_axes, anywhere, draw_affine, transform, transform_reference
from saddlepoint.views.warp import warp, warp_reference
from saddlepoint.views.wavelets import SYM2, SYM6, band_filters, bands, downsampling, padded_size, reflected, upsampling

CPU = torch.device("cpu")
GEOMETRY = Geometry(xflip=1.0, rotate90=1.0, integer=1.0, scale=1.0, rotate=1.0, aniso=1.0, fraction=1.0)
STRAIGHT = Geometry(xflip=1.0, rotate90=1.0, integer=1.0, scale=1.0, aniso=1.0, fraction=1.0)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def chance(x: Tensor, p: float = 1.0, seed: int = 0) -> Chance:
    with use(Draws.seeded("test", seed, dtype=torch.float64)):
        return Chance(x, torch.tensor(p, dtype=torch.float64))


def public_reference(x: Tensor, linear: Tensor, shift: Tensor) -> Tensor:
    """Reflection, grid and sampling by PyTorch's own functions: pad, affine_grid, grid_sample."""
    n, c, h, w = x.shape
    taps = torch.tensor(SYM6, dtype=x.dtype) / math.sqrt(2)
    x = pad(x, [w - 1, w - 1, h - 1, h - 1], mode="reflect")
    holed = x.new_zeros(n, c, 2 * x.shape[2], 2 * x.shape[3])
    holed[:, :, ::2, ::2] = 4 * x
    fine = filtered(pad(holed, [6, 5, 6, 5]), taps.flip(0))
    half_out, half_in = x.new_tensor([w + 6, h + 6]), x.new_tensor([fine.shape[3], fine.shape[2]]) / 2
    centre = 2 * (linear @ x.new_tensor([0.25, 0.25]) + shift) - 0.5  # the finer pixels lie a quarter of a pixel off on either side
    theta = torch.cat([linear * half_out / half_in.unsqueeze(1), (centre / half_in).unsqueeze(2)], 2)
    grid = affine_grid(theta, [n, c, 2 * h + 12, 2 * w + 12], align_corners=False)
    sampled = grid_sample(fine, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return filtered(sampled[:, :, 1:-1, 1:-1], taps)[:, :, ::2, ::2]


def filtered(x: Tensor, taps: Tensor) -> Tensor:
    c = x.shape[1]
    return conv2d(conv2d(x, taps.view(1, 1, 1, -1).expand(c, 1, 1, -1), groups=c), taps.view(1, 1, -1, 1).expand(c, 1, -1, 1), groups=c)


def derivatives(function: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
    """What R1 behind the view differentiates: the values, the slope of a nonlinear D, and the slope of its square by D's weights."""
    x = x.detach().requires_grad_()
    weights = images(*x.shape, seed=5).requires_grad_()
    y = function(x)
    (slope,) = torch.autograd.grad((y * weights).tanh().sum(), x, create_graph=True)
    return [y, slope, torch.autograd.grad(slope.square().sum(), weights)[0]]


def test_wavelets_are_orthogonal() -> None:
    for taps in (np.array(SYM6), np.array(SYM2)):
        powers = np.correlate(taps, taps, "full")[len(taps) - 1 :: 2]  # even shifts
        np.testing.assert_allclose(powers, np.eye(len(powers))[0], atol=1e-11)
        np.testing.assert_allclose(taps.sum(), math.sqrt(2), atol=1e-11)
        moments = [(taps * (-1.0) ** np.arange(len(taps)) * np.arange(len(taps)) ** power).sum() for power in range(len(taps) // 2)]
        np.testing.assert_allclose(moments, 0, atol=2e-6)


@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_up_and_down_again_is_the_identity(size: int) -> None:
    start = padded_size(size) - size - 4  # the first finer pixel that the downsampling reads
    fine = upsampling(size, torch.float64, CPU)[start : start + 2 * size + 10]
    torch.testing.assert_close(downsampling(size, torch.float64, CPU) @ fine, torch.eye(size, dtype=torch.float64), rtol=0, atol=1e-10)
    x = images(2, 3, size, size)
    still = Affine(2, x)
    torch.testing.assert_close(anywhere(x, still.linear, still.shift), x, rtol=0, atol=1e-10)
    torch.testing.assert_close(along_axes(x, still.linear, still.shift), x, rtol=0, atol=1e-10)


def test_bands_are_the_published_bank() -> None:
    low = np.array(SYM2)
    high = low * np.array([1, -1, 1, -1])
    low, high = np.convolve(low, low[::-1]) / 2, np.convolve(high, high[::-1]) / 2
    expected = np.zeros((4, 43))
    spaced = {step: np.zeros(6 * step + 1) for step in (1, 2, 4)}
    for step, taps in spaced.items():
        taps[::step] = low
    chain = [spaced[1], np.convolve(spaced[1], spaced[2]), np.convolve(np.convolve(spaced[1], spaced[2]), spaced[4])]
    tops = [np.zeros(6 * step + 1) for step in (1, 2, 4)]
    for taps, step in zip(tops, (1, 2, 4), strict=True):
        taps[::step] = high
    for band, taps in enumerate((chain[2], np.convolve(chain[1], tops[2]), np.convolve(chain[0], tops[1]), tops[0])):
        start = (43 - len(taps)) // 2
        expected[band, start : start + len(taps)] = taps
    np.testing.assert_allclose(band_filters().numpy(), expected, atol=1e-14)
    for size in (1, 8, 30):
        torch.testing.assert_close(bands(size, torch.float64, CPU).sum(0), torch.eye(size, dtype=torch.float64), rtol=0, atol=1e-10)


def test_amplification_is_a_filter_along_both_axes() -> None:
    x, gains = images(2, 3, 40, 32), images(2, 4, seed=1).exp()
    taps = (gains @ band_filters()).numpy()
    bordered = np.pad(x.numpy(), ((0, 0), (0, 0), (21, 21), (21, 21)), mode="reflect")
    expected = [
        [scipy.signal.convolve2d(image, np.outer(each, each), "valid") for image in sample] for sample, each in zip(bordered, taps, strict=True)
    ]
    torch.testing.assert_close(amplify(x, gains), torch.tensor(np.array(expected)), rtol=0, atol=1e-10)


def test_gains_keep_the_power_of_a_natural_image_for_each_band_alone() -> None:
    gains = draw_gains(1.0, chance(images(500, 1, 1, 1), p=0.1))
    power = torch.tensor(EXPECTED_POWER, dtype=torch.float64)
    one = (gains / gains.amin(1, keepdim=True)).sub(1).abs().gt(1e-9).sum(1) == 1  # samples of which one band was amplified
    assert one.sum() > 50
    torch.testing.assert_close((power * gains[one].square()).sum(1), torch.ones(int(one.sum()), dtype=torch.float64))
    assert (gains == 1).all(1).double().mean() == pytest.approx(0.9**4, abs=0.09)


def test_reflection_is_numpys() -> None:
    for size in (1, 2, 5):
        expected = np.pad(np.arange(size), 12, mode="reflect" if size > 1 else "edge")
        assert reflected(torch.arange(-12, size + 12), size).tolist() == expected.tolist()


@pytest.mark.parametrize("shape", [(3, 2, 7, 5), (2, 1, 1, 1)])
def test_sampling_agrees_with_its_reference_and_all_its_derivatives(shape: tuple[int, ...]) -> None:
    x, grid, slope = (
        images(*shape).requires_grad_(),
        images(shape[0], 4, 6, 2, seed=1) * 0.8,
        images(shape[0], shape[1], 4, 6, seed=2).requires_grad_(),
    )
    found = [warp(x, grid), warp_reference(x, grid)]
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)
    first = [torch.autograd.grad((y * slope).sum(), x, create_graph=True)[0] for y in found]
    torch.testing.assert_close(*first, rtol=0, atol=1e-12)
    second = [torch.autograd.grad(g.pow(3).sum(), slope)[0] for g in first]
    torch.testing.assert_close(*second, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(lambda t: warp(t, grid), x)
    assert torch.autograd.gradgradcheck(lambda t: warp(t, grid), x)


@pytest.mark.parametrize("shape", [(8, 3, 16, 16), (8, 1, 12, 20), (8, 2, 9, 11)])
@pytest.mark.parametrize("geometry", [GEOMETRY, STRAIGHT])
def test_geometry_is_its_definition_with_two_derivatives(shape: tuple[int, ...], geometry: Geometry) -> None:
    x = images(*shape)
    affine = draw_affine(geometry, chance(x, 0.7), *shape[2:])
    torch.testing.assert_close(transform_reference(x, affine), public_reference(x, affine.linear, affine.shift), rtol=0, atol=1e-9)
    expected = derivatives(lambda t: transform_reference(t, affine), x)
    for fast in (transform, lambda t, affine: anywhere(t, affine.linear, affine.shift)):
        torch.testing.assert_close(derivatives(partial(fast, affine=affine), x), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(4, 3, 40, 32), (4, 1, 7, 9)])
def test_amplification_is_its_definition_with_two_derivatives(shape: tuple[int, ...]) -> None:
    x, gains = images(*shape), images(4, 4, seed=1).exp()
    expected = derivatives(lambda t: amplify_reference(t, gains), x)
    torch.testing.assert_close(derivatives(lambda t: amplify(t, gains), x), expected, rtol=0, atol=1e-8)


def test_maps_compose_backwards_as_homogeneous_matrices() -> None:
    x = images(5, 1, 8, 8)
    a, b, t = images(3, 5)
    affine = Affine(5, x)
    affine.scale(a.exp(), b.exp())
    affine.turn(t.cos(), t.sin())
    affine.move(a, b)
    for row in range(5):
        scale = np.diag([math.exp(-a[row]), math.exp(-b[row]), 1])
        turn = np.array([[math.cos(t[row]), -math.sin(t[row]), 0], [math.sin(t[row]), math.cos(t[row]), 0], [0, 0, 1]])
        move = np.array([[1, 0, -float(a[row])], [0, 1, -float(b[row])], [0, 0, 1]])
        expected = scale @ turn @ move
        np.testing.assert_allclose(affine.linear[row], expected[:2, :2], atol=1e-12)
        np.testing.assert_allclose(affine.shift[row], expected[:2, 2], atol=1e-12)


def only(x: Tensor, percentile: float, **geometry: float) -> Tensor:
    return Augment(Policy(geometry=Geometry(**geometry)))(x, percentile=percentile)


def test_blitting_moves_pixels_as_they_are() -> None:
    """Whole pixels, right angles; the reflection comes in from the border."""
    x = images(1, 3, 24, 24)
    torch.testing.assert_close(only(x, 0.1, rotate90=1.0), x, rtol=0, atol=1e-9)
    moved = only(x, 1.0, integer=1.0)  # an eighth of 24: three to the right and down
    torch.testing.assert_close(moved[..., 3:, 3:], x[..., :-3, :-3], rtol=0, atol=1e-9)
    torch.testing.assert_close(moved[..., 3:, :3], x[..., :-3, 1:4].flip(3), rtol=0, atol=1e-9)
    smooth = torch.nn.functional.interpolate(images(1, 1, 4, 4), (24, 24), mode="bicubic")  # sym6 is nearly, not exactly, symmetric
    torch.testing.assert_close(only(smooth, 0.6, xflip=1.0), smooth.flip(3), rtol=0, atol=0.1)
    for quarter in (1, 2, 3):
        turned = torch.rot90(smooth, quarter, (2, 3))  # against the clock
        torch.testing.assert_close(only(smooth, quarter / 4 + 0.1, rotate90=1.0), turned, rtol=0, atol=0.1)


def test_small_and_odd_images_pass() -> None:
    for shape in ((2, 3, 1, 1), (2, 1, 2, 3), (2, 3, 5, 4)):
        y = Augment("bgcfnc", p=1.0)(images(*shape))
        assert y.shape == shape and y.isfinite().all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_colour_is_the_product_of_its_maps(channels: int) -> None:
    """Homogeneous matrices in the paper's order; the hue's turn by its axis and angle."""
    x = images(6, channels, 3, 4)
    dice, again = chance(x, 0.7), chance(x, 0.7)
    matrix, offset = draw_colour(Colour(brightness=1.0, contrast=1.0, lumaflip=1.0, hue=1.0, saturation=1.0), dice, channels)
    v = np.append(np.ones(channels), 0) / math.sqrt(channels)
    brightness, brightness_size = again.happens(1.0), again.normal()
    contrast, contrast_size = again.happens(1.0), again.normal()
    flip, side = again.happens(1.0), again.uniform()
    hue, angle = (again.happens(1.0), again.uniform()) if channels == 3 else (flip & ~flip, side)
    saturation, saturation_size = (again.happens(1.0), again.normal()) if channels > 1 else (flip & ~flip, side)
    for row in range(6):
        whole = np.eye(channels + 1)
        if brightness[row]:
            shift = np.eye(channels + 1)
            shift[:-1, -1] = 0.2 * float(brightness_size[row])
            whole = shift @ whole
        if contrast[row]:
            whole = np.diag([2 ** (0.5 * float(contrast_size[row]))] * channels + [1]) @ whole
        if flip[row] and side[row] >= 0.5:
            whole = (np.eye(channels + 1) - 2 * np.outer(v, v)) @ whole
        if hue[row]:
            whole = np.block([[turn_about(v[:3], math.pi * (2 * float(angle[row]) - 1)), np.zeros((3, 1))], [np.zeros((1, 3)), 1]]) @ whole
        if saturation[row]:
            whole = (np.outer(v, v) + 2 ** float(saturation_size[row]) * (np.eye(channels + 1) - np.outer(v, v))) @ whole
        np.testing.assert_allclose(matrix[row], whole[:channels, :channels], atol=1e-12)
        np.testing.assert_allclose(offset[row], whole[:channels, channels], atol=1e-12)
    expected = torch.einsum("nij,njhw->nihw", matrix, x) + offset[:, :, None, None]
    torch.testing.assert_close(recolour(x, matrix, offset), expected, rtol=0, atol=1e-12)


def turn_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def test_cutout_sets_half_of_each_side_to_zero() -> None:
    x = torch.ones(3000, 2, 16, 24, dtype=torch.float64)
    y = cut_out(x, 1.0, chance(x, 0.5)).numpy()
    assert (y[:, 0] == y[:, 1]).all()
    rows, columns = (y[:, 0] == 0).any(2).sum(1), (y[:, 0] == 0).any(1).sum(1)
    assert rows.max() == 8 and columns.max() == 12
    assert (rows > 0).mean() == pytest.approx(0.5, abs=0.04)
    assert ((y[:, 0] == 0).sum((1, 2)) == rows * columns).all()
    assert (rows[rows > 0] == 8).mean() == pytest.approx(0.5 + 1 / 16, abs=0.1)  # centres in the middle half keep the whole rectangle


def test_noise_has_a_half_normal_deviation() -> None:
    x = torch.zeros(3000, 1, 8, 8, dtype=torch.float64)
    with use(Draws.seeded("noise", dtype=torch.float64)):
        y = Augment("noise", p=0.5)(x)
    std = y.flatten(1).std(1)
    assert (std > 0).double().mean() == pytest.approx(0.5, abs=0.04)
    assert y.square().mean() == pytest.approx(0.5 * 0.1**2, rel=0.1)


def test_a_percentile_stands_for_every_number() -> None:
    x = images(1, 3, 16, 16)
    bright = Augment(Policy(colour=Colour(brightness=1.0)))
    torch.testing.assert_close(bright(x, percentile=0.9) - x, torch.full_like(x, 0.2 * float(torch.erfinv(torch.tensor(0.8, dtype=torch.float64)))))
    torch.testing.assert_close(bright(x, percentile=0.5), x)
    for policy in ("blit", "geom", "color", "filter"):
        assert not torch.equal(Augment(policy)(x, percentile=0.8), x)
