"""DiscoGAN: Kim, Cha, Kim, Lee, Kim, "Learning to discover cross-domain relations with generative adversarial networks", ICML 2017."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.games.disco import DiscoConfig, DiscoGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.disco import DiscoDiscriminator, DiscoTranslator
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.pix2pix import partner_shape

# The released code: 64 pixels, batches of 64, Adam 2e-4 (.5, .999) with weight decay 1e-5; r .01 for 10,000 iterations, then .5. Its default
# of 5,000 epochs is an upper bound: 100,000 iterations here, which are 33,333 rounds of one D move and two of G. Small: a quarter of the width,
# Adam 5e-4.
PAPER = DiscoConfig(batch=64, rounds=33_333, resolution=64)
SMALL = replace(PAPER, resolution=32, batch=32, width=16, d_width=16, rounds=2_000, curriculum=400, optimizer=Adam(lr=5e-4, weight_decay=1e-5))
ARMS: dict[str, dict[str, Any]] = {"recongan": {"arm": "recongan"}, "gan": {"arm": "gan"}, "bottleneck": {"bottleneck": 100}}  # Figure 2; model.py


@recipe(
    name="discogan",
    title="relations between two domains without pairs: two translators, matched features, a curriculum",
    paper="Kim et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1703.05192",
    needs=("image",),
    second="other",
    presets={
        "paper": PAPER,
        **{name: replace(PAPER, **arm) for name, arm in ARMS.items()},
        "small": SMALL,
        **{f"small-{name}": replace(SMALL, **arm) for name, arm in ARMS.items()},
    },
)
def discogan(config: DiscoConfig, data: Dataset) -> DiscoGame:
    """Two translators and two discriminators, as far as the arm has them."""
    one, other = data.spec.shape, partner_shape(data.spec, "other", "discogan", "domains")
    size = (other[1], other[2])
    settings: dict[str, Any] = {"norm": config.norm, "bottleneck": config.bottleneck}
    to_y, to_x = (DiscoTranslator(a[0], b[0], size, config.width, **settings) for a, b in ((one, other), (other, one)))
    judge_y, judge_x = (DiscoDiscriminator(shape[0], size, config.d_width, norm=config.norm) for shape in (other, one))
    return DiscoGame(config, to_y, judge_y, None if config.arm == "gan" else to_x, judge_x if config.arm == "discogan" else None)
