"""Gated PixelCNN: what a pixel may know, what the probabilities add up to, and the cached sampler against the slow one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.networks import pixelcache
from saddlepoint.networks.pixelcnn import (
    GatedPixelCNN,
    choose,
    colour_bounds,
    log_likelihood,
    sample_slowly,
    to_levels,
    to_values,
)


def network(shape: tuple[int, int, int], levels: int = 4, seed: int = 0, **changes: int) -> GatedPixelCNN:
    """A network in float64 whose every weight and bias matters."""
    torch.manual_seed(seed)
    settings = {"width": 8, "layers": 4, "kernel": 3, "first_kernel": 5} | changes
    made = GatedPixelCNN(shape, levels, **settings).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


def influence(net: GatedPixelCNN) -> Tensor:
    """Whether sub-pixel a changes the logits of sub-pixel b: boolean [b, a], by the Jacobian at random images (at one, a ReLU may rest)."""
    c, h, w = net.shape
    size = c * h * w
    found = torch.zeros(size, size, dtype=torch.bool)
    for _ in range(4):
        x = (torch.rand(1, c, h, w, dtype=torch.float64) * 2 - 1).repeat(size, 1, 1, 1).requires_grad_()  # a copy for each row of the Jacobian
        logits = net(x).square().sum(1).permute(0, 2, 3, 1).reshape(size, size)  # raster order, colours innermost
        (slope,) = torch.autograd.grad(logits.diagonal().sum(), x)
        found |= slope.permute(0, 2, 3, 1).reshape(size, size) != 0
    return found


@pytest.mark.parametrize(("c", "kernel", "first_kernel", "width"), [(1, 3, 7, 12), (1, 5, 3, 12), (3, 3, 5, 26), (3, 3, 7, 24), (2, 5, 7, 20)])
def test_a_sub_pixel_knows_all_before_it_and_nothing_else(c: int, kernel: int, first_kernel: int, width: int) -> None:
    found = influence(network((c, 6, 5), width=width, kernel=kernel, first_kernel=first_kernel, layers=6))
    size = len(found)
    assert torch.equal(found, torch.ones(size, size, dtype=torch.bool).tril(-1))


def test_perturbing_a_pixel_changes_nothing_before_it() -> None:
    net = network((3, 5, 6), levels=256, width=30)
    x = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    plain = net(x).permute(0, 3, 4, 2, 1).flatten(1, 3)  # n (h w c) k
    for place in range(0, 90, 7):
        other = x.permute(0, 2, 3, 1).flatten().clone()
        other[place] = -1
        changed = net(other.view(1, 5, 6, 3).permute(0, 3, 1, 2).contiguous()).permute(0, 3, 4, 2, 1).flatten(1, 3)
        same = (changed == plain).all(2)[0]
        assert same[: place + 1].all()
        assert place == 89 or not same[place + 1]


@pytest.mark.parametrize(("shape", "levels"), [((1, 2, 2), 2), ((1, 2, 2), 3), ((3, 1, 2), 2), ((2, 2, 1), 3)])
def test_probabilities_of_all_images_add_up_to_one(shape: tuple[int, int, int], levels: int) -> None:
    net = network(shape, levels, cond_dim=2)
    every = torch.tensor(list(itertools.product(range(levels), repeat=math.prod(shape)))).view(-1, *shape)
    cond = torch.tensor([[0.3, -1.0]], dtype=torch.float64).expand(len(every), 2)
    logits = net(to_values(every, levels, torch.float64), cond)
    assert abs(log_likelihood(logits, every).flatten(1).sum(1).exp().sum().item() - 1) < 1e-12


def test_sampled_frequencies_are_the_probabilities() -> None:
    net = network((1, 2, 2), 2)
    n = 20_000
    uniform = torch.rand(n, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    drawn = to_levels(pixelcache.sample(net, uniform), 2).flatten(1) @ torch.tensor([8, 4, 2, 1])
    every = torch.tensor(list(itertools.product(range(2), repeat=4))).view(-1, 1, 2, 2)
    expected = log_likelihood(net(to_values(every, 2, torch.float64)), every).flatten(1).sum(1).exp()
    deviation = (expected * (1 - expected) / n).sqrt()
    assert ((drawn.bincount(minlength=16) / n - expected).abs() < 5 * deviation).all()


CASES = [
    ((1, 7, 6), 2, {}, 0),
    ((1, 6, 7), 16, {"kernel": 5, "first_kernel": 7, "cond_dim": 3}, 2),
    ((3, 5, 4), 4, {"width": 8, "kernel": 5, "cond_dim": 3}, 4),
    ((3, 4, 5), 256, {"width": 9, "layers": 2}, 0),
    ((2, 5, 5), 2, {"layers": 1}, 0),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("shape", "levels", "changes", "axes"), CASES)
def test_the_cached_sampler_is_the_slow_one(shape: tuple[int, int, int], levels: int, changes: dict[str, int], axes: int, dtype: torch.dtype) -> None:
    """The same images bit for bit, from several networks and numbers; the logits to rounding."""
    for seed in range(4):
        net = network(shape, levels, seed, **changes).to(dtype)
        rng = torch.Generator().manual_seed(seed)
        uniform = torch.rand(8, *shape, dtype=dtype, generator=rng)
        cond = None if not axes else torch.randn(8, 3, *shape[1:][: axes - 2], dtype=dtype, generator=rng)
        logits = uniform.new_empty(8, net.outputs, *shape)
        fast, slow = pixelcache.sample(net, uniform, cond, logits), sample_slowly(net, uniform, cond)
        assert torch.equal(fast, slow)
        torch.testing.assert_close(logits, net(fast, cond).detach(), rtol=0, atol=1e-12 if dtype == torch.float64 else 2e-5)
        assert fast.unique().numel() > 1


def test_a_pixel_costs_the_same_in_a_larger_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrix products a pixel, and the window that each one reads, do not depend on the image's size."""
    calls: list[torch.Size] = []
    plain = torch.addmm
    monkeypatch.setattr(torch, "addmm", lambda added, a, b, **settings: (calls.append(a.shape), plain(added, a, b, **settings))[1])
    counts = []
    for side in (4, 8, 16):
        calls.clear()
        net = network((1, side, side), 2)
        pixelcache.sample(net, torch.rand(2, 1, side, side, dtype=torch.float64))
        counts.append((len(calls) / side**2, max(shape[1] for shape in calls)))
    assert counts[0] == counts[1] == counts[2]


