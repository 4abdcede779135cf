"""Image metrics: pyramid distance, MS-SSIM, path length, diversity, segmentation: closed forms, independent formulas, planted faults."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.laplacian import PyramidDescriptors, laplacian_pyramid, laplacian_sliced_wasserstein, pyramid_distance
from saddlepoint.evaluation.msssim import ms_ssim, ms_ssim_diversity, number_of_scales
from saddlepoint.evaluation.pairs import random_pairs
from saddlepoint.evaluation.perceptual import feature_distance, perceptual_diversity, perceptual_path_length, slerp
from saddlepoint.evaluation.segmentation import class_areas, fcn_score, segmentation_distance


def pictures(n: int, side: int, seed: int) -> np.ndarray:
    """Random discs on random ground, uint8 [n, 3, side, side]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    centre, radius = rng.uniform(0, side, (n, 2, 1, 1)), rng.uniform(side / 8, side / 3, (n, 1, 1))
    inside = (x - centre[:, 0]) ** 2 + (y - centre[:, 1]) ** 2 < radius**2
    colours = rng.integers(0, 256, (2, n, 3, 1, 1))
    image = np.where(inside[:, None], colours[0], colours[1]) + 6 * rng.standard_normal((n, 3, side, side))
    return image.clip(0, 255).astype(np.uint8)


def test_the_pyramid_is_that_of_the_5_by_5_filter_and_adds_up():
    images = pictures(2, 64, 0).astype(np.float32)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, None] / 256

    def enlarge(x: np.ndarray) -> np.ndarray:
        spread = np.zeros((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]))
        spread[:, :, ::2, ::2] = x
        return scipy.ndimage.convolve(spread, 4 * kernel, mode="mirror")

    levels = laplacian_pyramid(images)
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    half = scipy.ndimage.convolve(images.astype(np.float64), kernel, mode="mirror")[:, :, ::2, ::2]
    np.testing.assert_allclose(levels[0], images - enlarge(half), atol=1e-3)
    np.testing.assert_allclose(levels[0] + enlarge(levels[1] + enlarge(levels[2])), images, atol=1e-3)


def test_pyramid_distance_sees_at_which_scale_images_differ():
    real, fake = pictures(160, 32, 1), pictures(160, 32, 2)
    floor = laplacian_sliced_wasserstein(real, fake, patches_per_image=32)
    blurred = scipy.ndimage.gaussian_filter(fake.astype(np.float32), (0, 0, 0.8, 0.8)).round().astype(np.uint8)
    fine = laplacian_sliced_wasserstein(real, blurred, patches_per_image=32)
    assert list(floor.levels) == [32, 16]
    assert floor.average == pytest.approx(np.mean(list(floor.levels.values())))
    assert fine.levels[32] > 2 * floor.levels[32]
    assert fine.levels[16] < 1.5 * floor.levels[16]


