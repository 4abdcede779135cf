"""``saddlepoint bench RECIPE``: how fast whole rounds are on this machine, and how near that is to what it can do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class BenchFlags:
    """Time whole rounds of a recipe: seconds, images a second, operations, share of what this machine's convolutions reach, peak memory.

    Attributes:
        recipe: name in the catalogue; `saddlepoint list` shows them.
        preset: its settings; by default "small", or "toy" for a recipe that plays on points only.
        resolution: of square images; by default the preset's.
        batch: real records in a batch; by default the preset's.
        channels: of the random images that it is timed on.
        data: time on this data set in place of random images.
        rounds: in a timed repeat; by default as many as take about a second.
        repeats: timed repeats.
        device: where to compute.
        precision: of the computation.
        json: print JSON.
    """

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    preset: str | None = None
    resolution: int | None = None
    batch: int | None = None
    channels: int = 3
    data: str | None = None
    rounds: int | None = None
    repeats: int = 5
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["32-true", "bf16-mixed", "64-true"] = "32-true"
    json: bool = False


def run(argv: list[str]) -> int:
    """Measure; prints a table or JSON."""
    given = parse(BenchFlags, argv, prog="saddlepoint bench")

    from saddlepoint import api

    settings = {name: value for name, value in vars(given).items() if name not in ("recipe", "json")}
    result = api.bench(given.recipe, **settings)
    print(json.dumps(result, indent=2) if given.json else table(result))
    return 0


def table(result: dict[str, Any]) -> str:
    """The result of ``saddlepoint.bench`` as lines for people: the median, and the least and most of the repeats in brackets."""
    shape = "x".join(map(str, result["data"]["shape"]))
    ceiling, memory = result["ceiling"], result["memory"]
    lines = {
        "recipe": f"{result['recipe']} {result['preset']}, batch {result['batch']}, {result['data']['name']} {result['data']['kind']} {shape}",
        "parameters": ", ".join(f"{name} {count:,}" for name, count in result["parameters"].items()),
        "a round": _spread(result["seconds_a_round"], 1e3, "ms") + f", {result['repeats']} repeats of {result['rounds_timed']}",
        "real images": _spread(result["images_per_second"], 1, "a second"),
        "computation": f"{result['flop_a_round'] / 1e9:.4g} GFLOP a round: matrix products and convolutions, all turns",
        "speed": _spread(result["flop_per_second"], 1e-9, "GFLOP/s"),
        "this machine": f"convolutions {ceiling['convolution'] / 1e9:.4g} GFLOP/s, matrix product {ceiling['matrix'] / 1e9:.4g} GFLOP/s",
        **_threads(ceiling["handover"]),
        "of its convolutions": f"{100 * result['fraction']:.1f} %",
        "peak memory": f"{memory['peak'] / 2**20:.0f} MiB, of which {(memory['peak'] - memory['before']) / 2**20:.0f} MiB for the rounds",
        "on data": _share(result["data_share"]),
        "on logging": _share(result["logging_share"]),
        "on": f"{result['hardware']}; {result['device']}, {result['threads']} threads, {result['precision']}, load {result['load_average']}",
        "versions": ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def _spread(values: dict[str, float], scale: float, unit: str) -> str:
    middle, least, most = (scale * values[name] for name in ("median", "min", "max"))
    return f"{middle:.4g} {unit} ({least:.4g} to {most:.4g})"


def _threads(handover: float | None) -> dict[str, str]:
    """The line on how near the two processors are, where there are two threads."""
    if handover is None:
        return {}
    return {"its two threads": f"what the other one wrote takes {handover:.1f} times as long (1.1: processors that share a cache, 3: that do not)"}


def _share(values: dict[str, float]) -> str:
    return _spread(values, 100, "% of a round") + f"; by leaving it out {100 * values['by_leaving_out']:.2g} %"