def test_levels_and_values() -> None:
    for levels in (2, 3, 16, 256):
        every = torch.arange(levels)
        assert torch.equal(to_levels(to_values(every, levels), levels), every)
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_levels(pixels.float().div(127.5).sub(1), 256), pixels.long())
    torch.testing.assert_close(to_values(torch.arange(256), 256), pixels.float() / 127.5 - 1)


def test_choosing_inverts_the_distribution_function() -> None:
    logits = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log().expand(5, 3)
    assert choose(logits, torch.tensor([0.0, 0.19, 0.21, 0.69, 0.9999])).tolist() == [0, 0, 1, 1, 2]
    one = torch.tensor([[math.log(3.0)]], dtype=torch.float64).expand(3, 1)  # white with probability 3/4
    assert choose(one, torch.tensor([0.2, 0.26, 0.9])).tolist() == [0, 1, 1]
    target = torch.tensor([1]).view(1, 1, 1, 1)
    assert log_likelihood(one[:1].view(1, 1, 1, 1, 1), target).exp().item() == pytest.approx(0.75)


def test_the_condition_moves_every_gate() -> None:
    net = network((1, 4, 4), 2, cond_dim=3)
    x = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    cond = torch.randn(2, 3, dtype=torch.float64)
    logits = net(x, cond)
    assert (logits[0] != logits[1]).all()
    torch.testing.assert_close(net(x, cond[:, :, None, None].expand(2, 3, 4, 4)), logits)
    net(x, cond).square().sum().backward()
    slopes = [layer.condition.weight.grad.abs().amax((1, 2, 3)) for layer in net.layers]  # type: ignore[operator, union-attr]
    assert all((slope > 0).all() for slope in slopes[:-1])
    assert (slopes[-1][16:] > 0).all()  # nothing looks at the last vertical features


def test_errors_say_what_is_needed() -> None:
    for kernels in ({"kernel": 4}, {"first_kernel": 1}):
        with pytest.raises(UsageError, match="odd side of at least 3"):
            GatedPixelCNN((1, 4, 4), 2, **kernels)
    with pytest.raises(UsageError, match="a feature map for each of 3 colours; width is 2"):
        GatedPixelCNN((3, 4, 4), 2, width=2)
    with pytest.raises(UsageError, match="condition of 3 numbers; none came"):
        network((1, 4, 4), cond_dim=3)(torch.zeros(1, 1, 4, 4, dtype=torch.float64))
    with pytest.raises(UsageError, match="has no condition; one came"):
        network((1, 4, 4))(torch.zeros(1, 1, 4, 4, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64))
    assert colour_bounds(6, 1) == [0, 6]
