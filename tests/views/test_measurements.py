"""AmbientGAN's measurements against what they say, their randomness, and what is done to undo them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.views.measurement import MEASUREMENTS, measurement, open_measurement
from saddlepoint.views.measurements import blurred, gaussian_kernel
from saddlepoint.views.recorded import RecordDraws
from saddlepoint.views.unmeasure import Unmeasured, inpaint, median, wiener

NAMES = ("block-pixels", "drop-rows", "drop-columns", "drop-both", "block-patch", "keep-patch", "extract-patch", "convolve-noise")
VECTORS = ("project", "project-told", "gaussian-projection")


def images(n: int = 6, c: int = 1, size: int = 16) -> torch.Tensor:
    return torch.rand(n, c, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def seen(text: str, x: torch.Tensor, seed: str = "y") -> torch.Tensor:
    with use(Draws.seeded(seed, dtype=torch.float64)):
        y: torch.Tensor = open_measurement(text)(x)
    return y


def test_the_table_holds_the_papers_measurements() -> None:
    assert {*NAMES, *VECTORS} <= set(MEASUREMENTS)


@pytest.mark.parametrize("name", [*NAMES, *VECTORS])
def test_gradients_and_pieces(name: str) -> None:
    """First and second derivatives; micro-batches see what the whole batch sees; two samples that are the same are measured differently."""
    text = f"{name}:size=3" if "patch" in name else name
    few = images(2, 1, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: seen(text, v), few, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda v: seen(text, v).square(), few, fast_mode=True)
    x = images(4, 2, 5)
    whole, parts = seen(text, x), []
    for piece in range(2):
        with use(Draws.seeded("y", dtype=torch.float64, piece=piece, pieces=2)):
            parts.append(open_measurement(text)(x[2 * piece : 2 * piece + 2]))
    torch.testing.assert_close(torch.cat(parts), whole)
    twice = seen(text, x[:1].expand(8, -1, -1, -1))
    assert len({tuple(row.flatten().tolist()) for row in twice}) > 1


@pytest.mark.parametrize("zero", ["black", "grey"])
def test_dropping_keeps_the_mean(zero: str) -> None:
    """E f(x) = x in the measurement's unit, because what is left is divided by 1 - p."""
    x = images(1).expand(4000, -1, -1, -1)
    for name, p, error in (("block-pixels", 0.9, 0.25), ("drop-rows", 0.5, 0.08), ("drop-columns", 0.5, 0.08), ("drop-both", 0.5, 0.15)):
        y = seen(f"{name}:p={p},zero={zero}", x)
        assert (y.mean(0) - x[0]).abs().max() < 2 * error, name
        assert (y.mean(0) - x[0]).abs().mean() < error / 2, name


def test_what_is_dropped() -> None:
    ones = torch.ones(400, 3, 12, 12, dtype=torch.float64)
    pixels, rows, columns = (seen(f"{name}:p=0.5", ones) for name in ("block-pixels", "drop-rows", "drop-columns"))
    assert set(pixels.unique().tolist()) == {-1.0, 3.0}  # black, and twice the brightness
    assert torch.equal(pixels, pixels[:, :1].expand_as(pixels)), "all channels together"
    assert torch.equal(rows, rows[..., :1].expand_as(rows)) and torch.equal(columns, columns[..., :1, :].expand_as(columns))
    for y in (pixels, rows, columns):
        assert (y > 0).double().mean().item() == pytest.approx(0.5, abs=0.03)
    both = seen("drop-both:p=0.5", ones)
    assert both.max() == 7 and (both > 0).double().mean().item() == pytest.approx(0.25, abs=0.03)


