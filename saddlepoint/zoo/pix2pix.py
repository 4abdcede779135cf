"""pix2pix: Isola, Zhu, Zhou, Efros, "Image-to-image translation with conditional adversarial networks", CVPR 2017."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saddlepoint.data.records import Dataset, DataSpec
from saddlepoint.errors import DataError
from saddlepoint.games.player import Adam
from saddlepoint.games.translating import PairedConfig, PairedTranslation
from saddlepoint.networks.patchgan import PatchGAN
from saddlepoint.networks.unet import UNet
from saddlepoint.zoo.catalogue import recipe

# Section 3.3 and appendix 6: batch 1, Adam 2e-4 (.5, .999), 200 epochs (facades: 400 pairs), 286 -> 256, mirrored. That the rate falls from the 100th
# epoch on is the later PyTorch code's.
PAPER = PairedConfig(batch=1, rounds=80_000, resolution=256)
SMALL = replace(
    PAPER, resolution=64, batch=4, rounds=4_000, width=32, d_width=32, patch=34, norm="instance", jitter=1.0, optimizer=Adam(lr=1e-3)
)  # 80,000 rounds of 2e-4 become 4,000 of 1e-3
ARMS: dict[str, dict[str, Any]] = {
    "l1": {"adversary": "none"},
    "gan": {"adversary": "image", "l1_weight": 0.0},
    "cgan": {"adversary": "pair", "l1_weight": 0.0},
    "l1-gan": {"adversary": "image"},
    "encoder-decoder": {"skips": False},
}  # Tables 1 and 2


def partner_shape(spec: DataSpec, field: str, recipe: str, prefix: str) -> tuple[int, int, int]:
    """Shape of the second image of a record, of the first one's size.

    Raises:
        DataError: without it, or of another size.
    """
    if field not in spec.shapes:
        raise DataError(f"{recipe} needs two images a record; {spec.name} has {', '.join(spec.fields)}. Name the data {prefix}:PATH.")
    shape = spec.shapes[field]
    if shape[1:] != spec.shape[1:]:
        sizes = [f"{size[2]}x{size[1]}" for size in (spec.shape, shape)]
        raise DataError(f"{recipe} needs both images of one size; {spec.name} has {' and '.join(sizes)}. Bring them to one: --resolution 64.")
    return shape[0], shape[1], shape[2]


@recipe(
    name="pix2pix",
    title="image-to-image translation from pairs: a U-Net, a discriminator of patches, and L1",
    paper="Isola et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1611.07004",
    needs=("image",),
    second="partner",
    presets={
        "paper": PAPER,
        **{name: replace(PAPER, **arm) for name, arm in ARMS.items()},
        **{f"patch-{patch}": replace(PAPER, patch=patch) for patch in (1, 16, 286)},
        "instance": replace(PAPER, norm="instance"),
        "small": SMALL,
        **{f"small-{name}": replace(SMALL, **arm) for name, arm in ARMS.items()},
        "small-32": replace(SMALL, resolution=32, patch=16),
    },
)
def pix2pix(config: PairedConfig, data: Dataset) -> PairedTranslation:
    """The U-Net against the PatchGAN."""
    spec = data.spec
    channels, (out_channels, h, w) = spec.shape[0], partner_shape(spec, "partner", "pix2pix", "pairs")
    generator = UNet(channels, out_channels, (h, w), config.width, norm=config.norm, noise=config.noise, skips=config.skips)
    judged = {"pair": channels + out_channels, "image": out_channels, "none": 0}[config.adversary]
    judge = PatchGAN(judged, config.patch, config.d_width, norm=config.norm, size=(h, w)) if judged else None
    return PairedTranslation(config, generator, judge)
