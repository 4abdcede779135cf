"""The adversarial game on sequences whose fakes are probabilities: D reads G's distributions beside one-hot real tokens, so gradients pass.

Gulrajani et al. 2017 (arXiv:1704.00028), section 5.4. No token is drawn while training; a sample is the likeliest token of each position.
Axes: n sequences, t positions, v vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.records import Batch, Dataset
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.sequences import as_lines
from saddlepoint.games.settings import AdversarialConfig
from saddlepoint.objectives.objective import Objective


class LetterGame(AdversarialGame):
    """G of probabilities against D.

    Args:
        config: settings of the adversarial game.
        generator: z -> probabilities [n, v, t].
        discriminator: [n, v, t] -> judgement.
        objective: the value function.
        data: its vocabulary, and its name, which says how tokens are joined.
        settings: the other arguments of :class:`AdversarialGame`.
    Raises:
        UsageError: for an augmentation.
    """

    def __init__(
        self, config: AdversarialConfig, generator: nn.Module, discriminator: nn.Module, objective: Objective, data: Dataset, **settings: Any
    ) -> None:
        if config.augment or config.augmentation is not None:
            raise UsageError("Augmentations are of images, and these are sequences: leave --augment and --augmentation out.")
        super().__init__(config, generator, discriminator, objective, **settings)
        self.vocabulary, self.data_name = data.spec.vocabulary, data.spec.name

    def reals(self, batch: Batch) -> Tensor:
        """Real tokens, one-hot [n, v, t]."""
        like = next(self.generator.parameters())
        return F.one_hot(batch.x, len(self.vocabulary)).to(like.dtype).transpose(1, 2)

    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Sequences int64 [n, T]: the likeliest token of each position."""
        return super().sample(n, draws, labels, truncation).argmax(1)

    def lines(self, samples: Tensor) -> list[str]:
        """Sequences as text, one a line."""
        return as_lines(samples, self.vocabulary, self.data_name)

    def show(self, batch: Batch, draws: Draws) -> list[str]:
        """As many sequences as there are records, as text."""
        return self.lines(self.sample(len(batch), draws))
