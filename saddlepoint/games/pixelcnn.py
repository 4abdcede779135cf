"""The game of one player who tells the probability of every pixel.

    minimise  -log p(x) = -sum_i log p(x_i | x_1, ..., x_{i-1}, y)        y: the class of x, or nothing

van den Oord et al. 2016b (arXiv:1606.05328), Eq. 1 and 3. The likelihood is exact: no bound, no sampling. Bits per dimension are -log2 p(x) over the
number of sub-pixels c h w. Axes: n batch, c colours, h w image, k levels, e condition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, draws_like
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks import pixelcache
from saddlepoint.networks.pixelcnn import GatedPixelCNN, log_likelihood, to_levels, to_values


@dataclass(frozen=True, kw_only=True)
class PixelConfig(GameConfig):
    """Settings of whatever tells pixels one by one.

    Attributes:
        levels: brightnesses of a sub-pixel; 256 are those of a byte, fewer are the nearest of as many between black and white.
        binarise: draw each sub-pixel black or white with its brightness as the probability of white, anew in every turn; needs levels = 2.
        width: feature maps of a stack.
        layers: gated layers, each of two stacks.
        kernel: odd side of the kernels after the first layer.
        first_kernel: odd side of the first layer's.
        optimizer: how the player moves.
        clip_norm: largest norm of a gradient; None does not clip.
    """

    levels: int = 256
    binarise: bool = False
    width: int = 32
    layers: int = 12
    kernel: int = 3
    first_kernel: int = 7
    optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: Adam(lr=1e-3, beta1=0.9))
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.levels <= 256:
            raise UsageError(f"levels must be 2 to 256; it is {self.levels}.")
        if self.binarise and self.levels != 2:
            raise UsageError(f"binarise needs levels 2; it is {self.levels}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "width", "layers")


@dataclass(frozen=True, kw_only=True)
class PixelCNNConfig(PixelConfig):
    """Settings of the Gated PixelCNN.

    Attributes:
        conditional: the class enters every gate as a bias (Eq. 3); needs labels.
    """

    conditional: bool = False


class PixelGame(Game):
    """What games have in common that tell pixels one by one.

    Args:
        config: the settings above.
        network: the distribution.
    """

    metric = "bits_per_dim"

    def __init__(self, config: PixelConfig, network: GatedPixelCNN) -> None:
        super().__init__()
        self.pixels, self.network = config, network

    def target(self, x: Tensor) -> Tensor:
        """Brightnesses int64 [n, c, h, w] of images in [-1, 1]."""
        if self.pixels.binarise:
            return (draws_like(x).uniform(len(x), *x.shape[1:]) < (x + 1) / 2).long()
        return to_levels(x, self.pixels.levels)

    def nats(self, target: Tensor, cond: Tensor | None, dtype: torch.dtype) -> Tensor:
        """-log p of each image, [n], in nats."""
        logits = self.network(to_values(target, self.pixels.levels, dtype), cond)
        return -log_likelihood(logits, target).flatten(1).sum(1)

    def bits(self, nats: Tensor) -> Tensor:
        """Bits per dimension of nats an image."""
        return nats / (math.prod(self.network.shape) * math.log(2))

    @torch.no_grad()
    def draw(self, n: int, draws: Draws, cond: Tensor | None) -> Tensor:
        """n images in [-1, 1], each feature computed once."""
        return pixelcache.sample(self.network, draws.uniform(n, *self.network.shape), cond)


class PixelCNNGame(PixelGame):
    """One player: the distribution of images, perhaps of a class.

    Args:
        config: the settings above.
        network: the distribution; its condition has a number for each class.
        num_classes: set where it has one.
    """

    def __init__(self, config: PixelCNNConfig, network: GatedPixelCNN, num_classes: int | None = None) -> None:
        super().__init__(config, network)
        self.config, self.num_classes = config, num_classes
        self.add_player("pixelcnn", [network], config.optimizer, clip_norm=config.clip_norm)

    def play(self) -> Iterator[Turn]:
        """One turn."""
        yield self.learn

    @turn("pixelcnn")
    def learn(self, batch: Batch) -> Loss:
        """Nats a sub-pixel, as softmax cross-entropies averaged over the image."""
        nats = self._nats_of(batch).mean()
        return Loss(likelihood=nats / math.prod(self.network.shape)).watch(bits_per_dim=self.bits(nats.detach()), nats=nats.detach())

    def _nats_of(self, batch: Batch) -> Tensor:
        x = batch.x
        return self.nats(self.target(x), self._condition(None if self.num_classes is None else batch["label"], x.dtype), x.dtype)

    def _condition(self, labels: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        return None if labels is None or self.num_classes is None else F.one_hot(labels, self.num_classes).to(dtype)

    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Images pixel by pixel; without labels of classes drawn at random where there are classes."""
        if truncation is not None:
            raise UsageError("A PixelCNN's samples have no truncation. Leave it out.")
        if labels is None and self.num_classes is not None:
            labels = self.draw_classes(n, self.num_classes, draws)
        return self.draw(n, draws, self._condition(labels, next(self.parameters()).dtype))

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Exact bits per dimension, and nats an image."""
        nats = self._nats_of(batch).mean()
        return {"bits_per_dim": self.bits(nats), "nats": nats}


@dataclass(frozen=True, kw_only=True)
class PixelAutoencoderConfig(PixelConfig):
    """Settings of the PixelCNN auto-encoder.

    Attributes:
        latent_dim: numbers in a code (m of the paper's figure).
        encoder_width: channels of the encoder's first convolution, and of the maps that a code grows to.
        condition: "maps": the code becomes maps of the image's size, which enter the gates where they lie (Eq. 4); "code": all alike (Eq. 3).
        maps: how many such maps; of "maps".
        decoder: "pixelcnn", or "squares": the auto-encoder of the same encoder that it is compared with, trained by squared errors.
    """

    latent_dim: int = 100
    encoder_width: int = 64
    condition: Literal["maps", "code"] = "maps"
    maps: int = 16
    decoder: Literal["pixelcnn", "squares"] = "pixelcnn"

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "latent_dim", "encoder_width", "maps")


class PixelAutoencoderGame(PixelGame):
    """One player: an encoder, and the distribution of the image given its code, learnt end to end (Section 2.4).

        minimise  -log p(x | Enc(x))

    Args:
        config: the settings above.
        encoder: images -> codes [n, d].
        maps: codes -> condition, maps [n, e, h, w] or the codes themselves.
        network: the distribution given the condition.
    """

    def __init__(self, config: PixelAutoencoderConfig, encoder: nn.Module, maps: nn.Module, network: GatedPixelCNN) -> None:
        super().__init__(config, network)
        self.config, self.encoder, self.maps = config, encoder, maps
        self.add_player("autoencoder", [encoder, maps, network], config.optimizer, clip_norm=config.clip_norm)

    def play(self) -> Iterator[Turn]:
        """One turn."""
        yield self.learn

    @turn("autoencoder")
    def learn(self, batch: Batch) -> Loss:
        """Nats a sub-pixel of the image, given the code of the same image."""
        nats = self._nats_of(batch.x).mean()
        return Loss(likelihood=nats / math.prod(self.network.shape)).watch(bits_per_dim=self.bits(nats.detach()), nats=nats.detach())

    def _nats_of(self, x: Tensor) -> Tensor:
        target = self.target(x)
        return self.nats(target, self.maps(self.encoder(to_values(target, self.config.levels, x.dtype))), x.dtype)

    def encode(self, x: Tensor) -> Tensor:
        """Codes [n, d] of images, brought to the levels first."""
        z: Tensor = self.encoder(to_values(self.target(x), self.config.levels, x.dtype))
        return z

    def decode(self, z: Tensor) -> Tensor:
        """An image drawn for each code [n, d]."""
        return self.draw(len(z), draws_like(z), self.maps(z))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """An image drawn given the code of each."""
        return self.decode(self.encode(x))

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """Each image beside three drawn given its code."""
        return torch.stack([batch.x, *(self.reconstruct(batch.x) for _ in range(3))], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Exact bits per dimension given the code, and nats an image: what the code leaves open, without what the code itself costs."""
        nats = self._nats_of(batch.x).mean()
        return {"bits_per_dim": self.bits(nats), "nats": nats}
