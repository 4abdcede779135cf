"""What this machine's convolutions and matrix products reach, for a round's speed to be held against, and how near its processors are."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import conv2d

from saddlepoint.studies.flops import convolution

# samples, channels in, channels out, side of the output, kernel, stride: the wide layers of image networks
CONVOLUTIONS = ((16, 128, 128, 32, 3, 1), (32, 64, 128, 16, 4, 2), (16, 256, 256, 16, 3, 1))
MATRIX = 2048
HANDED_OVER, HANDOVERS = 2**21, 40  # float32 numbers, 8 MiB: more than a processor's own caches, less than those that processors share; repeats
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def machine_ceiling(device: torch.device, dtype: torch.dtype, *, repeats: int = 3, scale: int = 1) -> dict[str, Any]:
    """Best floating-point operations a second of large convolutions, forward and both gradients, and of a square matrix product.

    Args:
        device: where to compute.
        dtype: of all numbers.
        repeats: timed runs of each case, after one that is not timed; the fastest counts.
        scale: factor on the samples of each case; accelerators need more than processors to be filled.
    Returns:
        flop_per_second by case, "convolution": the best of the convolutions, "matrix": of the matrix product,
        "handover": of :func:`handover`, on a processor.
    """
    cases: dict[str, tuple[Callable[[], Any], int]] = {}
    for n, c, o, side, kernel, stride in CONVOLUTIONS:
        for layout, memory_format in LAYOUTS.items():
            name = f"{n * scale}x{c}->{o} {side}x{side} kernel {kernel} stride {stride} {layout}"
            cases[name] = _convolution(n * scale, c, o, side, kernel, stride, memory_format, device, dtype)
    a, b = (torch.randn(MATRIX, MATRIX, device=device, dtype=dtype) for _ in range(2))
    cases["matrix"] = (lambda: a @ b, 2 * MATRIX**3)
    speeds = {name: flop / _fastest(run, repeats, device) for name, (run, flop) in cases.items()}
    matrix = speeds.pop("matrix")
    near = handover() if device.type == "cpu" else None
    return {"convolution": max(speeds.values()), "matrix": matrix, "handover": near, "convolutions": speeds}


def handover() -> float | None:
    """How many times as long two threads take over numbers half of which the other one wrote last; None unless there are two threads.

    About 1.1 where the two processors share a cache and about 3 where they do not. Which two processors a virtual machine runs on can change from one
    second to the next, and with it the time of everything that its threads hand to one another.
    """
    if torch.get_num_threads() != 2:
        return None
    numbers = torch.zeros(HANDED_OVER)
    own: list[float] = []
    handed: list[float] = []  # a sum is cut in the middle: over each half alone, two quarters change hands
    for _ in range(HANDOVERS):
        for parts, times in (([numbers], own), (list(numbers.chunk(2)), handed)):
            numbers.add_(1)
            start = time.perf_counter()
            for part in parts:
                part.add_(1)
            times.append(time.perf_counter() - start)
    return statistics.median(handed) / statistics.median(own)


def _convolution(
    n: int, c: int, o: int, side: int, kernel: int, stride: int, memory_format: torch.memory_format, device: torch.device, dtype: torch.dtype
) -> tuple[Callable[[], Any], int]:
    padding = (kernel - 1) // 2
    x = torch.randn(n, c, side * stride, side * stride, device=device, dtype=dtype).contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn(o, c, kernel, kernel, device=device, dtype=dtype).contiguous(memory_format=memory_format).requires_grad_()
    slope = torch.ones(n, o, side, side, device=device, dtype=dtype).contiguous(memory_format=memory_format)

    def run() -> None:
        torch.autograd.grad(conv2d(x, weight, stride=stride, padding=padding), (x, weight), slope)

    return run, 3 * convolution(tuple(x.shape), tuple(weight.shape), tuple(slope.shape), transposed=False)


def _fastest(run: Callable[[], Any], repeats: int, device: torch.device) -> float:
    times = []
    for _ in range(repeats + 1):
        synchronise(device)
        start = time.perf_counter()
        run()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def synchronise(device: torch.device) -> None:
    """Wait until an accelerator has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
