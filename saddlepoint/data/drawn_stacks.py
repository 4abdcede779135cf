"""Stacked digits: three random digits as the colours of one image, so that a set has a thousand known modes.

Che et al. 2017 (arXiv:1612.02136) and Metz et al. 2017 (arXiv:1611.02163), section 3.3.1. The digits are drawn independently and with replacement;
PacGAN (Lin et al. 2018, arXiv:1712.04086) trains on 128,000 stacks and counts the modes of 26,000 samples, so there are as many here.

Axes: n stacks, k digits of a stack, h w image.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from saddlepoint.data.arrays import SPLITS, ArrayDataset, split_rows
from saddlepoint.data.drawn import Drawn, description_hash
from saddlepoint.data.public import open_mnist
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import DataCard, Request, source
from saddlepoint.data.shipped import open_digits
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError

VERSION = 1
TRAIN, TEST = 128_000, 26_000
DIGITS = 3


def open_stacks(request: Request, digits: ArrayDataset, rows: tuple[Tensor, Tensor]) -> ArrayDataset:
    """Stacks of the digits of a set; the last TEST show only digits that the others never show.

    Args:
        request: its name seeds the draw.
        digits: grey images with labels 0 to 9, at the resolution that was asked for.
        rows: of the digits to train with and to test with.
    Raises:
        UsageError: where grey stacks were asked for, which would mix the three digits.
    """
    if request.channels not in (None, DIGITS):
        raise UsageError(f"{request.name} has a digit in each of three channels; {request.channels} was asked for. Leave the channels out.")
    rng = torch.Generator().manual_seed(derive_seed("stacked", VERSION, request.name))
    parts = zip(rows, (TRAIN, TEST), strict=True)
    shown = torch.cat([part[torch.randint(len(part), (count, DIGITS), generator=rng)] for part, count in parts])  # n k
    pixels, shape = digits.column("image")[:, 0], (DIGITS, *digits.spec.shape[1:])
    fields = {
        "image": Drawn(len(shown), shape, lambda wanted: pixels[shown[wanted]], keep=False),
        "label": digits.column("label")[shown] @ torch.tensor([100, 10, 1]),
    }
    spec = DataSpec(
        name=request.name,
        kind="image",
        shape=shape,
        num_records=len(shown),
        num_classes=1000,
        class_names=tuple(f"{mode:03d}" for mode in range(1000)),
        content_hash=description_hash(version=VERSION, digits=digits.spec.content_hash, shown=shown, shape=shape),
        fields=tuple(fields),
    )
    stacks = ArrayDataset(fields, spec)  # type: ignore[arg-type]
    stacks.splits = {"train": torch.arange(TRAIN), "test": torch.arange(TRAIN, len(shown))}
    return stacks


@source(
    DataCard(
        name="stacked-digits",
        title="Three handwritten digits as the colours of one image: 1,000 known modes",
        kind="image",
        shape=(3, 8, 8),
        num_records=TRAIN + TEST,
        licence="CC BY 4.0 (digits), MIT (drawn by this package)",
        origin="saddlepoint.data.drawn_stacks, from scikit-learn's digits",
        credits="E. Alpaydin, C. Kaynak (UCI, optical recognition of handwritten digits)",
    )
)
def open_stacked_digits(request: Request) -> ArrayDataset:
    """128,000 stacks of the digits of ``digits:train`` and 26,000 of ``digits:test``: image, and label 100 a + 10 b + c."""
    digits = open_digits(dataclasses.replace(request, channels=None))
    train, test = (split_rows(len(digits), split, "digits") for split in SPLITS)
    return open_stacks(request, digits, (train, test))


@source(
    DataCard(
        name="stacked-mnist",
        title="Three digits of MNIST as the colours of one image: 1,000 known modes",
        kind="image",
        shape=(3, 28, 28),
        num_records=TRAIN + TEST,
        licence="usually given as CC BY-SA 3.0 (digits), MIT (drawn by this package)",
        origin="saddlepoint.data.drawn_stacks, from MNIST",
        credits="Yann LeCun, Corinna Cortes, Christopher J. C. Burges",
        shipped=False,
    )
)
def open_stacked_mnist(request: Request) -> ArrayDataset:
    """128,000 stacks of MNIST's training digits and 26,000 of its test digits; needs MNIST where it is looked for."""
    digits = open_mnist(dataclasses.replace(request, name="mnist", channels=None))
    return open_stacks(request, digits, (digits.splits["train"], digits.splits["test"]))
