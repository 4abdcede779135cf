"""``saddlepoint list``: the recipes with their papers and presets, and the data sets."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from typing import Any

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class ListFlags:
    """The recipes, oldest paper first, and the data sets.

    Attributes:
        json: print JSON, with titles, addresses and presets.
    """

    json: bool = False


def run(argv: list[str]) -> int:
    """List; as tables or as JSON."""
    given = parse(ListFlags, argv, prog="saddlepoint list")

    from saddlepoint.data.sources import list_data
    from saddlepoint.zoo.catalogue import list_recipes

    recipes = [
        {field: getattr(recipe, field) for field in ("name", "title", "paper", "year", "url", "needs", "needs_labels")}
        | {"presets": [*recipe.presets]}
        for recipe in list_recipes()
    ]
    data = [dataclasses.asdict(card) for card in list_data()]
    if given.json:
        print(json.dumps({"recipes": recipes, "data": data}, indent=2))
        return 0
    for recipe in recipes:
        recipe["needs"] = "/".join(recipe["needs"]) + (" with labels" if recipe["needs_labels"] else "")
        recipe["paper"] = recipe["paper"].removesuffix(f" {recipe['year']}")
    _show(
        "Recipes: `saddlepoint train RECIPE`; `saddlepoint train RECIPE --help` names its presets",
        recipes,
        ("name", "year", "needs", "title", "paper"),
    )
    _show_data(data)
    return 0


def show_data(argv: list[str]) -> int:
    """The data sets alone."""
    given = parse(ListFlags, argv, prog="saddlepoint data list", description="The data sets that are at hand, and those that can be fetched.")

    from saddlepoint.data.offered import list_offers
    from saddlepoint.data.sources import list_data

    data = [dataclasses.asdict(card) for card in list_data()]
    offers = list_offers()
    if given.json:
        print(json.dumps({"data": data, "offers": offers}, indent=2))
    else:
        _show_data(data)
        for offer in offers:
            offer |= {"MB": f"{offer['bytes'] / 1e6:.1f}" if offer["bytes"] else "", "there": "yes" if offer["there"] else "no"}
        _show("To fetch: `saddlepoint data get NAME`", offers, ("name", "there", "MB", "sources", "title", "licence"))
    return 0


def _show_data(data: list[dict[str, Any]]) -> None:
    for card in data:
        card["size"] = " x ".join(map(str, card["shape"]))
    _show("Data: `--data NAME`, or a folder or array of your own", data, ("name", "num_records", "size", "title", "licence"))


def _show(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.replace("num_", ""), no_wrap=column not in ("title", "licence", "paper"))
    for row in rows:
        table.add_row(*(", ".join(row[column]) if isinstance(row[column], list) else str(row[column]) for column in columns))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)
    with console.capture() as text:
        console.print(table)
    print("\n".join(line.rstrip() for line in text.get().splitlines()) + "\n")
