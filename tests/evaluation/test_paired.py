"""Paired metrics against scikit-image and by hand; spectra and sharpness of a blur that is known; retrieval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import metrics

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.distances import open_distance
from saddlepoint.evaluation.meaning import attribute_accuracy, retrieval
from saddlepoint.evaluation.paired import exact_share, luma, paired_distance, psnr, ssim, target_error
from saddlepoint.evaluation.spectra import fine_gap, radial_power, sharpness, spectral_gap


def pictures(n: int = 4, c: int = 3, h: int = 24, w: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = gaussian_filter(rng.uniform(0, 255, (n, c, h, w)), (0, 0, 1, 1))
    y = np.clip(x + rng.normal(0, 12, x.shape), 0, 255)
    return x.round().astype(np.uint8), y.round().astype(np.uint8)


@pytest.mark.parametrize("c", [1, 3])
def test_psnr_and_ssim_are_those_of_scikit_image(c: int) -> None:
    theirs: Any = metrics
    x, y = pictures(c=c)
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        assert psnr(x, y)[i] == pytest.approx(theirs.peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)
        for window, settings in (("uniform", {}), ("gaussian", gaussian)):
            expected = theirs.structural_similarity(a, b, data_range=255, channel_axis=0, **settings)
            assert ssim(x, y, window=window)[i] == pytest.approx(expected, abs=1e-9)  # type: ignore[arg-type]


def test_the_range_of_the_values_does_not_matter() -> None:
    x, y = pictures()
    floats = torch.from_numpy(x) / 127.5 - 1, torch.from_numpy(y) / 127.5 - 1
    for score in (psnr, ssim, target_error, exact_share):
        if score is not ssim:  # its constants are of values that begin at 0
            np.testing.assert_allclose(score(*floats, data_range=2), score(x, y), atol=1e-5)
    between = open_distance("quick").between
    np.testing.assert_allclose(paired_distance(*floats, between, data_range=2), paired_distance(x, y, between), atol=1e-5)


def test_equal_images_are_at_no_distance() -> None:
    x, y = pictures(n=70)
    assert np.isinf(psnr(x, x)).all() and (ssim(x, x) == 1).all() and (target_error(x, x) == 0).all() and (exact_share(x, x) == 1).all()
    between = open_distance("quick").between
    assert np.abs(paired_distance(x, x, between)).max() < 1e-9 < paired_distance(x, y, between).min()


def test_errors_by_hand() -> None:
    x = np.zeros((1, 2, 2, 2))
    y = x.copy()
    y[0, 1, 0] = [51, 5]
    assert target_error(x, y)[0] == pytest.approx(56 / 8 / 255)
    assert exact_share(x, y)[0] == 0.75
    assert luma(np.array([[[[255]], [[0]], [[0]]]]))[0, 0, 0, 0].item() == pytest.approx(16 + 65.481)
    assert luma(np.zeros((1, 1, 12, 10)), border=4).shape == (1, 1, 4, 2)
    for call in (lambda: psnr(x, y[:, :1]), lambda: psnr(x, y, data_range=0), lambda: ssim(x, y), lambda: luma(x)):
        with pytest.raises(UsageError, match="came|is 0"):
            call()


def test_a_blur_takes_the_high_frequencies() -> None:
    rng = np.random.default_rng(1)
    real = rng.uniform(0, 255, (8, 3, 32, 32))
    blurred = gaussian_filter(real, (0, 0, 1.0, 1.0), mode="wrap")
    gap, expected = spectral_gap(real, blurred), 10 * np.log10(np.exp(-((2 * np.pi * np.arange(17) / 32) ** 2)))  # |exp(-f^2/2)|^2
    np.testing.assert_allclose(gap[1:10], expected[1:10], atol=0.6)  # rings are a pixel wide
    assert fine_gap(real, blurred) < -10 < 0 == fine_gap(real, real)
    assert (sharpness(blurred) < 0.5 * sharpness(real)).all()


def test_powers_sum_to_the_mean_square() -> None:
    x = np.random.default_rng(2).uniform(-1, 1, (2, 1, 8, 8))
    fy, fx = np.meshgrid(np.fft.fftfreq(8), np.fft.fftfreq(8), indexing="ij")
    ring = np.rint(8 * np.hypot(fy, fx)).astype(int)
    power = np.abs(np.fft.fft2(x[:, 0])) ** 2 / 64**2
    found = radial_power(x, data_range=1)
    for j in range(5):
        np.testing.assert_allclose(found[:, j], power[:, ring == j].mean(1))
    np.testing.assert_allclose(power.sum((1, 2)), np.square(x).mean((1, 2, 3)))
    with pytest.raises(UsageError, match="one size"):
        spectral_gap(np.zeros((1, 1, 8, 8)), np.zeros((1, 1, 16, 16)))
    for call in (radial_power, sharpness):
        with pytest.raises(UsageError, match="came"):
            call(np.zeros((3, 1)))


def test_retrieval_knows_its_keys() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(50, 16))
    names = [f"emoji {i}" for i in range(50)]
    order = rng.permutation(50)
    found = retrieval(rows + 5 + 0.01 * rng.normal(size=rows.shape), rows[order], names, [names[i] for i in order])
    assert found.first == 1 and found.rank == 1 and found.chance == pytest.approx(1 / 50)
    lost = retrieval(rng.normal(size=(50, 16)), rows, names)
    assert lost.first < 0.2 and lost.rank > 5
    same = retrieval(rng.normal(size=(10, 4)), np.zeros((10, 4)), range(10))
    assert same.first == 0 and same.rank == 5.5  # nine others as near: neither first nor last
    with pytest.raises(UsageError, match="of no candidate, the first is 'x'"):
        retrieval(rows[:1], rows, ["x"], names)
    with pytest.raises(UsageError, match="One key a row"):
        retrieval(rows, rows, names[:3])


def test_attributes_one_by_one() -> None:
    assert attribute_accuracy(torch.tensor([1, 2, 0]), torch.tensor([1, 2, 2]))["all"] == pytest.approx(2 / 3)
    with pytest.raises(UsageError, match="one shape"):
        attribute_accuracy(np.zeros(3), np.zeros((3, 2)))
