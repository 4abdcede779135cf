"""Data that is known and not here: what an imported checkpoint was trained on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.records import DataSpec
from saddlepoint.errors import DataError


@dataclass
class AbsentData:
    """The data that a checkpoint was trained on, which did not come with it: its description alone."""

    spec: DataSpec

    @classmethod
    def described(cls, about: dict[str, Any]) -> AbsentData:
        """As a run's description says."""
        known = [field.name for field in dataclasses.fields(DataSpec) if field.name in about]
        values: dict[str, Any] = {name: tuple(about[name]) if isinstance(about[name], list) else about[name] for name in known}
        shapes = {name: tuple(shape) for name, shape in values.get("shapes", {}).items()}
        return cls(DataSpec(**values | {"shapes": shapes}))

    def __len__(self) -> int:
        """None are here."""
        return 0

    def records(self, indices: Tensor) -> dict[str, Tensor]:
        """There are none.

        Raises:
            DataError: always.
        """
        raise DataError(f"The {self.spec.name} did not come with it. Name data with --against, or train on yours with --init-from RUN.")


@dataclass
class BlankData:
    """Zeros in the place of absent data, to build a game whose state is loaded afterwards; never to be trained on."""

    spec: DataSpec

    def __len__(self) -> int:
        """At least one, for recipes whose schedules count epochs."""
        return max(self.spec.num_records, 1)

    def column(self, name: str) -> Tensor:
        """One field beside the sample, zeros [n, ...]: classes 0, no attributes."""
        names = {"attributes": self.spec.attribute_names, "other_attributes": self.spec.other_names}
        return torch.zeros(len(self), len(names[name])) if name in names else torch.zeros(len(self), dtype=torch.int64)

    def records(self, indices: Tensor) -> dict[str, Tensor]:
        """Black images, or points at the origin, of class 0."""
        image = self.spec.kind == "image"
        values = torch.zeros(len(indices), *self.spec.shape, dtype=torch.uint8 if image else torch.float32)
        return {"image" if image else "point": values, "label": torch.zeros(len(indices), dtype=torch.int64)}
