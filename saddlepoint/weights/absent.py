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
        """One field beside the sample, of every record."""
        return self.records(torch.arange(len(self)))[name]

    def records(self, indices: Tensor) -> dict[str, Tensor]:
        """Every field that the data have: samples, attributes, captions of zeros; classes in turn, so that none is missed."""
        n, spec = len(indices), self.spec
        sample = {"image": "image", "points": "point", "sequence": "tokens"}.get(spec.kind, spec.kind)
        kinds = {"image": torch.uint8, "sequence": torch.int64}
        found = {sample: torch.zeros(n, *spec.shape, dtype=kinds.get(spec.kind, torch.float32)), "label": indices % (spec.num_classes or 1)}
        found |= {name: torch.zeros(n, *shape, dtype=torch.float32 if name == "caption" else torch.uint8) for name, shape in spec.shapes.items()}
        for name, names in (("attributes", spec.attribute_names), ("other_attributes", spec.other_names)):
            found[name] = torch.zeros(n, len(names))
        return found | {"other_label": indices % (len(spec.other_names) or 1)}
