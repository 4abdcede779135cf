"""``python -m saddlepoint.studies.op_speed``: single operations, the fast form against the plain one, in turn in one process.

Every pair is an operation of a published network: the convolutions of DCGAN at 64 pixels, the inside of pix2pix's U-Net (one image for 64 of the
batch), CycleGAN's ends (two images), residual blocks at 128 to 512 channels, R3GAN's groups, slopes of a penalty, 3D-GAN's networks channels last.
Each repeat runs the plain form, then the fast one; a line gives the median of both, the median of the ratios and their least and most. The process's
own seconds in one thread, unless ``--wall`` asks for elapsed ones in all threads. The result is a table, or JSON.

Axes: n batch, c channels in, o channels out, h image side.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks import convolution, primitives
from saddlepoint.networks.r3gan import R3GANDiscriminator
from saddlepoint.networks.voxels import VoxelDiscriminator, VoxelGenerator
from saddlepoint.studies.pool import answered
from saddlepoint.training.machine import hardware, keep_large_allocations, versions

Work = Callable[[], Any]


class Pair(NamedTuple):
    """One operation in two forms.

    Attributes:
        name: what it is, and of what size.
        plain: torch's own form.
        fast: the library's.
    """

    name: str
    plain: Work
    fast: Work


def _image(n: int, c: int, h: int) -> Tensor:
    return torch.randn(n, c, h, h).to(memory_format=torch.channels_last)


def _kernel(o: int, c: int, k: int) -> Tensor:
    return (torch.randn(o, c, k, k) / math.sqrt(c * k * k)).to(memory_format=torch.channels_last)


def dense(n: int, c: int, o: int, h: int, k: int, stride: int) -> Iterator[Pair]:
    """A convolution of k x k pixels and padding 1 on [n, c, h, h], its adjoint, and its kernel's gradient."""
    x, kernel, form = _image(n, c, h), _kernel(o, c, k), (stride, 1, 1)
    y = F.conv2d(x, kernel, None, stride, 1)
    size = f"{k}x{k} stride {stride}, {c} to {o} channels, {h} px"
    yield Pair(f"{size}: convolution", lambda: F.conv2d(x, kernel, None, stride, 1), lambda: primitives.convolve(x, kernel, None, form))
    yield Pair(f"{size}: adjoint", lambda: F.conv_transpose2d(y, kernel, None, stride, 1), lambda: primitives.adjoint(y, kernel, None, form, x.shape))
    yield _kernel_pair(size, x, y, kernel, form)


def mirrored(n: int, c: int, o: int, h: int) -> Iterator[Pair]:
    """A 7x7 convolution without padding to [n, o, h, h], as behind mirrored borders, its adjoint, and its kernel's gradient."""
    x, kernel, form = _image(n, c, h + 6), _kernel(o, c, 7), (1, 0, 1)
    y = F.conv2d(x, kernel)
    size = f"7x7, {c} to {o} channels, {h} px"
    yield Pair(f"{size}: convolution", lambda: F.conv2d(x, kernel), lambda: primitives.convolve(x, kernel, None, form))
    yield Pair(f"{size}: adjoint", lambda: F.conv_transpose2d(y, kernel), lambda: primitives.adjoint(y, kernel, None, form, x.shape))
    yield _kernel_pair(size, x, y, kernel, form)


def halving(n: int, c: int, o: int, h: int) -> Pair:
    """The kernel's gradient of a 3x3 convolution of stride 2 on [n, c, h, h]."""
    x, kernel = _image(n, c, h), _kernel(o, c, 3)
    return _kernel_pair(f"3x3 stride 2, {c} to {o} channels, {h} px", x, F.conv2d(x, kernel, None, 2, 1), kernel, (2, 1, 1))


def few(n: int, c: int, o: int, h: int) -> Iterator[Pair]:
    """The adjoint alone of the 4x4 convolution of stride 2 that begins with an image: what ends DCGAN's G, and D's slope at its input."""
    x, kernel = _image(n, c, h), _kernel(o, c, 4)
    y = F.conv2d(x, kernel, None, 2, 1)
    size = f"4x4 stride 2, {c} to {o} channels, {h} px"
    yield Pair(f"{size}: adjoint", lambda: F.conv_transpose2d(y, kernel, None, 2, 1), lambda: primitives.adjoint(y, kernel, None, (2, 1, 1), x.shape))


