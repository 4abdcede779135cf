"""The door of the sets that are fetched: importing it makes their names known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import saddlepoint.data.offered_emoji
import saddlepoint.data.offered_encoder
import saddlepoint.data.offered_idx
import saddlepoint.data.offered_pictures
import saddlepoint.data.offered_scenes
import saddlepoint.data.offered_texts  # noqa: F401  (these enter their offers and sources)
from saddlepoint.data.fetching import Show
from saddlepoint.data.offered_torchvision import ORIGINALS, get_original, original_is_there
from saddlepoint.data.offers import OFFERS, get, offer_of
from saddlepoint.data.registry import SOURCES


def list_offers() -> list[dict[str, Any]]:
    """The sets that can be fetched.

    Returns:
        Of each "name", "title", "licence", "credits", "bytes" (of the package; None where the authors say), "sources" (names that it brings),
        "there" (in the cache).
    """
    packages = [
        {
            "name": each.name,
            "title": each.title,
            "licence": each.licence,
            "credits": each.credits,
            "bytes": each.package.size,
            "sources": [*each.sources],
            "there": each.is_there(None),
        }
        for each in OFFERS.values()
    ]
    originals = [_said_by_card(name) | {"name": name, "bytes": None, "there": original_is_there(name, None)} for name in ORIGINALS]
    return sorted(packages + originals, key=lambda each: str(each["name"]))


def _said_by_card(name: str) -> dict[str, Any]:
    card = SOURCES[name][0]
    return {"title": card.title, "licence": card.licence, "credits": card.credits, "sources": [name]}


def fetch_data(name: str, *, source: Path | None = None, root: Path | None = None, show: Show | None = None) -> dict[str, Any]:
    """:func:`saddlepoint.data.offers.get`, or torchvision's, and what is to be said of the set.

    Returns:
        "place", "title", "licence", "credits", "sources", and "use", how it is used where it is no data.
    """
    if name in ORIGINALS:
        return _said_by_card(name) | {"place": str(get_original(name, source=source, root=root)), "use": ""}
    place, made = get(name, source=source, root=root, show=show), offer_of(name)
    about = {"title": made.title, "licence": made.licence, "credits": made.credits, "sources": [*made.sources], "use": made.use}
    return {"place": str(place)} | about
