"""Context Encoders: Pathak, Krähenbühl, Donahue, Darrell, Efros, "Context encoders: feature learning by inpainting", CVPR 2016."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset
from saddlepoint.errors import DataError
from saddlepoint.games.completing import CompletingConfig, CompletingGame, region_of
from saddlepoint.networks.contextencoder import AlexContextEncoder, ContextDiscriminator, ContextEncoder
from saddlepoint.zoo.catalogue import recipe

# Section 5.1 and the released code: images of 350 pixels cropped to 128, batch 64, 500 epochs of 14,900 street views, Adam 2e-4 (.5), ten times that
# for G; 4000 numbers; .999 and .001; an overlap of 4 pixels.
PAPER = CompletingConfig(batch=64, rounds=116_000, resolution=350, crop=128)
SMALL = replace(PAPER, resolution=32, crop=None, batch=32, rounds=2_500, width=32, d_width=32, bottleneck=128, overlap=1)


@recipe(
    name="context-encoder",
    title="a missing part of an image predicted from what is around it",
    paper="Pathak et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1604.07379",
    needs=("image",),
    presets={
        "paper": PAPER,
        "l2": replace(PAPER, rec_weight=1.0),
        "random": replace(PAPER, region="random", overlap=0),
        "random-overlap": replace(PAPER, region="random", overlap=1),
        "channelwise": replace(PAPER, network="channelwise"),
        "alexnet": replace(PAPER, network="alexnet", region="random", overlap=0, rec_weight=1.0, resolution=227, crop=None, g_factor=1.0),
        "small": SMALL,
        "small-l2": replace(SMALL, rec_weight=1.0),
        "small-random": replace(SMALL, region="random", overlap=0),
        "small-channelwise": replace(SMALL, network="channelwise"),
    },
)
def context_encoder(config: CompletingConfig, data: Dataset) -> CompletingGame:
    """The encoder and decoder against a discriminator of the predicted region."""
    channels, size = data.spec.shape[0], config.size_of(data.spec.shape, data.spec.name)
    if min(size) < 16:
        raise DataError(f"context-encoder needs images of 16 pixels or more; {size[1]}x{size[0]} came. Choose --resolution 32, for example.")
    rows, columns = region_of(size, config)
    region = rows.stop - rows.start, columns.stop - columns.start
    generator: AlexContextEncoder | ContextEncoder
    if config.network == "alexnet":
        if config.region == "center" or min(AlexContextEncoder.map_size(size)) < 1:
            raise DataError(
                f"AlexNet predicts whole images of 67 pixels or more; {size[1]}x{size[0]} came with region {config.region}. See the preset."
            )
        generator = AlexContextEncoder(channels, size, config.width)
    else:
        generator = ContextEncoder(channels, size, region, config.width, config.bottleneck, between=config.network)
    judge = ContextDiscriminator(channels, region, config.d_width) if config.rec_weight < 1 else None
    return CompletingGame(config, generator, judge, size)
