"""``saddlepoint evaluate RUN``: scores of a run, or of samples, with their floor and protocol."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from saddlepoint.cli.info import lines
from saddlepoint.cli.parsing import parse

FEW = 20  # numbers that are printed one by one


@dataclass(frozen=True, kw_only=True)
class EvaluateFlags:
    """Score a run, or a folder or array of samples, against real data; the floor is the score of real data against real data.

    Attributes:
        target: a run folder; or a folder of images, a .npy or .npz file, or the name of a data set.
        against: real data by name or path; None means what the run was trained on.
        metrics: names with commas between, such as fd,precision-recall; None means the quick score, or fd with another extractor.
        extractor: of the features of images: quick, lite0, inception, clip, dinov2, vgg16, discriminator (a run's), or module:attribute of your own.
        weights: file of the extractor's weights, in place of the one in the cache.
        distance: of ppl-... and diversity: quick, lite0, vgg16, lpips, or module:attribute of your own; None means the extractor's own layers.
        segmenter: of fsd and fcn-score: module:attribute of your own.
        labels: of fcn-score: folder of label maps with the images' names; None means the pictures a run translates, by the segmenter's colours.
        held_out: of copying: real data that the generator was not trained on, by name or path, such as fashion:test.
        num: generated samples (and paths of ppl-...); None means as many as the protocol takes, 10,000 at most.
        num_real: real samples to compare with; None means as many as generated, at most half of the data.
        resolution: side that all images are brought to; None means that of the samples.
        checkpoint: of a run: "last", "best" or a round.
        truncation: of a run: psi of its styles, or the largest size of its latents' numbers; None means none.
        back: of a run that translates both ways: from the second domain to the first.
        seed: of the latents and of the choice of real samples.
        device: where samples are drawn and features computed: cpu, cuda or mps.
        data_root: folder of downloaded data sets.
        json: print JSON.
    """

    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")]
    against: str | None = None
    metrics: str | None = None
    extractor: str = "quick"
    weights: Path | None = None
    distance: str | None = None
    segmenter: str | None = None
    labels: str | None = None
    held_out: str | None = None
    num: int | None = None
    num_real: int | None = None
    resolution: int | None = None
    checkpoint: str = "last"
    truncation: float | None = None
    back: bool = False
    seed: int = 0
    device: str = "cpu"
    data_root: Path | None = None
    json: bool = False


def run(argv: list[str]) -> int:
    """Evaluate; as lines or as JSON. What is being done goes to standard error."""
    given = parse(EvaluateFlags, argv, prog="saddlepoint evaluate")

    from saddlepoint import api

    settings = {field.name: getattr(given, field.name) for field in dataclasses.fields(given) if field.name not in ("target", "json")}
    scores = api.evaluate(given.target, **settings, show=lambda line: print(line, file=sys.stderr))
    print(json.dumps(scores, indent=2) if given.json else "\n".join(lines(readable(scores)) + [f"note: {note}" for note in scores.get("notes", [])]))
    return 0


def readable(result: dict[str, Any]) -> dict[str, Any]:
    """A result whose scores are one line each, without its notes, which come last, and without the points of curves.

    >>> readable({"scores": {"fd": {"value": 12.34567, "error": 0.25, "floor": 3.0, "better": "lower"}}})
    {'scores': {'fd': '12.35 +- 0.25 (floor 3, lower is better)'}}
    """
    if "scores" not in result:
        return result
    shown = {}
    for name, score in result["scores"].items():
        error = "" if score["error"] is None else f" +- {score['error']:.2g}"
        floor = "no floor" if score["floor"] is None else f"floor {score['floor']:.4g}"
        better = "" if score["better"] == "none" else f", {score['better']} is better"
        shown[name] = f"{score['value']:.4g}{error} ({floor}{better})"
    kept = {name: value for name, value in result.items() if name != "notes"} | {"scores": shown}
    if "details" in kept:
        kept["details"] = {metric: {key: _brief(value) for key, value in found.items()} for metric, found in kept["details"].items()}
    return kept


def _brief(value: Any) -> Any:
    return f"{len(value)} points (--json prints them)" if isinstance(value, list) and len(value) > FEW else value
