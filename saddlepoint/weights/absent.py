"""Data that is known and not here: what an imported checkpoint was trained on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

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
        return cls(DataSpec(**values))

    def __len__(self) -> int:
        """None are here."""
        return 0

    def records(self, indices: Tensor) -> dict[str, Tensor]:
        """There are none.

        Raises:
            DataError: always.
        """
        raise DataError(f"The data of {self.spec.name} did not come with it. Name data with --against, or train on yours with --init-from RUN.")
