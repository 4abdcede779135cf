"""Autoencoders: Rumelhart, Hinton, Williams 1986; denoising: Vincent, Larochelle, Bengio, Manzagol, ICML 2008."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.autoencoding import AutoencoderGame, AutoencodingConfig
from saddlepoint.networks.encoders import encoder_and_decoder
from saddlepoint.zoo.catalogue import recipe


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(AutoencodingConfig):
    """Squared error through a narrow code.

    Attributes:
        noise: deviation of normal noise on what the encoder sees; 0 none.
        holes: share of the pixels that the encoder sees as 0.
    """

    noise: float = 0.0
    holes: float = 0.0


PAPER = AutoencoderConfig(batch=100, rounds=60_000, hidden=(512, 256), latent_dim=32)
SMALL = replace(PAPER, resolution=32, rounds=3_000)


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
    },
)
def autoencoder(config: AutoencoderConfig, data: Dataset) -> AutoencoderGame:
    """One player on the networks asked for."""
    networks = encoder_and_decoder(
        config.network,
        data.spec.shape,
        config.latent_dim,
        config.latent_dim,
        hidden=config.hidden,
        width=config.width,
        activation=config.activation,
    )
    return AutoencoderGame(config, *networks, noise=config.noise, holes=config.holes)
