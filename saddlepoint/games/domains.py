"""The domains of a data set as a translator between many of them knows them: classes, or attributes.

Axes: n batch, r records, k domains, a attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError, nearest


class Domains(nn.Module):
    """The domains of one data set: its classes, one an image, or attributes, any of which an image may have.

    Args:
        names: one a domain.
        table: the domains of every record, 0 or 1, [r, k]; the wanted ones are drawn from it.
        exclusive: whether an image is in exactly one (classes).
        image: field of a record that holds the image.
        source: field that holds the class [n], or the attributes [n, a], present where positive.
        columns: which attributes are taken; None: all.
    """

    table: Tensor

    def __init__(
        self,
        names: Sequence[str],
        table: Tensor,
        *,
        exclusive: bool,
        image: str = "image",
        source: str = "label",
        columns: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.names, self.exclusive, self.image, self.source = tuple(names), exclusive, image, source
        self.columns = None if columns is None else list(columns)
        self.register_buffer("table", table.float(), persistent=False)

    def of(self, batch: Batch) -> Tensor:
        """The domains that the images are in, 0 or 1, [n, k]."""
        values = batch[self.source]
        if self.exclusive:
            return F.one_hot(values, len(self.names)).to(self.table.dtype)
        return (values if self.columns is None else values[:, self.columns]).gt(0).to(self.table.dtype)

    def wanted(self, n: int, draws: Draws) -> Tensor:
        """The domains of n records drawn at random, [n, k].

        The released code shuffles the domains of a batch; those of records drawn from the whole set have the same distribution, and do not depend on
        how a batch is cut.
        """
        return self.table[draws.integers(n, high=len(self.table))]

    def loss(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """-log D_cls [n]: cross-entropy of classes, or the sum over the attributes of theirs."""
        if self.exclusive:
            return F.cross_entropy(logits, wanted.argmax(1), reduction="none")
        return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(1)

    def guess(self, logits: Tensor) -> Tensor:
        """The domains that D thinks the images are in, [n, k]."""
        if self.exclusive:
            return F.one_hot(logits.argmax(1), len(self.names)).to(logits.dtype)
        return logits.gt(0).to(logits.dtype)

    def missed(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Share of what was wanted that D does not see, [n]: of classes 0 or 1, of attributes how many of them."""
        wrong = (self.guess(logits) - wanted).abs()
        return wrong.amax(1) if self.exclusive else wrong.mean(1)

    def changed(self, known: Tensor, wishes: Mapping[str, bool]) -> Tensor:
        """Domains [n, k] with some of them set.

        Raises:
            UsageError: for an unknown name, or classes of which not exactly one is on.
        """
        for name in wishes:
            if name not in self.names:
                raise UsageError(f"This run knows no {name!r}. {nearest(name, self.names)}")
        columns = {self.names.index(name): float(value) for name, value in wishes.items()}
        if self.exclusive and sum(columns.values()) != 1:
            raise UsageError(f"An image is in one of {', '.join(self.names)}: exactly one can be set on, {int(sum(columns.values()))} came.")
        found = torch.zeros_like(known) if self.exclusive else known.clone()
        for column, value in columns.items():
            found[:, column] = value
        return found
