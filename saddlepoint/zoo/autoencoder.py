"""Autoencoders: Rumelhart, Hinton, Williams 1986; denoising: Vincent, Larochelle, Bengio, Manzagol, ICML 2008; hashing: Radford et al., ICLR 2016."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.autoencoding import AutoencoderGame, AutoencodingConfig
from saddlepoint.networks.encoders import encoder_and_decoder
from saddlepoint.networks.layers import Dropout
from saddlepoint.zoo.catalogue import recipe


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(AutoencodingConfig):
    """Squared error through a narrow code.

    Attributes:
        noise: deviation of normal noise on what the encoder sees; 0 none.
        holes: share of the pixels that the encoder sees as 0.
        rectified: the code passes a ReLU: which of its numbers are above 0 is then a hash of the image.
        dropout: share of the code's numbers that the decoder sees as 0 while training.
    """

    noise: float = 0.0
    holes: float = 0.0
    rectified: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must be at least 0 and less than 1; it is {self.dropout}.")


PAPER = AutoencoderConfig(batch=100, rounds=60_000, hidden=(512, 256), latent_dim=32)
SMALL = replace(PAPER, resolution=32, rounds=3_000)
# Radford et al. 2016 (arXiv:1511.06434), section 4.1.1: 3072-128-3072 with ReLU at 32 pixels; noise, dropout and length are not given there
HASHING = replace(PAPER, resolution=32, rounds=2_000, hidden=(), latent_dim=128, rectified=True, noise=0.1, dropout=0.1)


@recipe(
    name="autoencoder",
    title="autoencoder: squared error through a narrow code; its reconstructions are means, hence blurred",
    paper="Rumelhart et al. 1986",
    year=1986,
    url="https://www.nature.com/articles/323533a0",
    needs=("image",),
    presets={
        "paper": PAPER,
        "denoising": replace(PAPER, noise=0.5),
        "convolutional": replace(PAPER, network="conv", width=32),
        "small": SMALL,
        "small-denoising": replace(SMALL, noise=0.5),
        "small-two": replace(SMALL, latent_dim=2),
        "hashing": HASHING,
    },
)
def autoencoder(config: AutoencoderConfig, data: Dataset) -> AutoencoderGame:
    """One player on the networks asked for."""
    encoder, decoder = encoder_and_decoder(
        config.network,
        data.spec.shape,
        config.latent_dim,
        config.latent_dim,
        hidden=config.hidden,
        width=config.width,
        activation=config.activation,
    )
    encoder = nn.Sequential(encoder, nn.ReLU()) if config.rectified else encoder
    decoder = nn.Sequential(Dropout(config.dropout), decoder) if config.dropout else decoder
    return AutoencoderGame(config, encoder, decoder, noise=config.noise, holes=config.holes)
