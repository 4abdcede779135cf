"""VAE/GAN: Larsen, Sonderby, Larochelle, Winther, "Autoencoding beyond pixels using a learned similarity metric", ICML 2016."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.player import Adam
from saddlepoint.games.vaegan import VAEGANConfig, VAEGANGame
from saddlepoint.networks.vaegan import BlockDecoder, BlockEncoder, LayeredDiscriminator
from saddlepoint.zoo.catalogue import recipe

# The released code: RMSProp at .025 / 64 (the rate is divided by the batch), annealed to 1e-5 / 64; batches of 64, 150 epochs of 250; layer 9 of its
# discriminator's list at 64 pixels, 6 at 32; weight 1e-6 for faces, 1e-5 for CIFAR
PAPER = VAEGANConfig(batch=64, rounds=150 * 250, resolution=64)
CIFAR = replace(PAPER, resolution=32, layer=2, recon_weight=1e-5, latent_dim=256, rounds=250 * 250)
# Adam keeps a third of the width in balance without the margin, in a tenth of the rounds
SMALL = replace(
    CIFAR, latent_dim=32, width=24, rounds=3_000, recon_weight=1e-4, margin=None, optimizer=Adam(lr=3e-4, beta1=0.5), final_lr=None, decay=1.0
)


@recipe(
    name="vae-gan",
    title="variational autoencoder whose error is measured in the features of a discriminator",
    paper="Larsen et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1512.09300",
    needs=("image",),
    presets={
        "paper": PAPER,
        "cifar": CIFAR,
        "both-fakes": replace(PAPER, judge_reconstructions=True),
        "pixels": replace(PAPER, layer=0),
        "small": SMALL,
        **{f"small-layer-{layer}": replace(SMALL, layer=layer) for layer in (0, 1, 3)},
    },
)
def vae_gan(config: VAEGANConfig, data: Dataset) -> VAEGANGame:
    """The three networks of Table 1, their widths as the encoder's first."""
    shape, w, d = data.spec.shape, config.width, config.latent_dim
    encoder = BlockEncoder(shape, 2 * d, widths=(w, 2 * w, 4 * w), hidden=32 * w)
    return VAEGANGame(config, encoder, BlockDecoder(d, shape, w), LayeredDiscriminator(shape, w, config.layer))
