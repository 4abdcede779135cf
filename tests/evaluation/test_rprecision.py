"""R-precision on images whose captions can be told, and on those whose cannot."""

from __future__ import annotations

import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.rprecision import fit_matcher, r_precision


def data(n: int, seed: int, noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    rng, fixed = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(99)
    captions = torch.nn.functional.normalize(torch.randn(n, 12, generator=rng), dim=1)
    features = captions @ torch.randn(12, 30, generator=fixed) + noise * torch.randn(n, 30, generator=rng)
    return features, captions


def test_images_that_show_their_captions_are_right_and_others_are_chance() -> None:
    matcher = fit_matcher(*data(300, 0))
    features, captions = data(400, 1)
    found = r_precision(matcher, features, captions)
    assert found.value > 0.95
    assert found.chance == 0.01
    shuffled = r_precision(matcher, features.roll(1, 0), captions)
    assert shuffled.value < 0.05
    assert r_precision(matcher, data(400, 1, noise=2.0)[0], captions).value < found.value


def test_equal_captions_are_no_candidates_of_each_other() -> None:
    matcher = fit_matcher(*data(300, 0))
    features, captions = data(50, 1)
    doubled = r_precision(matcher, features.repeat(2, 1), captions.repeat(2, 1), candidates=50)
    assert doubled.value == r_precision(matcher, features, captions, candidates=50).value
    with pytest.raises(UsageError, match="51 candidates need as many different captions; 50 came"):
        r_precision(matcher, features.repeat(2, 1), captions.repeat(2, 1), candidates=51)


def test_the_penalty_is_chosen_by_leaving_one_out() -> None:
    features, captions = data(40, 2, noise=1.0)
    wide = torch.cat([features, torch.randn(40, 200, generator=torch.Generator().manual_seed(5))], 1)  # more features than images
    matcher = fit_matcher(wide, captions)
    test, truth = data(200, 3, noise=1.0)
    test = torch.cat([test, torch.randn(200, 200, generator=torch.Generator().manual_seed(6))], 1)
    assert (
        r_precision(matcher, test, truth, candidates=20).value
        > r_precision(fit_matcher(wide, captions, ridge=1e-9), test, truth, candidates=20).value
    )
    with pytest.raises(UsageError, match="One caption for each"):
        fit_matcher(features, captions[:3])
