"""Every setting of every recipe is a flag, and no flag leaves every preset as it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from saddlepoint.cli.main import main
from saddlepoint.cli.parsing import choose_kinds, flags, kinds
from saddlepoint.cli.train import parse_settings
from saddlepoint.zoo.catalogue import list_recipes

RECIPES = list_recipes()
PRESETS = [(recipe, preset) for recipe in RECIPES for preset in recipe.presets]


@pytest.mark.parametrize(("recipe", "preset"), PRESETS, ids=lambda value: getattr(value, "name", value))
def test_a_preset_passes_through_the_flags_unchanged(recipe, preset):
    given = parse_settings(f"saddlepoint train {recipe.name}", recipe.title, recipe.presets[preset], preset, ["--data", "ring8", "--out", "here"])
    assert given.config == recipe.presets[preset]
    assert (given.data, given.out, given.preset) == ("ring8", Path("here"), preset)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_help_shows_every_setting(recipe, capsys):
    assert main(["train", recipe.name, "--help"]) == 0
    shown = capsys.readouterr().out
    config = recipe.presets["small"]
    assert [flag for flag in flags(config) if flag not in shown] == []
    for field in dataclasses.fields(config):
        assert f"--{field.name.replace('_', '-')}" in shown


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_kind_can_be_chosen(recipe):
    config = recipe.presets["small"]
    for field, options in kinds(config).items():
        for name, kind in options.items():
            chosen, _ = choose_kinds(config, [f"--{field.replace('_', '-')}", name])
            assert type(getattr(chosen, field)) is kind
            given = parse_settings("saddlepoint train", "", chosen, "small", ["--data", "ring8", "--out", "here"])
            assert given.config == chosen
