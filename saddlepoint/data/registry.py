"""The named sources of data: one card and one opener each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.images import Resolution
from saddlepoint.data.records import Kind


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """What a named source is and whom it is owed to.

    Attributes:
        name: what :func:`saddlepoint.data.sources.open_data` takes.
        title: in plain words.
        kind: of a sample.
        shape: of one sample as it comes, [c, h, w], [d], [t] or [1, d, h, w].
        num_records: without a split.
        licence: SPDX name or a sentence.
        origin: where it comes from.
        credits: its authors.
        shipped: whether it works without any file but the package's own and its dependencies'.
    """

    name: str
    title: str
    kind: Kind
    shape: tuple[int, ...]
    num_records: int
    licence: str
    origin: str
    credits: str
    shipped: bool = True


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked of a source; see :func:`saddlepoint.data.sources.open_data`."""

    name: str
    resolution: Resolution | None = None
    channels: int | None = None
    root: Path | None = None


Opener = Callable[[Request], ArrayDataset]
SOURCES: dict[str, tuple[DataCard, Opener]] = {}


def source(card: DataCard) -> Callable[[Opener], Opener]:
    """Register an opener under its card's name; a second source of that name is refused."""

    def register(opener: Opener) -> Opener:
        if card.name in SOURCES:
            raise ValueError(f"two sources are named {card.name!r}")
        SOURCES[card.name] = (card, opener)
        return opener

    return register
