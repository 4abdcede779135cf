"""Global contrast normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.views.contrast import ContrastNormalisation, contrast_normalised


def test_contrast_by_hand():
    x = np.random.default_rng(0).normal(size=(5, 3, 8, 8)) * 40 + 100
    rows = x.reshape(5, -1) - x.reshape(5, -1).mean(1, keepdims=True)
    expected = 55 * rows / np.sqrt((rows**2).sum(1, keepdims=True))
    found = contrast_normalised(torch.from_numpy(x)).flatten(1)
    assert np.allclose(found.numpy(), expected, atol=1e-10)
    rescaled = contrast_normalised(torch.from_numpy(x / 127.5 - 1)).flatten(1)
    assert torch.allclose(found, rescaled, atol=1e-9)  # the unit of the pixels does not matter


def test_an_even_image_stays_at_zero():
    assert contrast_normalised(torch.full((1, 3, 4, 4), 0.5)).abs().max() == 0


def test_the_view_brings_all_images_to_one_mean_and_contrast():
    view = ContrastNormalisation(55.0, mean=-0.1, scale=0.2)
    y = view(torch.rand(6, 3, 8, 8)).flatten(1)
    assert torch.allclose(y.mean(1), torch.full((6,), -0.1), atol=1e-5)
    assert torch.allclose((y + 0.1).norm(dim=1), torch.full((6,), 11.0), rtol=1e-5)
    with pytest.raises(UsageError, match="length above 0; came 0"):
        ContrastNormalisation(0, 0, 1)
