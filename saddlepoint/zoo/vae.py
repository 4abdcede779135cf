"""Variational autoencoder: Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.autoencoding import VAEConfig, VAEGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.encoders import encoder_and_decoder
from saddlepoint.zoo.catalogue import recipe

# One hidden layer of 500 tanh units, Bernoulli pixels, batches of 100, one sample of the code. The paper moved by Adagrad at a rate chosen from
# .01, .02 and .1; here by Adam.
PAPER = VAEConfig(
    batch=100,
    rounds=100_000,
    hidden=(500,),
    activation="tanh",
    latent_dim=20,
    binarise=True,
    optimizer=Adam(lr=1e-3, beta1=0.9),
)
SMALL = replace(PAPER, resolution=32, rounds=3_000)


@recipe(
    name="vae",
    title="variational autoencoder: a bound on the likelihood, codes that are drawn from a normal distribution",
    paper="Kingma & Welling 2014",
    year=2014,
    url="https://arxiv.org/abs/1312.6114",
    needs=("image",),
    presets={
        "paper": PAPER,
        "frey": replace(PAPER, hidden=(200,), likelihood="gaussian", binarise=False),
        "iwae": replace(PAPER, hidden=(200, 200), latent_dim=50),  # the one-layer network of Burda et al. 2016
        "convolutional": replace(PAPER, network="conv", width=32, likelihood="gaussian", binarise=False, latent_dim=64),
        "small": replace(SMALL, binarise=False),
        "small-conv": replace(SMALL, network="conv", width=32, likelihood="gaussian", binarise=False, latent_dim=64),
    },
)
def vae(config: VAEConfig, data: Dataset) -> VAEGame:
    """One player on the networks asked for."""
    networks = encoder_and_decoder(
        config.network,
        data.spec.shape,
        config.latent_dim,
        2 * config.latent_dim,
        hidden=config.hidden,
        width=config.width,
        activation=config.activation,
    )
    return VAEGame(config, *networks)
