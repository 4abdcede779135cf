"""The door of the sets that are fetched: importing it makes their names known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import saddlepoint.data.offered_emoji
import saddlepoint.data.offered_idx
import saddlepoint.data.offered_pictures
import saddlepoint.data.offered_scenes
import saddlepoint.data.offered_texts  # noqa: F401  (these enter their offers and sources)
from saddlepoint.data.fetching import Show
from saddlepoint.data.offers import OFFERS, get, offer_of


def list_offers() -> list[dict[str, Any]]:
    """The sets that can be fetched.

    Returns:
        Of each "name", "title", "licence", "credits", "bytes" (of the package), "sources" (names that it brings), "there" (in the cache).
    """
    return [
        {
            "name": each.name,
            "title": each.title,
            "licence": each.licence,
            "credits": each.credits,
            "bytes": each.package.size,
            "sources": [*each.sources],
            "there": each.is_there(None),
        }
        for each in sorted(OFFERS.values(), key=lambda each: each.name)
    ]


def fetch_data(name: str, *, source: Path | None = None, root: Path | None = None, show: Show | None = None) -> dict[str, Any]:
    """:func:`saddlepoint.data.offers.get`, and what is to be said of the set: "place", "title", "licence", "credits", "sources"."""
    place, made = get(name, source=source, root=root, show=show), offer_of(name)
    return {"place": str(place), "title": made.title, "licence": made.licence, "credits": made.credits, "sources": [*made.sources]}
