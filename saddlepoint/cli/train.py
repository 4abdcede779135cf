"""``saddlepoint train RECIPE --data D --out RUN``: flags common to all recipes, then the recipe's own, generated from its configuration."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from saddlepoint.cli.launch import is_worker, launch
from saddlepoint.cli.parsing import choose_kinds, describe_kinds, parse, sizes_apart, take
from saddlepoint.cli.progress import Progress
from saddlepoint.errors import UsageError

NOT_PASSED = ("preset", "processes", "out", "dry_run")


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
        micro_batches: pieces each batch is computed in; the same gradient in less memory; auto: as few as fit.
        precision: of the computation; auto: bf16-mixed where the device has it, otherwise 32-true.
        data_root: folder of downloaded data sets.
        augment_data: what real records look like as well, drawn anew each time: mirror, crop; also other names where the data are no images.
        keep_every: checkpoints at multiples of this many rounds are kept beside the last two and the best; 0 none.
        init_from: whose weights it starts from: a run (RUN, RUN:best, RUN:ROUND), a model folder, hf:USER/NAME, or a file that `import` reads.
        dry_run: only say what it would need: parameters, memory, length.
    """

    data: str
    out: Path | None = None
    preset: str | None = None
    steps: int | None = None
    minutes: float | None = None
    kimg: float | None = None
    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    processes: int = 1
    micro_batches: int | Literal["auto"] = "auto"
    precision: Literal["auto", "32-true", "bf16-mixed", "64-true"] = "auto"
    data_root: Path | None = None
    augment_data: tuple[str, ...] = ()
    keep_every: int = 0
    init_from: str | None = None
    dry_run: bool = False


def run(argv: list[str]) -> int:
    """Train, or say what a training would need; prints the run folder."""
    argv = sizes_apart(argv)
    if {"-h", "--help"} & set(argv) and argv[0].startswith("-"):
        return _without_recipe()
    if not argv or (argv[0].startswith("-") and take(argv, "--data")[0] is None):
        raise UsageError("Which recipe, and which data? `saddlepoint train [RECIPE] --data D --out RUN`; `saddlepoint list` shows the recipes.")
    if not {"--dry-run", "-h", "--help"} & set(argv) and take(argv, "--out")[0] is None:
        raise UsageError("Where to? `saddlepoint train` needs --out RUN, a folder to make.")
    processes, rest = take(argv, "--processes")
    if processes not in (None, "1") and not is_worker() and "--help" not in rest and "-h" not in rest:
        return launch(["train", *rest], _count(processes))

    from saddlepoint import api
    from saddlepoint.zoo.catalogue import find_recipe

    with Progress() as progress:
        if rest[0].startswith("-"):
            rest = _choose(rest, progress)
        name, *rest = rest
        recipe = find_recipe(name)
        preset, rest = take(rest, "--preset")
        data, _ = take(rest, "--data")
        preset = preset or ("small" if data is None else api.default_preset(recipe, data))
        config, rest = choose_kinds(recipe.preset(preset), rest)
        if data is not None and not any(word.partition("=")[0] == "--resolution" for word in rest):
            config = api.at_packed_size(config, data)
        title = f"{recipe.title}. {recipe.paper}, {recipe.url}. Presets: {', '.join(recipe.presets)}."
        given = parse_settings(f"saddlepoint train {name}", title, config, preset, rest)
        flags = {field.name: getattr(given, field.name) for field in dataclasses.fields(TrainFlags) if field.name not in NOT_PASSED}
        if given.dry_run:
            print(_table(api.foresee(name, preset=preset, config=given.config, **flags)))
            return 0
        done = api.train(name, preset=preset, config=given.config, out=given.out or "", show=progress.show, **flags)
    if progress.speaks:
        print(done.folder)
    return 0


def _choose(argv: list[str], progress: Progress) -> list[str]:
    """Put the recipe that fits the data, and its preset, in front of ``argv``, and say why."""
    from saddlepoint import api
    from saddlepoint.training.machine import pick_device

    choice = api.choose_recipe(take(argv, "--data")[0] or "", pick_device(take(argv, "--device")[0] or "auto"), _resolution(argv))
    for reason in choice.reasons:
        progress.show({"round": 0, "kind": "note", "message": reason})
    preset, rest = take(argv, "--preset")
    settings = choice.settings if preset in (None, choice.preset) else {}
    return [choice.recipe, *_flags(settings, argv), *rest, "--preset", preset or choice.preset]


def _resolution(argv: list[str]) -> int | tuple[int, int] | None:
    """The side, or height and width, behind ``--resolution``; None without it, and where what stands there is refused later."""
    words = " ".join(argv).replace("--resolution=", "--resolution ").split()
    given = list(itertools.takewhile(str.isdigit, words[words.index("--resolution") + 1 :])) if "--resolution" in words else []
    return None if not given else int(given[0]) if len(given) == 1 else (int(given[0]), int(given[1]))


def _flags(settings: Mapping[str, Any], argv: list[str]) -> list[str]:
    """Settings as flags, but for those that the user gave.

    >>> _flags({"batch": 16, "conditional": True, "resolution": 64}, ["--no-conditional", "--resolution=32"]), _flags({"resolution": (24, 40)}, [])
    (['--batch', '16'], ['--resolution', '24', '40'])
    """
    given, flags = {word.partition("=")[0].replace("_", "-") for word in argv}, []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if not given & {f"--{flag}", f"--no-{flag}"}:
            flags += (
                [f"--{'' if value else 'no-'}{flag}"]
                if isinstance(value, bool)
                else [f"--{flag}", *map(str, value if isinstance(value, tuple) else (value,))]
            )
    return flags


def _table(needs: dict[str, Any]) -> str:
    """What a training would need, as lines.

    >>> print(_table({"recipe": "gan", "parameters": {"generator": 1200}, "memory_bytes": 3 * 2**29, "notes": []}))
    recipe        gan
    parameters    generator 1,200
    memory        1.50 GiB
    """
    lines = []
    for name, value in needs.items():
        if name == "notes":
            lines += [("note", note) for note in value]
        elif name.endswith("_bytes"):
            lines.append((name.removesuffix("_bytes"), f"{value / 2**30:.2f} GiB"))
        elif isinstance(value, dict):
            lines.append((name, ", ".join(f"{key} {each:,}" if isinstance(each, int) else f"{key} {each}" for key, each in value.items())))
        else:
            lines.append((name, str(value)))
    return "\n".join(f"{name:<13} {value}" for name, value in lines)


def parse_settings(prog: str, title: str, config: Any, preset: str, argv: list[str]) -> Any:
    """Read the common flags and the settings of ``config``'s class, whose values are the defaults."""
    config_field = ("config", Annotated[type(config), tyro.conf.arg(name="")])
    arguments = dataclasses.make_dataclass("Arguments", [config_field], bases=(TrainFlags,), frozen=True, kw_only=True)
    default = arguments(data=tyro.MISSING, preset=preset, config=config)
    description = f"{title} The values below are those of the preset {preset!r}. {describe_kinds(config)}"
    return parse(arguments, argv, prog=prog, default=default, description=description)


def _without_recipe() -> int:
    description = "Train a recipe. `saddlepoint list` shows the recipes; `saddlepoint train RECIPE --help` adds the recipe's own settings."
    parse(TrainFlags, ["--help"], prog="saddlepoint train RECIPE", description=description)
    return 0


def _count(processes: str | None) -> int:
    if processes is None or not processes.isdigit():
        raise UsageError(f"--processes needs a number; it is {processes!r}.")
    return int(processes)
