"""CycleGAN: Zhu, Park, Isola, Efros, "Unpaired image-to-image translation using cycle-consistent adversarial networks", ICCV 2017."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.errors import DataError
from saddlepoint.games.cycle import CycleConfig, CycleGame
from saddlepoint.networks.patchgan import PatchGAN
from saddlepoint.networks.translators import ResNetTranslator
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.pix2pix import partner_shape

# Section 4 and appendix 7: batch 1, Adam 2e-4 (.5, .999), 100 epochs and 100 more in which the rate falls to 0 (horses and zebras: 1,334 of the
# larger side), 286 -> 256, mirrored.
PAPER = CycleConfig(batch=1, rounds=266_800, resolution=256)
SMALL = replace(PAPER, resolution=32, batch=2, rounds=6_000, width=16, d_width=32, blocks=3, patch=16, jitter=1.0)
ARMS: dict[str, dict[str, Any]] = {
    "cycle-only": {"adversarial": False},
    "gan-only": {"cycle": "none"},
    "forward": {"cycle": "forward"},
    "backward": {"cycle": "backward"},
    "identity": {"identity_weight": 0.5},
}  # Table 4; section 5.2


@recipe(
    name="cyclegan",
    title="image-to-image translation without pairs: two translators that undo one another",
    paper="Zhu et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1703.10593",
    needs=("image",),
    second="other",
    presets={
        "paper": PAPER,
        "paper-128": replace(PAPER, resolution=128, blocks=6, jitter=143 / 128),
        **{name: replace(PAPER, **arm) for name, arm in ARMS.items()},
        "small": SMALL,
        **{f"small-{name}": replace(SMALL, **arm) for name, arm in ARMS.items()},
        "small-64": replace(SMALL, resolution=64, patch=34),
    },
)
def cyclegan(config: CycleConfig, data: Dataset) -> CycleGame:
    """Two residual translators against two PatchGANs."""
    one, other = data.spec.shape, partner_shape(data.spec, "other", "cyclegan", "domains")
    size = other[1:]
    if min(size) < 12 or size[0] % 4 or size[1] % 4:
        raise DataError(f"cyclegan needs sides of 12 pixels or more that 4 divides; {size[1]}x{size[0]} came. Choose --resolution 32, for example.")
    if config.identity_weight and one[0] != other[0]:
        raise DataError(f"The identity loss needs domains with as many channels; {one[0]} and {other[0]} came. Set identity_weight to 0.")
    translators = [ResNetTranslator(a[0], b[0], config.width, config.blocks, norm=config.norm) for a, b in ((one, other), (other, one))]
    judges = None
    if config.adversarial:
        x, y = (PatchGAN(shape[0], config.patch, config.d_width, norm=config.norm, size=size) for shape in (one, other))
        judges = x, y
    return CycleGame(config, (translators[0], translators[1]), judges, (one, other))
