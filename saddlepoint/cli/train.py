"""``saddlepoint train RECIPE --data D --out RUN``: flags common to all recipes, then the recipe's own, generated from its configuration."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from saddlepoint.cli.launch import is_worker, launch
from saddlepoint.cli.parsing import choose_kinds, describe_kinds, parse, take
from saddlepoint.cli.progress import Progress
from saddlepoint.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TrainFlags:
    """Flags that every recipe has.

    Attributes:
        data: name of a data set (`saddlepoint list` shows them) or path of a folder or array of your own.
        out: run folder to make; must not hold anything.
        preset: named settings of the recipe: "paper" as published, "small" for a machine without accelerator; None chooses by the data.
        steps: length in rounds; at most one of steps, minutes and kimg, none of them means the preset's own length.
        minutes: length in minutes.
        kimg: length in thousands of real images.
        seed: of everything random.
        device: where to compute.
        processes: on this machine, each with its share of every batch.
        micro_batches: pieces each batch is computed in; the result is the same, the memory less.
        precision: of the computation.
        data_root: folder of downloaded data sets.
        keep_every: checkpoints at multiples of this many rounds are kept beside the last two and the best; 0 none.
    """

    data: str
    out: Path
    preset: str | None = None
    steps: int | None = None
    minutes: float | None = None
    kimg: float | None = None
    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    processes: int = 1
    micro_batches: int = 1
    precision: Literal["32-true", "bf16-mixed", "64-true"] = "32-true"
    data_root: Path | None = None
    keep_every: int = 0


def run(argv: list[str]) -> int:
    """Train; prints the run folder."""
    if not argv or argv[0].startswith("-"):
        return _without_recipe(argv)
    processes, rest = take(argv, "--processes")
    if processes not in (None, "1") and not is_worker() and "--help" not in rest and "-h" not in rest:
        return launch(["train", *rest], _count(processes))
    name, *rest = rest

    from saddlepoint import api
    from saddlepoint.zoo.catalogue import find_recipe

    recipe = find_recipe(name)
    preset, rest = take(rest, "--preset")
    data, _ = take(rest, "--data")
    preset = preset or ("small" if data is None else api.default_preset(recipe, data))
    config, rest = choose_kinds(recipe.preset(preset), rest)
    given = parse_settings(
        f"saddlepoint train {name}", f"{recipe.title}. {recipe.paper}, {recipe.url}. Presets: {', '.join(recipe.presets)}.", config, preset, rest
    )
    flags = {field.name: getattr(given, field.name) for field in dataclasses.fields(TrainFlags) if field.name not in ("preset", "processes")}
    with Progress() as progress:
        done = api.train(name, preset=preset, config=given.config, show=progress.show, **flags)
    if progress.speaks:
        print(done.folder)
    return 0


def parse_settings(prog: str, title: str, config: Any, preset: str, argv: list[str]) -> Any:
    """Read the common flags and the settings of ``config``'s class, whose values are the defaults."""
    config_field = ("config", Annotated[type(config), tyro.conf.arg(name="")])
    arguments = dataclasses.make_dataclass("Arguments", [config_field], bases=(TrainFlags,), frozen=True, kw_only=True)
    default = arguments(data=tyro.MISSING, out=tyro.MISSING, preset=preset, config=config)
    description = f"{title} The values below are those of the preset {preset!r}. {describe_kinds(config)}"
    return parse(arguments, argv, prog=prog, default=default, description=description)


def _without_recipe(argv: list[str]) -> int:
    if not {"-h", "--help"} & set(argv):
        raise UsageError("Which recipe? `saddlepoint train RECIPE --data D --out RUN`; `saddlepoint list` shows the recipes.")
    description = "Train a recipe. `saddlepoint list` shows the recipes; `saddlepoint train RECIPE --help` adds the recipe's own settings."
    parse(TrainFlags, ["--help"], prog="saddlepoint train RECIPE", description=description)
    return 0


def _count(processes: str | None) -> int:
    if processes is None or not processes.isdigit():
        raise UsageError(f"--processes needs a number; it is {processes!r}.")
    return int(processes)