def test_pyramid_distance_streams_and_normalises_colours():
    real, fake = pictures(40, 16, 3), pictures(40, 16, 4)
    whole, same = PyramidDescriptors(seed=1).update(real), PyramidDescriptors(seed=1).update(torch.from_numpy(real))
    parts = PyramidDescriptors(seed=1).update(real[:15]).update(real[15:])  # other places, the same images
    for rows in whole.normalised().values():
        assert rows.shape == (40 * 128, 147)
        np.testing.assert_allclose(rows.reshape(-1, 3, 49).mean((0, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(rows.reshape(-1, 3, 49).std((0, 2)), 1, atol=1e-4)
    assert pyramid_distance(whole, same).average == pytest.approx(0, abs=1e-9)
    assert pyramid_distance(whole, parts).average < pyramid_distance(whole, PyramidDescriptors().update(fake)).average / 2
    plain = laplacian_sliced_wasserstein(real, fake)
    brighter = laplacian_sliced_wasserstein(real.astype(np.float32), fake.astype(np.float32) * 3 + 40)
    assert brighter.average == pytest.approx(plain.average, rel=1e-3)
    for bad, said in ((real[:, :, :8], "square images"), (pictures(2, 66, 0), "is odd"), (real[:0], "square images")):
        with pytest.raises(UsageError, match=said):
            laplacian_sliced_wasserstein(bad, bad)
    with pytest.raises(UsageError, match="images of one size"):
        PyramidDescriptors().update(real).update(pictures(2, 32, 0))


def test_ms_ssim_of_equal_images_is_one_and_falls_with_noise():
    images = pictures(4, 64, 5).astype(np.float64)
    assert ms_ssim(images, images) == pytest.approx(np.ones(4))
    noise = np.random.default_rng(0).standard_normal(images.shape)
    values = [ms_ssim(images, images + scale * noise).mean() for scale in (0, 10, 30, 90)]
    assert values == sorted(values, reverse=True)
    assert ms_ssim(images / 127.5 - 1, images / 127.5 - 1 + noise / 12.75, data_range=2) == pytest.approx(
        ms_ssim(images - 127.5, images - 127.5 + 10 * noise), rel=1e-9
    )
    assert [number_of_scales(side) for side in (28, 44, 88, 175, 176, 256)] == [2, 3, 4, 4, 5, 5]
    assert ms_ssim(images[..., :8, :8], images[..., :8, :8]) == pytest.approx(np.ones(4))  # the window shrinks with the image
    for bad, said in ((images[0], "pairs of images"), (images * np.nan, "finite images")):
        with pytest.raises(UsageError, match=said):
            ms_ssim(bad, bad)


def test_ms_ssim_diversity_of_a_collapsed_generator_is_one():
    varied = pictures(30, 32, 6)
    found = ms_ssim_diversity(varied, pairs=100)
    assert ms_ssim_diversity(np.repeat(varied[:1], 5, axis=0), pairs=20).value == pytest.approx(1)
    assert found.value < 0.6
    assert 0 < found.error < 0.1
    assert found.scales == 2
    within = ms_ssim_diversity(np.repeat(varied[:2], 5, axis=0), np.repeat([0, 1], 5), pairs=20)
    assert within.value == pytest.approx(1)  # classes alike within, unlike each other


def test_pairs_are_of_one_class_and_never_with_oneself():
    labels = np.array([0, 1, 1, 2, 2, 2, 2])
    first, second = random_pairs(7, labels, 3000, seed=0)
    assert (first != second).all()
    assert (labels[first] == labels[second]).all()
    assert 0 not in first
    assert np.bincount(second, minlength=7)[1:] / 3000 == pytest.approx(np.full(6, 1 / 6), abs=0.04)
    with pytest.raises(UsageError, match="class with two samples"):
        random_pairs(3, np.arange(3), 1, seed=0)


def test_path_length_of_a_linear_generator_in_w_is_twice_the_squared_weights():
    matrix = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def generate(w: torch.Tensor) -> torch.Tensor:
        return (w @ matrix.T).view(-1, 3, 2, 2)

    def squared(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).square().sum((1, 2, 3))

    values = {
        epsilon: perceptual_path_length(
            generate, squared, 5, mapping=lambda z: z, num_samples=4000, epsilon=epsilon, batch_size=500, dtype=torch.float64
        )
        for epsilon in (1e-3, 1e-4)
    }
    assert values[1e-3].value == pytest.approx(values[1e-4].value, rel=1e-6)
    trimmed = 0.93  # two per cent of the tails are left out
    assert values[1e-4].value == pytest.approx(2 * float(matrix.square().sum()), rel=1 - trimmed + 5 * 0.02)
    assert values[1e-4].pairs == pytest.approx(3920, abs=4)
    full = perceptual_path_length(generate, squared, 5, num_samples=500, dtype=torch.float64)
    end = perceptual_path_length(generate, squared, 5, num_samples=500, sampling="end", dtype=torch.float64)
    assert full.value == pytest.approx(end.value, rel=0.3)  # a great circle is walked at one speed
    with pytest.raises(UsageError, match="full or end"):
        perceptual_path_length(generate, squared, 5, num_samples=1)


def test_slerp_stays_on_the_sphere_at_constant_speed():
    a, b = torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    middle = slerp(a, b, 0.5)
    torch.testing.assert_close(middle.norm(dim=1), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close((middle * F.normalize(a, dim=1)).sum(1), (middle * F.normalize(b, dim=1)).sum(1))
    torch.testing.assert_close(slerp(a, b, 1.0), F.normalize(b, dim=1))


def test_feature_distance_and_diversity():
    distance = feature_distance(lambda x: [x, F.avg_pool2d(x, 2)])
    x = torch.rand(10, 3, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(distance(x, x), torch.zeros(10, dtype=torch.float64))
    torch.testing.assert_close(distance(x, 2 * x), torch.zeros(10, dtype=torch.float64), atol=1e-12, rtol=0)  # direction alone counts
    torch.testing.assert_close(distance(x, -x), torch.full((10,), 8.0, dtype=torch.float64))  # |2|^2 in either layer
    weighted = feature_distance(lambda x: [x], [torch.tensor([1.0, 0.0, 0.0])])
    a, b = torch.tensor([[3.0, 0, 4]]).view(1, 3, 1, 1), torch.tensor([[0.0, 1, 0]]).view(1, 3, 1, 1)
    assert weighted(a, b).item() == pytest.approx(0.36)
    assert perceptual_diversity(x, distance, pairs=50).value > 0
    assert perceptual_diversity(x[:1].repeat(4, 1, 1, 1), distance, pairs=10).value == pytest.approx(0)


def test_a_dropped_object_is_named():
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 4, (200, 6, 6)), rng.integers(0, 4, (200, 6, 6))
    floor = segmentation_distance(real, fake, 4)
    dropped = segmentation_distance(real, np.where(fake == 2, 0, fake), 4)
    assert dropped.value > 20 * floor.value
    assert next(iter(dropped.differences)) == 2
    assert dropped.differences[2] == -1
    np.testing.assert_allclose(class_areas(real, 4).sum(1), 1)
    with pytest.raises(UsageError, match=r"Labels lie in 0\.\.2"):
        class_areas(real, 3)
    with pytest.raises(UsageError, match="Label maps are integers"):
        class_areas(real / 2, 4)


def test_fcn_scores_by_hand_and_ignored_pixels():
    target, guess = np.array([[[0, 0, 1, 255]]]), np.array([[[0, 1, 1, 0]]])
    found = fcn_score(guess, target, 3, ignore=255)
    assert found[:3] == pytest.approx((2 / 3, 0.75, 0.5))
    assert found.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    with pytest.raises(UsageError, match="maps of one shape"):
        fcn_score(guess[:, :, :2], target, 3, ignore=255)
