"""Adaptive discriminator augmentation, forward and backward, the case `ada` of against_public.py; DIR is a checkout of NVlabs/stylegan2-ada-pytorch.

A round is 64 images of 32x32 and 8 of 64x64, then 4 of 256x256, each through the policy bgc at p = .6 and back to the images; `ada-p02` and `ada-all`
are the same at p = .2 and with the policy bgcfnc at p = .6. The public code runs its reference operators, which are what it has without a GPU.
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
BATCHES = ((64, 32), (8, 64), (4, 256))  # images, side
CASES = {"ada": ("bgc", 0.6), "ada-p02": ("bgc", 0.2), "ada-all": ("bgcfnc", 0.6)}
BLIT_AND_GEOMETRY = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac")
COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")


def public(case: str, checkout: Path) -> Turn:
    """Its AugmentPipe."""
    sys.path.insert(0, str(checkout))
    policy, p = CASES[case]
    names = BLIT_AND_GEOMETRY + COLOUR + (("imgfilter", "noise", "cutout") if policy == "bgcfnc" else ())
    pipe: Any = importlib.import_module("training.augment").AugmentPipe(**dict.fromkeys(names, 1))
    pipe.p.fill_(p)
    return there_and_back(pipe)


def ours(case: str) -> Turn:
    """The view."""
    from saddlepoint.views.ada import Augment

    policy, p = CASES[case]
    return there_and_back(Augment(policy, p=p))


def there_and_back(augment: Callable[[Tensor], Tensor]) -> Turn:
    """Every batch through the augmentation, and a slope back."""
    images = [torch.randn(n, 3, side, side, requires_grad=True) for n, side in BATCHES]
    slopes = [torch.randn_like(x) for x in images]

    def play() -> None:
        for x, slope in zip(images, slopes, strict=True):
            torch.autograd.grad(augment(x), x, slope)

    return play