def grouped(n: int, c: int, groups: int, h: int) -> Iterator[Pair]:
    """The 3x3 convolution in groups on [n, c, h, h], and its adjoint."""
    x, kernel, form = _image(n, c, h), _kernel(c, c // groups, 3), (1, 1, groups)
    size = f"3x3 in {groups} groups, {c} channels, {h} px"
    yield Pair(f"{size}: convolution", lambda: F.conv2d(x, kernel, None, 1, 1, 1, groups), lambda: primitives.convolve(x, kernel, None, form))
    yield Pair(
        f"{size}: adjoint",
        lambda: F.conv_transpose2d(x, kernel, None, 1, 1, 0, groups),
        lambda: primitives.adjoint(x, kernel, None, form, x.shape),
    )


def _kernel_pair(size: str, x: Tensor, y: Tensor, kernel: Tensor, form: primitives.Form) -> Pair:
    def plain() -> Tensor:
        stride, padding, groups = form
        settings = (None, (stride, stride), (padding, padding), (1, 1), False, (0, 0), groups, (False, True, False))
        return cast(Tensor, torch.ops.aten.convolution_backward(y, x, kernel, *settings)[1])

    return Pair(f"{size}: gradient of the kernel", plain, lambda: primitives.kernel_gradient(x, y, kernel.shape, form))


def joined(n: int, c: int, h: int) -> Iterator[Pair]:
    """Convolutions joined with the change of resolution beside them, forward and backward."""
    for name, fast, plain in (
        ("3x3, then mean of 2x2", convolution.conv_pool, convolution.conv_pool_reference),
        ("doubling, then 3x3", convolution.up_conv, convolution.up_conv_reference),
    ):
        x, kernel = _image(n, c, h).requires_grad_(), _kernel(c, c, 3).requires_grad_()
        yield Pair(f"{name}, {c} channels, {h} px: both ways", _both_ways(plain, x, kernel), _both_ways(fast, x, kernel))


def _both_ways(layer: Callable[[Tensor, Tensor], Tensor], x: Tensor, kernel: Tensor) -> Work:
    return lambda: torch.autograd.grad(layer(x, kernel).sum(), [x, kernel])


def penalties(n: int, c: int, h: int) -> Iterator[Pair]:
    """The second derivative of a penalty on the slope behind two convolutions, plain and in groups; and of R3GAN's whole discriminator."""
    for groups, what in ((1, "3x3"), (c // 16, f"3x3 in {c // 16} groups")):
        x, kernel = _image(n, c, h).requires_grad_(), _kernel(c, c // groups, 3).requires_grad_()
        yield Pair(
            f"slope penalty behind two {what}, {c} channels, {h} px",
            _penalty(partial(F.conv2d, padding=1, groups=groups), x, kernel),
            _penalty(partial(convolution.conv2d, padding=1, groups=groups), x, kernel),
        )
    discriminator = R3GANDiscriminator((3, h, h), 64)
    images, weights = _image(n, 3, h).requires_grad_(), [*discriminator.parameters()]

    def turn(together: bool) -> Any:
        if together:
            logits, slopes = discriminator.with_slopes(images)
        else:
            logits = discriminator(images).logits
            (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return torch.autograd.grad(F.softplus(logits).mean() + slopes.square().sum(), weights)

    yield Pair(f"R3GAN's D, width 64, {h} px: logits and slopes, then backward", lambda: turn(False), lambda: turn(True))


def volumes(n: int, width: int, side: int) -> Iterator[Pair]:
    """3D-GAN's networks forward and backward, laid out as torch does and channels last."""
    plain = [VoxelGenerator(64, side, width), VoxelDiscriminator(side, width)]
    last = [copy.deepcopy(network).to(memory_format=torch.channels_last_3d) for network in plain]
    inputs = [torch.randn(n, 64), torch.rand(n, 1, side, side, side)]

    def both(network: Any, x: Tensor) -> Any:
        y = network(x)
        return torch.autograd.grad((y if isinstance(y, Tensor) else y.logits).square().mean(), [*network.parameters()])

    for name, one, other, x in zip("GD", plain, last, inputs, strict=True):
        turned = x if x.ndim == 2 else x.to(memory_format=torch.channels_last_3d)
        yield Pair(f"3D-GAN's {name}, width {width}, {side} voxels, batch {n}: channels last", partial(both, one, x), partial(both, other, turned))


def _penalty(layer: Callable[[Tensor, Tensor], Tensor], x: Tensor, kernel: Tensor) -> Work:
    def work() -> Any:
        y = layer(F.leaky_relu(layer(x, kernel), 0.2), kernel)
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), kernel)

    return work


GROUPS: dict[str, Callable[[int], list[Pair]]] = {
    "strided": lambda n: [pair for c, h in ((64, 32), (128, 16), (256, 8)) for pair in dense(n, c, 2 * c, h, 4, 2)],
    "pixels": lambda n: [
        pair for c, o, h in ((512, 512, 2), (512, 512, 4), (512, 1024, 8), (256, 1024, 16)) for pair in dense(-(-n // 64), c, o, h, 4, 2)
    ],
    "windows": lambda n: [*mirrored(-(-n // 32), 64, 3, 128), *mirrored(-(-n // 32), 3, 64, 128), halving(-(-n // 32), 64, 128, 128)],
    "few": lambda n: [*few(n, 3, 64, 64), *few(n, 1, 64, 64)],
    "dense": lambda n: [pair for c, h in ((128, 32), (256, 16), (512, 8)) for pair in dense(n, c, c, h, 3, 1)],
    "grouped": lambda n: [*grouped(n, 192, 12, 32), *grouped(n, 192, 12, 16)],
    "joined": lambda n: [pair for c, h in ((128, 32), (128, 16), (256, 8)) for pair in joined(n, c, h)],
    "volumes": lambda n: [*volumes(-(-n // 4), 16, 32)],
    "penalties": lambda n: [*penalties(max(n // 2, 1), 128, 16)],
}


def compare(pair: Pair, repeats: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Seconds of both forms (medians), and how many times faster the fast one is (median, least, most); a first repeat is not counted."""
    seconds: list[tuple[float, float]] = []
    for _ in range(repeats + 1):
        start = clock()
        pair.plain()
        middle = clock()
        pair.fast()
        seconds.append((middle - start, clock() - middle))
    ratios = sorted(plain / fast for plain, fast in seconds[1:])
    plain, fast = (statistics.median(each) for each in zip(*seconds[1:], strict=True))
    return {"name": pair.name, "plain_sec": plain, "fast_sec": fast, "times": statistics.median(ratios), "least": ratios[0], "most": ratios[-1]}


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write the table."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.op_speed", description="Time single operations against torch's own forms.")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=[*GROUPS], help="one kind of operation")
    parser.add_argument("--wall", action="store_true", help="elapsed seconds in all threads, on a quiet machine")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    keep_large_allocations()
    torch.set_num_threads(threads if given.wall else 1)
    clock = time.perf_counter if given.wall else time.process_time
    try:
        pairs = (pair for name, make in GROUPS.items() if given.only in (None, name) for pair in make(given.batch))
        rows = [compare(pair, given.repeats, clock) for pair in pairs]
    finally:
        torch.set_num_threads(threads)
    if given.json:
        sys.stdout.write(json.dumps({"machine": hardware(), "versions": versions(), "settings": vars(given), "rows": rows}, indent=2) + "\n")
        return 0
    lines = [f"| {row['name']} | {row['plain_sec'] * 1e3:.1f} | {row['fast_sec'] * 1e3:.1f} | {_times(row)} |" for row in rows]
    head = ["| operation | torch's, ms | ours, ms | times faster (least to most) |", "| --- | --- | --- | --- |"]
    sys.stdout.write("\n".join([*head, *lines]) + "\n")
    return 0


def _times(row: dict[str, Any]) -> str:
    return f"{row['times']:.2f} ({row['least']:.2f} to {row['most']:.2f})"


if __name__ == "__main__":
    raise SystemExit(answered(main))
