"""Pictures: where each image lands, how floats become bytes, what scatters show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.grid import image_grid, plane_limits, scatter_picture, to_uint8


def test_bytes_and_floats_agree_both_ways() -> None:
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    for dtype in (torch.float32, torch.float64):
        assert (to_uint8(values.to(dtype).div(127.5).sub(1)) == values.numpy()).all()


def test_images_lie_in_rows_on_white() -> None:
    images = np.stack([np.full((3, 2, 4), 10 * (i + 1), np.uint8) for i in range(5)])
    sheet = np.asarray(image_grid(images, columns=3, gap=1))
    assert sheet.shape == (2 * 3 - 1, 3 * 5 - 1, 3)
    assert [sheet[0, 0, 0], sheet[0, 5, 0], sheet[0, 10, 0], sheet[3, 0, 0], sheet[3, 5, 0]] == [10, 20, 30, 40, 50]
    assert (sheet[3:, 10:] == 255).all() and (sheet[2] == 255).all() and (sheet[:, 4] == 255).all()


def test_grey_zoom_and_other_channel_counts() -> None:
    grey = np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 2)
    assert image_grid(grey).mode == "L" and image_grid(grey, zoom=3).size == (6, 6)
    assert np.array_equal(np.asarray(image_grid(np.concatenate([grey, grey + 9], 1))), grey[0, 0])


@pytest.mark.parametrize(
    ("images", "line"),
    [
        (np.zeros((2, 4, 4), np.uint8), r"\[n, c, h, w\]; shape \[2, 4, 4\]"),
        (np.zeros((1, 1, 4, 4), np.int64), "uint8 or as floats in .-1, 1.; int64"),
        (np.full((1, 1, 4, 4), np.nan), "finite values"),
        (np.zeros((0, 1, 4, 4), np.uint8), "at least one image"),
    ],
)
def test_refuses_in_one_line(images: np.ndarray, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        image_grid(images)


def test_scatter_draws_each_set_where_it_lies() -> None:
    picture = np.asarray(scatter_picture(np.array([[0.5, 0.5]]), np.array([[-0.5, -0.5]]), limits=(-1, 1, -1, 1), size=100))
    (top, left), (bottom, right) = (25, 75), (75, 25)
    blue, grey = picture[top, left], picture[bottom, right]
    assert blue[3] > 0 and blue[2] > blue[0]
    assert grey[3] > 0 and grey[0] == grey[1] == grey[2]
    assert picture[bottom, left, 3] == picture[top, right, 3] == 0


def test_scatter_of_one_and_of_three_dimensions() -> None:
    rng = np.random.default_rng(0)
    bars = np.asarray(scatter_picture(rng.standard_normal((500, 1)), size=90))
    assert bars[-1, :, 3].any() and not bars[0, :, 3].any()
    cloud = rng.standard_normal((50, 3))
    assert np.array_equal(np.asarray(scatter_picture(cloud)), np.asarray(scatter_picture(cloud[:, :2])))
    with pytest.raises(UsageError, match="neither came"):
        scatter_picture(None)


def test_limits_hold_all_points_even_of_a_single_place() -> None:
    left, right, bottom, top = plane_limits(np.array([[0.0, 5.0], [10.0, 5.0]]))
    assert left < 0 < 10 < right and bottom < 5 < top and right - left == pytest.approx(top - bottom)
    assert len(set(plane_limits(np.zeros((3, 1))))) == 2