def test_patches() -> None:
    x = images(300, 1, 10)
    kept, blocked, taken = (seen(f"{name}:size=4", x) for name in ("keep-patch", "block-patch", "extract-patch"))
    inside = kept != -1
    assert (inside.flatten(1).sum(1) == 16).all() and torch.equal(kept[inside], x[inside])
    assert torch.equal(blocked == -1, inside) and torch.equal(blocked[~inside], x[~inside])  # the same draws, the complement
    assert torch.equal(taken[..., 3:7, 3:7].flatten(1), kept[inside].view(300, 16))
    assert (taken.flatten(1) == -1).sum(1).eq(84).all()
    corners = inside.flatten(1).double().argmax(1)
    rows = torch.bincount(corners // 10, minlength=7)
    assert len(rows) == 7 and stats.chisquare(rows.numpy()).pvalue > 1e-3  # every place, alike


def test_blur_is_scipys_and_noise_has_its_deviation() -> None:
    x = images(3, 2)
    u = (x + 1) / 2
    kernel = gaussian_kernel(1.0, 5, x).numpy()
    wanted = np.stack([[ndimage.convolve(channel, kernel, mode="constant") for channel in image] for image in u.numpy()])
    np.testing.assert_allclose(blurred(u), wanted, atol=1e-12)
    clean, noisy = seen("convolve-noise:std=0", x), seen("convolve-noise:std=0.3", x)
    torch.testing.assert_close(clean, torch.from_numpy(wanted) * 2 - 1)
    assert (noisy - clean).std().item() == pytest.approx(0.6, rel=0.1)  # .3 of [0, 1] is .6 of [-1, 1]


def test_projections() -> None:
    """Sums along the rows of an image turned by the angle that is told; a turn loses no mass; 28 pixels become 40, 64 become 92."""
    for size, padded in ((28, 40), (64, 92)):
        assert seen("project:angles=2", images(2, 1, size)).shape == (2, 2 * padded)
    x = torch.zeros(5, 1, 28, 28, dtype=torch.float64) - 1
    x[:, :, 9:19, 4:10] = images(5, 1, 28)[:, :, 9:19, 4:10]
    told = seen("project-told:angles=1", x)
    sums, angle = told[:, :40], told[:, 40]
    assert torch.equal(seen("project:angles=1", x), sums) and angle.abs().max() <= math.pi
    torch.testing.assert_close(sums.sum(1), ((x + 1) / 2).sum((1, 2, 3)), rtol=0.02, atol=0)
    for i in range(5):
        u = np.pad(((x[i, 0] + 1) / 2).numpy(), 6)
        turned = ndimage.rotate(u, math.degrees(angle[i].item()), reshape=False, order=1)
        other = ndimage.rotate(u, -math.degrees(angle[i].item()), reshape=False, order=1)
        far = [np.abs(each.sum(1) - sums[i].numpy()).max() for each in (turned, other)]
        assert min(far) < 0.1, far
    vectors = seen("gaussian-projection:count=2", x)
    theta, values = vectors.view(5, 2, 785)[..., :784], vectors.view(5, 2, 785)[..., 784]
    torch.testing.assert_close(values, (theta * ((x + 1) / 2).flatten(1)[:, None]).sum(2))
    assert theta.std().item() == pytest.approx(1, abs=0.05)


def test_records_have_numbers_of_their_own() -> None:
    """The same in any batch and order; different from record to record, draw to draw and place to place; uniform and normal."""
    whole = RecordDraws("seed", torch.arange(2000))
    a, b, normal, whole_numbers = whole.uniform(2000, 7), whole.uniform(2000, 7), whole.normal(2000, 5), whole.integers(2000, high=10)
    rows = torch.tensor([1999, 3, 512])
    part = RecordDraws("seed", rows)
    assert torch.equal(part.uniform(3, 7), a[rows]) and torch.equal(part.uniform(3, 7), b[rows])
    assert torch.equal(part.normal(3, 5), normal[rows]) and torch.equal(part.integers(3, high=10), whole_numbers[rows])
    assert len(a.unique()) > 0.99 * a.numel() and not torch.equal(a, b)
    assert stats.kstest(a.flatten().numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(normal.flatten().numpy(), "norm").pvalue > 1e-3
    assert stats.chisquare(torch.bincount(whole_numbers, minlength=10).numpy()).pvalue > 1e-3
    table = np.corrcoef(a.T.numpy())
    assert np.abs(table - np.eye(7)).max() < 0.1 and abs(np.corrcoef(a[1:, 0], a[:-1, 0])[0, 1]) < 0.1
    assert not torch.equal(RecordDraws("other", rows).uniform(3, 7), a[rows])


def smooth(n: int = 4, size: int = 24) -> torch.Tensor:
    rows = torch.linspace(0, 3, size, dtype=torch.float64)
    return torch.stack([torch.sin(rows[:, None] * (1 + i / 4)) * torch.cos(rows - i) for i in range(n)])[:, None] * 0.8


def test_what_is_restored_is_nearer_than_what_was_measured() -> None:
    x = smooth()
    cases = (
        ("block-pixels:p=0.5", "blur"),
        ("block-pixels:p=0.5", "inpaint"),
        ("block-patch:size=5", "inpaint"),
        ("convolve-noise:std=0.2", "wiener"),
    )
    for text, method in cases:
        f = open_measurement(text)
        if method == "wiener":  # periodic: as for digits, nothing may lie at the border
            middle = torch.hann_window(24, periodic=False, dtype=torch.float64)
            x = (x + 1) * middle[:, None] * middle - 1
        with use(Draws.seeded("r", dtype=torch.float64)):
            y = f(x)
        with use(Draws.seeded("r", dtype=torch.float64)):
            restored = Unmeasured(f, method)(x)  # type: ignore[arg-type]
        errors = [(each - x).square().mean().item() for each in (y, restored)]
        assert errors[1] < 0.7 * errors[0], (text, method, errors)


def test_restorations_against_others() -> None:
    x = smooth()
    np.testing.assert_allclose(median(x)[0, 0], ndimage.median_filter(x[0, 0].numpy(), 3, mode="constant"), atol=1e-12)
    transfer = np.fft.fft2(np.roll(np.pad(gaussian_kernel(1.0, 5, x).numpy(), ((0, 19), (0, 19))), (-2, -2), (0, 1)))
    y = np.real(np.fft.ifft2(np.fft.fft2(x[0, 0].numpy()) * transfer))  # blurred with a periodic border
    np.testing.assert_allclose(wiener(torch.from_numpy(y)[None, None], 1.0, 5, 0.0)[0, 0], x[0, 0], atol=5e-3)
    line = torch.linspace(0, 1, 9, dtype=torch.float64).expand(1, 1, 9, 9)
    mask = torch.ones(1, 1, 9, 9, dtype=torch.float64)
    mask[..., 3:6, 3:6] = 0
    torch.testing.assert_close(inpaint(line * mask, mask, 2000), line, atol=0.02, rtol=0)  # a slope has least variation


def test_errors_say_what_to_do() -> None:
    for text, message in (
        ("block-pixel", "no measurement 'block-pixel'. Nearest: block-pixels"),
        ("block-pixels:q=1", "has the settings p, zero, written block-pixels:KEY=VALUE; 'q=1' came"),
        ("block-pixels:p=1", "at least 0 and below 1"),
        ("block-patch:size=0", "at least 1 pixel"),
        ("convolve-noise:kernel=4", "an odd kernel"),
        ("project:angles=0", "at least one angle"),
        ("gaussian-projection:count=0", "at least one vector"),
        ("keep-patch:zero=white", "black or grey; 'white'"),
    ):
        with pytest.raises(UsageError, match=message):
            open_measurement(text)
    with pytest.raises(UsageError, match="patch of 14 pixels does not fit into images of 8x8"):
        open_measurement("keep-patch:size=14")(images(2, 1, 8))
    for text, method, message in (
        ("block-pixels", "wiener", "can be undone by blur or median or inpaint"),
        ("convolve-noise", "blur", "can be undone by wiener"),
        ("extract-patch", "inpaint", "cannot be undone image by image"),
    ):
        with pytest.raises(UsageError, match=message):
            Unmeasured(open_measurement(text), method)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two measurements are named 'project'"):
        measurement("project")(lambda: None)
