"""PixelCNN auto-encoder: van den Oord et al., "Conditional image generation with PixelCNN decoders", NIPS 2016, Section 2.4."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from saddlepoint.data.records import Dataset
from saddlepoint.games.autoencoding import AutoencoderGame, AutoencodingConfig
from saddlepoint.games.game import Game
from saddlepoint.games.pixelcnn import PixelAutoencoderConfig, PixelAutoencoderGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.pixelcnn import GatedPixelCNN
from saddlepoint.networks.pixelcode import CodeMaps, PoolingEncoder
from saddlepoint.zoo.catalogue import recipe

# ImageNet patches at 32 pixels, codes of 10 or 100 numbers, the decoder a PixelCNN as in the class-conditional experiment. The encoder's sizes, and
# how the whole moved, are ours to choose.
PAPER = PixelAutoencoderConfig(
    batch=128, rounds=60_000, resolution=32, width=384, layers=20, kernel=5, latent_dim=100, optimizer=Adam(lr=1e-4, beta1=0.9)
)
SMALL = PixelAutoencoderConfig(batch=64, rounds=1_500, levels=2, width=32, layers=5, encoder_width=16, latent_dim=10, clip_norm=1.0)


@recipe(
    name="pixelcnn-autoencoder",
    title="PixelCNN auto-encoder: the decoder is a conditional PixelCNN, so that the code may leave out what pixels tell of each other",
    paper="van den Oord et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1606.05328",
    needs=("image",),
    presets={
        "paper": PAPER,
        "ten": replace(PAPER, latent_dim=10),
        "squares": replace(PAPER, decoder="squares"),
        "small": SMALL,
        "small-two": replace(SMALL, latent_dim=2),
        "small-code": replace(SMALL, condition="code"),
        "small-squares": replace(SMALL, decoder="squares"),
    },
)
def pixelcnn_autoencoder(config: PixelAutoencoderConfig, data: Dataset) -> Game:
    """One player: encoder, maps and PixelCNN; or the same encoder and a decoder that is trained by squared errors."""
    c, h, w = data.spec.shape
    encoder = PoolingEncoder((c, h, w), config.latent_dim, config.encoder_width)
    if config.decoder == "squares":
        plain = AutoencodingConfig(batch=config.batch, rounds=config.rounds, latent_dim=config.latent_dim, optimizer=config.optimizer)
        return AutoencoderGame(plain, encoder, CodeMaps(config.latent_dim, c, (h, w), config.encoder_width))
    in_maps = config.condition == "maps"
    maps = CodeMaps(config.latent_dim, config.maps, (h, w), config.encoder_width) if in_maps else nn.Identity()
    network = GatedPixelCNN(
        (c, h, w),
        config.levels,
        width=config.width,
        layers=config.layers,
        kernel=config.kernel,
        first_kernel=config.first_kernel,
        cond_dim=config.maps if in_maps else config.latent_dim,
    )
    return PixelAutoencoderGame(config, encoder, maps, network)
