"""Adaptive discriminator augmentation, forward and backward: cases of against_public.py; DIR is a checkout of NVlabs/stylegan2-ada-pytorch.

A round is a batch through the policy and back to the images: `ada-32` 64 images of 32x32, `ada-64` 64 of 64x64 and `ada-256` 8 of 256x256 through bgc
at p = .6, `ada-all` the first through bgcfnc. The public code runs its reference operators, which are what it has without a GPU.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Turn = Callable[[], None]
CASES = {"ada-32": ("bgc", 64, 32), "ada-64": ("bgc", 64, 64), "ada-256": ("bgc", 8, 256), "ada-all": ("bgcfnc", 64, 32)}  # policy, images, side
P = 0.6
BLIT_AND_GEOMETRY = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac")
COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")


def public(case: str, checkout: Path) -> Turn:
    """Its AugmentPipe."""
    sys.path.insert(0, str(checkout))
    policy, n, side = CASES[case]
    names = BLIT_AND_GEOMETRY + COLOUR + (("imgfilter", "noise", "cutout") if policy == "bgcfnc" else ())
    pipe: Any = importlib.import_module("training.augment").AugmentPipe(**dict.fromkeys(names, 1))
    pipe.p.fill_(P)
    return there_and_back(pipe, n, side)


def ours(case: str) -> Turn:
    """The view."""
    from saddlepoint.views.ada import Augment

    policy, n, side = CASES[case]
    return there_and_back(Augment(policy, p=P), n, side)


def there_and_back(augment: Callable[[Tensor], Tensor], n: int, side: int) -> Turn:
    """A batch through the augmentation, and a slope back."""
    x, slope = torch.randn(n, 3, side, side, requires_grad=True), torch.randn(n, 3, side, side)

    def play() -> None:
        torch.autograd.grad(augment(x), x, slope)

    return play
