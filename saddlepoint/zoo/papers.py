"""The papers of the catalogue, one import line each: importing a paper's file enters its recipe."""

# ruff: noqa: F401, I001
from saddlepoint.zoo import acgan
from saddlepoint.zoo import am_gan
from saddlepoint.zoo import autoencoder
from saddlepoint.zoo import began
from saddlepoint.zoo import bigan
from saddlepoint.zoo import biggan
from saddlepoint.zoo import cyclegan
from saddlepoint.zoo import dcgan
from saddlepoint.zoo import diffaugment
from saddlepoint.zoo import ebgan
from saddlepoint.zoo import gan
from saddlepoint.zoo import gan_r1
from saddlepoint.zoo import improved_gan
from saddlepoint.zoo import lapgan
from saddlepoint.zoo import lecam
from saddlepoint.zoo import lsgan
from saddlepoint.zoo import nsgan
from saddlepoint.zoo import pix2pix
from saddlepoint.zoo import pixelcnn
from saddlepoint.zoo import progan
from saddlepoint.zoo import projection
from saddlepoint.zoo import r3gan
from saddlepoint.zoo import relativistic
from saddlepoint.zoo import rpgan
from saddlepoint.zoo import sagan
from saddlepoint.zoo import sngan
from saddlepoint.zoo import ssgan
from saddlepoint.zoo import stylegan
from saddlepoint.zoo import stylegan2
from saddlepoint.zoo import stylegan2_ada
from saddlepoint.zoo import ttur
from saddlepoint.zoo import unrolled
from saddlepoint.zoo import vae
from saddlepoint.zoo import wgan
from saddlepoint.zoo import wgan_gp
