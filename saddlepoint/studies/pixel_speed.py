"""``python -m saddlepoint.studies.pixel_speed``: drawing from a Gated PixelCNN, each feature once against the whole network for each pixel.

Both samplers draw the same images from the same random numbers, in turn in one process; the study gives no factor where an image differs. The plain
one runs the same network, as fast as its convolutions go, once for each sub-pixel. With ``--pixels`` it draws only the first ones, and its time is
scaled to the whole image: each of its steps is the same work. The process's own seconds, unless ``--wall`` asks for elapsed ones.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from typing import Any

import torch
from torch import Tensor

from saddlepoint.networks import pixelcache
from saddlepoint.networks.pixelcnn import GatedPixelCNN, choose, to_values
from saddlepoint.studies.pool import answered
from saddlepoint.training.machine import hardware, versions


@torch.no_grad()
def draw_plainly(network: GatedPixelCNN, uniform: Tensor, pixels: int) -> Tensor:
    """The first ``pixels`` sub-pixels of images [n, c, h, w], the whole network for each; the others stay 0."""
    x = torch.zeros_like(uniform, memory_format=torch.channels_last)
    c, _, w = network.shape
    for place in range(pixels):
        i, j, colour = place // (c * w), place // c % w, place % c
        logits = network(x)[:, :, colour, i, j]
        x[:, colour, i, j] = to_values(choose(logits, uniform[:, colour, i, j]), network.levels, x.dtype)
    return x


def compare(network: GatedPixelCNN, batch: int, repeats: int, pixels: int, wall: bool) -> dict[str, Any]:
    """Seconds an image batch of both samplers (medians), and how many times faster the cached one is (median, least, most).

    Raises:
        AssertionError: where a sub-pixel that both drew differs.
    """
    clock = time.perf_counter if wall else time.process_time
    size = math.prod(network.shape)
    pixels = min(pixels or size, size)
    pixelcache.sample(network, torch.rand(batch, *network.shape))
    network(torch.zeros(batch, *network.shape))
    seconds: list[tuple[float, float]] = []
    for _ in range(repeats):
        uniform = torch.rand(batch, *network.shape)
        start = clock()
        plain = draw_plainly(network, uniform, pixels)
        middle = clock()
        cached = pixelcache.sample(network, uniform)
        seconds.append(((middle - start) * size / pixels, clock() - middle))
        drawn = [x.permute(0, 2, 3, 1).flatten(1)[:, :pixels] for x in (plain, cached)]
        assert torch.equal(*drawn), "the two samplers drew different images"
    ratios = sorted(plain / cached for plain, cached in seconds)
    slow, fast = (statistics.median(each) for each in zip(*seconds, strict=True))
    return {
        "plain_sec": slow,
        "cached_sec": fast,
        "times": statistics.median(ratios),
        "least": ratios[0],
        "most": ratios[-1],
        "drawn_plainly": pixels,
    }


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.pixel_speed", description="Time two samplers of one Gated PixelCNN.")
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--colours", type=int, default=1)
    parser.add_argument("--levels", type=int, default=2)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pixels", type=int, default=0, help="sub-pixels that the plain sampler draws, its time scaled; 0: all")
    parser.add_argument("--wall", action="store_true", help="elapsed seconds, on a quiet machine")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    network = GatedPixelCNN((given.colours, given.side, given.side), given.levels, width=given.width, layers=given.layers)
    network = network.to(memory_format=torch.channels_last)  # a tenth faster for the plain one
    row = compare(network, given.batch, given.repeats, given.pixels, given.wall)
    if given.json:
        found = {"machine": hardware(), "versions": versions(), "threads": torch.get_num_threads(), "settings": vars(given), "row": row}
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    head = ["| plain, s | cached, s | times faster (least to most) | sub-pixels drawn plainly |", "| --- | --- | --- | --- |"]
    times = f"{row['times']:.0f} ({row['least']:.0f} to {row['most']:.0f})"
    sys.stdout.write("\n".join([*head, f"| {row['plain_sec']:.2f} | {row['cached_sec']:.3f} | {times} | {row['drawn_plainly']} |"]) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
