"""The networks of 3D-GAN and 3D-VAE-GAN (Wu et al. 2016, arXiv:1610.07584): volumetric convolutions with 4x4x4 kernels, none of them with a bias.

    G   z -> 4^3 x 8w -> 8^3 x 4w -> 16^3 x 2w -> 32^3 x w -> 64^3, batch norm and ReLU between, sigmoid
    D   the mirror image: w, 2w, 4w, 8w, 1; batch norm and LeakyReLU .2 between
    E   an image -> w, 2w, 4w, 8w and 2d numbers: kernels 11 (stride 4), 5, 5, 5 (stride 2), and the side that is left; batch norm and ReLU between

With w = 64 at 64^3 these are the paper's. A smaller cube has fewer levels. Weights start from N(0, .02): the paper does not say.

Axes: n batch, d latent, s side; volumes are n 1 s s s.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement

START = 4  # side of the smallest map


def levels(side: int) -> int:
    """Doublings from the smallest map to the cube.

    Raises:
        UsageError: for a side that is no power of two of at least 8.
    """
    if side < 2 * START or side & (side - 1):
        raise UsageError(f"The voxel networks make cubes whose side is a power of two of at least {2 * START}; {side} came. Choose --resolution 32.")
    return (side // START).bit_length() - 1


@torch.no_grad()
def _start(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.ConvTranspose3d):
            layer.weight.normal_(0, 0.02)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.weight.normal_(1, 0.02)


class VoxelGenerator(Generator):
    """Latents to occupancies.

    Args:
        latent_dim: of z, 200.
        side: s, a power of two.
        width: maps before the last layer, 64.
    """

    def __init__(self, latent_dim: int, side: int, width: int = 64) -> None:
        super().__init__()
        self.latent_dim, count = latent_dim, levels(side)
        maps = [width * 2**level for level in reversed(range(count))]
        layers: list[nn.Module] = [nn.ConvTranspose3d(latent_dim, maps[0], 4, 1, 0, bias=False)]
        for before, after in zip(maps, [*maps[1:], 1], strict=True):
            layers += [nn.BatchNorm3d(before), nn.ReLU(), nn.ConvTranspose3d(before, after, 4, 2, 1, bias=False)]
        self.layers = nn.Sequential(*layers)
        _start(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, d] to occupancies [n, 1, s, s, s] in [0, 1]; ``labels`` are not used."""
        x: Tensor = self.layers(z[:, :, None, None, None])
        return x.sigmoid()


class VoxelDiscriminator(Discriminator):
    """Volumes to logits.

    Args:
        side: s, a power of two.
        width: maps after the first layer, 64.
    """

    def __init__(self, side: int, width: int = 64) -> None:
        super().__init__()
        maps = [1, *(width * 2**level for level in range(levels(side)))]
        self.convs = nn.ModuleList(nn.Conv3d(before, after, 4, 2, 1, bias=False) for before, after in zip(maps, maps[1:], strict=False))
        self.norms = nn.ModuleList(nn.BatchNorm3d(after) for after in maps[1:])
        self.head = nn.Conv3d(maps[-1], 1, START, bias=False)
        _start(self)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The hidden maps, after their activations; volumes [n, 1, s, s, s]."""
        found: list[Tensor] = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
            found.append(x)
        return found

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Logits [n]; features are the last map, flattened. ``labels`` are not used."""
        last = self.maps(x)[-1]
        return Judgement(self.head(last).flatten(), last.flatten(1))


def pooled_features(discriminator: VoxelDiscriminator, x: Tensor) -> Tensor:
    """Features for a linear classifier: the second, third and fourth maps, max-pooled by 8, 4 and 2, joined (Wu et al. 2016, section 4.2).

    A cube of fewer levels gives those of the three that it has, pooled so that as many values a map remain.

    Args:
        discriminator: trained, in evaluation mode.
        x: volumes [n, 1, s, s, s].
    Returns:
        [n, f].
    """
    maps = discriminator.maps(x)[1:4]
    last = min(2, maps[-1].shape[2])
    return torch.cat([F.max_pool3d(each, each.shape[2] // last).flatten(1) for each in maps], 1)


class ImageEncoder(nn.Module):
    """Images to means and log variances of codes: E of 3D-VAE-GAN.

    Args:
        size: side of the images, a multiple of 32; 256 in the paper.
        latent_dim: d, 200.
        width: maps after the first layer, 64.
    """

    def __init__(self, size: int, latent_dim: int, width: int = 64) -> None:
        super().__init__()
        if size % 32 or size < 32:
            raise UsageError(f"The image encoder needs a side that is a multiple of 32; {size} came. Choose --image-size 64.")
        maps = [3, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for kernel, stride, before, after in zip((11, 5, 5, 5), (4, 2, 2, 2), maps, maps[1:], strict=False):
            padding = 4 if kernel == 11 else 2
            layers += [nn.Conv2d(before, after, kernel, stride, padding), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(maps[-1], 2 * latent_dim, size // 32))
        _start(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images [n, 3, size, size] in [-1, 1] to means and log variances [n, 2 d]."""
        codes: Tensor = self.layers(images)
        return codes.flatten(1)
