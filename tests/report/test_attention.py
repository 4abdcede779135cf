"""Pictures of attention: sizes, brightness where a place looks, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.report.attention import GAP, attention_picture


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_place_lights_what_it_looks_at(channels: int) -> None:
    images = torch.ones(2, channels, 16, 32)
    maps = torch.zeros(2, 8, 16, 4, 8)
    maps[:, 0, 0, 3, 7] = 1.0  # the upper left looks at the lower right
    maps[:, 4, 8, 0, 0] = 0.5  # the middle at the upper left, half of the time
    maps[:, 4, 8, 3, 0] = 0.5
    picture = attention_picture(images, maps, [(0.0, 0.0), (0.5, 0.5)], zoom=2)
    assert picture.size == (3 * (64 + GAP) - GAP, 2 * (32 + GAP) - GAP)
    pixels = np.asarray(picture.convert("L"), dtype=float)
    columns = [pixels[:32, start : start + 64] for start in (0, 64 + GAP, 2 * (64 + GAP))]
    assert columns[0][20, 10] == 255  # the image itself
    assert columns[1][28, 60] == 255 and columns[1][28, 10] == pytest.approx(0.15 * 255, abs=1)
    assert columns[2][2, 2] == 255 == columns[2][29, 2] and columns[2][16, 60] == pytest.approx(0.15 * 255, abs=1)


def test_refusals() -> None:
    images, maps = torch.zeros(2, 1, 8, 8), torch.zeros(2, 4, 4, 2, 2)
    with pytest.raises(UsageError, match="one map .* an image"):
        attention_picture(images, maps[:1])
    with pytest.raises(UsageError, match="1 to 6 places"):
        attention_picture(images, maps, [(1.0, 0.0)])
