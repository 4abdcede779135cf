"""The images inside the package: Fashion-MNIST's test file, Noto emoji, and scikit-learn's digits.

Origin, licence and checksum of each file: saddlepoint/data/files/LICENSES.md. Axes: n images, c channels, h w image.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.data.idx import read_idx
from saddlepoint.data.images import check_request, resized, with_channels
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import DataCard, Request, source

FILES = Path(__file__).parent / "files"
FASHION_CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
EMOJI_SIDE = 64


def image_dataset(
    request: Request,
    images: Tensor,
    labels: Tensor | None,
    class_names: tuple[str, ...],
    *,
    names: tuple[str, ...] = (),
    keywords: tuple[tuple[str, ...], ...] = (),
    pad: bool = False,
) -> ArrayDataset:
    """Images in memory as a data set, brought to the resolution and channels that were asked for.

    Args:
        request: what was asked.
        images: uint8 [n, c, h, h].
        labels: int64 [n], or None.
        class_names: one a class.
        names, keywords: see :class:`ArrayDataset`.
        pad: see :func:`saddlepoint.data.images.resized`.
    """
    check_request(request.resolution, request.channels)
    fields = {"image": with_channels(resized(images, request.resolution, pad=pad), request.channels)}
    if labels is not None:
        fields["label"] = labels
    spec = DataSpec(
        name=request.name,
        kind="image",
        shape=tuple(fields["image"].shape[1:]),
        num_records=len(images),
        num_classes=None if labels is None else len(class_names),
        class_names=class_names,
        content_hash=content_hash(fields),
        fields=tuple(fields),
    )
    return ArrayDataset(fields, spec, names=names, keywords=keywords)


@source(
    DataCard(
        name="fashion",
        title="Fashion-MNIST's test file: photographs of clothes in 10 classes, grey",
        kind="image",
        shape=(1, 28, 28),
        num_records=10_000,
        licence="MIT",
        origin="github.com/zalandoresearch/fashion-mnist, the t10k files",
        credits="Han Xiao, Kashif Rasul, Roland Vollgraf (Zalando SE), arXiv:1708.07747",
    )
)
def open_fashion(request: Request) -> ArrayDataset:
    """The shipped 10,000 images of Fashion-MNIST, 1,000 a class."""
    images = read_idx(lzma.decompress((FILES / "fashion-images.idx.xz").read_bytes()))
    labels = read_idx(lzma.decompress((FILES / "fashion-labels.idx.xz").read_bytes()))
    return image_dataset(request, images[:, None], labels.to(torch.int64), FASHION_CLASSES, pad=True)


@source(
    DataCard(
        name="emoji",
        title="Noto emoji on white, with names, keywords and 9 groups as classes",
        kind="image",
        shape=(3, 64, 64),
        num_records=1906,
        licence="Apache-2.0 (images; flags public domain), MIT (names, groups, keywords)",
        origin="Noto Emoji 2.048 by way of npm emoji-datasource-google 16.0.0; keywords of npm emojilib 4.0.3",
        credits="Google (Noto Emoji), Cal Henderson (emoji-data), Mu-An Chiou (emojilib)",
    )
)
def open_emoji(request: Request) -> ArrayDataset:
    """The emoji of Unicode 16 without skin-tone variants, ordered as Unicode orders them."""
    entries = json.loads((FILES / "emoji.json").read_text("utf-8"))
    groups = tuple(dict.fromkeys(entry["group"] for entry in entries))
    return image_dataset(
        request,
        _emoji_on_white(len(entries)),
        torch.tensor([groups.index(entry["group"]) for entry in entries]),
        groups,
        names=tuple(entry["name"] for entry in entries),
        keywords=tuple(tuple(entry["keywords"]) for entry in entries),
    )


def _emoji_on_white(count: int) -> Tensor:
    with Image.open(FILES / "emoji.webp") as opened:
        opened.load()
        ground = Image.new("RGBA", opened.size, "white")
        ground.alpha_composite(opened)
        pixels = np.asarray(ground)[..., :3]
    rows, columns = pixels.shape[0] // EMOJI_SIDE, pixels.shape[1] // EMOJI_SIDE
    tiles = pixels.reshape(rows, EMOJI_SIDE, columns, EMOJI_SIDE, 3).transpose(0, 2, 4, 1, 3)  # rows columns c h w
    return torch.from_numpy(np.ascontiguousarray(tiles.reshape(-1, 3, EMOJI_SIDE, EMOJI_SIDE)[:count]))


@source(
    DataCard(
        name="digits",
        title="Handwritten digits at 8 pixels, grey",
        kind="image",
        shape=(1, 8, 8),
        num_records=1797,
        licence="CC BY 4.0 (data), BSD-3-Clause (scikit-learn, which brings it)",
        origin="UCI Optical Recognition of Handwritten Digits, test part, as in sklearn.datasets.load_digits",
        credits="E. Alpaydin, C. Kaynak",
    )
)
def open_digits(request: Request) -> ArrayDataset:
    """scikit-learn's digits; their levels 0 ... 16 become 0 ... 255."""
    from sklearn.datasets import load_digits

    levels, labels = load_digits(return_X_y=True)
    images = np.rint(levels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return image_dataset(request, torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)), tuple("0123456789"))
