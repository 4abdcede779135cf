"""GLO: a generator without an adversary and without an encoder. Every training image has a code of its own, learnt with the generator.

    minimise over G and z_1 .. z_N, |z_i| <= 1:   mean_i d(G(z_i), x_i)

Bojanowski, Joulin, Lopez-Paz, Szlam 2018 (arXiv:1707.05776), Eq. 1 and 2. The codes are rows of one table; a round moves G and the rows of its batch,
by one gradient and at rates of their own, and puts these rows back into the unit ball. The gradient of the table holds those rows alone, so time and
traffic do not grow with the number of records. Axes: n batch, N records, d code, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import SGD
from saddlepoint.games.settings import GameConfig
from saddlepoint.games.translating import pixel_scores
from saddlepoint.objectives.pyramid import laplacian_l1

RIDGE = 1e-6  # added to the variances of the codes, whose covariance need not have full rank


@dataclass(frozen=True, kw_only=True)
class GLOConfig(GameConfig):
    """Settings of GLO.

    Attributes:
        latent_dim: numbers in a code.
        width: channels of the generator's largest hidden map.
        distance: of an image from its target: on a Laplacian pyramid, or the mean squared error (the paper's blurred arm).
        levels: of the pyramid, besides what remains.
        start: codes begin as the images' principal components, or at random; in the unit ball either way.
        lr: rate of the generator.
        code_lr: rate of the codes.
        search_steps: of Adam, to find the code of an image that was not trained on.
        search_lr: their rate.
    """

    latent_dim: int = 128
    width: int = 64
    distance: Literal["laplacian", "l2"] = "laplacian"
    levels: int = 3
    start: Literal["pca", "random"] = "pca"
    lr: float = 1.0
    code_lr: float = 10.0
    search_steps: int = 100
    search_lr: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.lr, self.code_lr, self.search_lr) <= 0:
            raise UsageError(f"lr, code_lr and search_lr must be more than 0; they are {self.lr}, {self.code_lr} and {self.search_lr}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "latent_dim", "width", "levels", "search_steps")


@dataclass(frozen=True, kw_only=True)
class TwoRates(SGD):
    """Plain gradient descent, the last parameter (the codes) at a rate of its own."""

    code_lr: float = 10.0

    def build(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the torch optimiser."""
        groups: list[dict[str, Any]] = [{"params": parameters[:-1]}, {"params": parameters[-1:], "lr": self.code_lr, "foreach": False}]
        return torch.optim.SGD(groups, lr=self.lr, foreach=True)


def into_ball(z: Tensor) -> Tensor:
    """Rows [n, d] divided by their length where it is more than 1.

    >>> into_ball(torch.tensor([[3.0, 4.0], [0.25, 0.5]], dtype=torch.float64)).tolist()
    [[0.6, 0.8], [0.25, 0.5]]
    """
    lengths: Tensor = torch.linalg.vector_norm(z, dim=1, keepdim=True)
    return z / lengths.clamp(min=1)


class Codes(nn.Module):
    """A code for each record.

    Args:
        table: where they begin, [N, d].
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(into_ball(table))

    def forward(self, index: Tensor) -> Tensor:
        """Codes [n, d] of the records at ``index`` (int64 [n]); their gradient is sparse."""
        return F.embedding(index, self.weight, sparse=True)

    @torch.no_grad()
    def into_ball(self) -> None:
        """Put the rows that the last gradient moved back into the unit ball."""
        gradient = self.weight.grad
        assert gradient is not None and gradient.is_sparse
        rows = torch.unique(gradient._indices()[0])
        self.weight.index_copy_(0, rows, into_ball(self.weight[rows]))


class GLOGame(Game):
    """One player, the generator and the codes together.

    Args:
        config: the settings above.
        generator: codes -> images in [-1, 1].
        table: codes at the start, [N, d].
        mean: of the images, [c, h, w].
        axes: their principal directions [d, c h w], for the first guess of an unknown image's code; zeros where codes begin at random.
    """

    metric = "error"
    mean: Tensor
    axes: Tensor

    def __init__(self, config: GLOConfig, generator: nn.Module, table: Tensor, mean: Tensor, axes: Tensor) -> None:
        super().__init__()
        self.config = config
        self.generator, self.codes = generator, Codes(table)
        self.register_buffer("mean", mean)
        self.register_buffer("axes", axes)
        self._fitted: tuple[int, Tensor, Tensor] | None = None
        self.add_player("generator", [generator, self.codes], TwoRates(lr=config.lr, code_lr=config.code_lr), after_move=self.codes.into_ball)

    def play(self) -> Iterator[Turn]:
        """One turn."""
        yield self.learn

    @turn("generator")
    def learn(self, batch: Batch) -> Loss:
        """The distance of each image from what its code is made into (Eq. 1)."""
        return Loss(reconstruction=self.distance(self.generator(self.codes(batch["index"])), batch.x).mean())

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Of pairs of images, [n]."""
        return laplacian_l1(x, y, self.config.levels) if self.config.distance == "laplacian" else (x - y).square().mean((1, 2, 3))

    def gaussian(self) -> tuple[Tensor, Tensor]:
        """Mean [d] of the learnt codes and the Cholesky factor [d, d] of their covariance; made anew once the codes have moved."""
        weight = self.codes.weight
        if self._fitted is None or self._fitted[0] != weight._version or self._fitted[1].device != weight.device:
            z = weight.detach().double()
            mean = z.mean(0)
            covariance = (z - mean).T @ (z - mean) / max(len(z) - 1, 1)
            scale = covariance.diagonal().mean().clamp(min=RIDGE)
            factor = torch.linalg.cholesky(covariance + RIDGE * scale * torch.eye(len(mean), dtype=z.dtype, device=z.device))
            self._fitted = weight._version, mean.to(weight), factor.to(weight)
        return self._fitted[1:]

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Images of codes drawn from the normal distribution that fits the learnt ones (Section 4.3), put into the ball."""
        if truncation is not None:
            raise UsageError("GLO's samples have no truncation. Leave it out.")
        mean, factor = self.gaussian()
        was_training = self.training
        self.eval()
        with use(draws):
            x: Tensor = self.generator(into_ball(mean + draws.normal(n, len(mean)) @ factor.T))
        self.train(was_training)
        return x

    def encode(self, x: Tensor) -> Tensor:
        """Codes [n, d] of images that need not have been trained on: the principal components, then gradient steps on the distance."""
        was_training, trainable = self.training, [p for p in self.generator.parameters() if p.requires_grad]
        self.eval()
        self.generator.requires_grad_(False)
        start = (x - self.mean).flatten(1) @ self.axes.T
        z = into_ball(start).detach().requires_grad_()
        adam = torch.optim.Adam([z], lr=self.config.search_lr)
        with torch.enable_grad():
            for _ in range(self.config.search_steps):
                (z.grad,) = torch.autograd.grad(self.distance(self.generator(z), x).sum(), z)
                adam.step()
                z.data.copy_(into_ball(z.data))
        self.train(was_training)
        for parameter in trainable:
            parameter.requires_grad_()
        return z.detach()

    def reconstruct(self, x: Tensor) -> Tensor:
        """G at the codes found for images."""
        z = self.encode(x)
        was_training = self.training
        self.eval()
        made: Tensor = self.generator(z)
        self.train(was_training)
        return made

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """Each image, what its code is made into, and a sample."""
        return torch.stack([batch.x, self.generator(self.codes(batch["index"])), self.sample(len(batch), draws)], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """How near the images of the learnt codes are to theirs, and how long the longest code is."""
        z = self.codes(batch["index"])
        made = self.generator(z)
        length = torch.linalg.vector_norm(z, dim=1).max()
        return pixel_scores(made, batch.x) | {"distance": self.distance(made, batch.x).mean(), "longest_code": length}
