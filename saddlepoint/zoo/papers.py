"""The papers of the catalogue, one import line each: importing a paper's file enters its recipe."""

from saddlepoint.zoo import dcgan, wgan_gp

__all__ = ["dcgan", "wgan_gp"]
