"""A run as a folder in the form of a model hub: weights, description, samples, and a card that carries the scores with their protocols.

FOLDER/README.md           the card
FOLDER/config.json         recipe, configuration, data's description: what it takes to build the networks
FOLDER/model.safetensors   the game's state: generator, its average, discriminator
FOLDER/samples.png         64 samples, where they are images
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import save as save_tensors

from saddlepoint import __version__
from saddlepoint.data import sources as _sources  # noqa: F401  (enters every set into the registry)
from saddlepoint.data.registry import SOURCES
from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.evaluation.samples import draw_samples, write_samples
from saddlepoint.games.game import Game, Samples
from saddlepoint.training.run import Run
from saddlepoint.training.storage import read_lines, write_bytes, write_json
from saddlepoint.weights.exporting import make_room
from saddlepoint.weights.names import brief
from saddlepoint.weights.own import DESCRIPTION, DIGEST, WEIGHTS

KEPT = ("recipe", "title", "paper", "year", "url", "preset", "config", "data", "seed", "batch", "precision", "versions", "commit", "imported")
PREFIX = "hf:"  # a model of the Hugging Face hub


def write_folder(run: Run, game: Game, out: Path) -> Path:
    """Write a run as a model folder.

    Args:
        run: what it is, and its scores.
        game: loaded, in the state that is meant.
        out: the folder; must not hold anything.
    Raises:
        UsageError: if the folder holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder. Choose another --out or remove it.")
    make_room(out / DESCRIPTION)
    about = {name: run.about[name] for name in KEPT if name in run.about}
    about |= {"round": game.clock.round, "images_seen": game.clock.images_seen}
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in game.state_dict().items()}
    content = save_tensors(tensors, metadata={"format": "pt"})
    write_bytes(out / WEIGHTS, content)
    write_json(out / DESCRIPTION, about | {DIGEST: hashlib.sha256(content).hexdigest()})
    image = about["data"]["kind"] == "image" and isinstance(game, Samples)
    if image and isinstance(game, Samples):
        write_samples(draw_samples(game, 64, seed=0), out / "samples.png")
    write_bytes(out / "README.md", card(about, scores(run, game.clock.round), image=image).encode())
    return out


def scores(run: Run, round: int) -> list[dict[str, Any]]:
    """Every score of this round that the run keeps: metric, value, and the protocol behind it, the last one for equal protocols."""
    found: dict[str, dict[str, Any]] = {}
    for file in ("scores.jsonl", "evaluations.jsonl"):
        for record in read_lines(run.folder / file):
            if record.get("round") != round:
                continue
            for score in _values(record):
                found[json.dumps([score["metric"], score["protocol"]], sort_keys=True)] = score
    return list(found.values())


def _values(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The scores of a line: of an evaluation by name, or the quick score that training makes."""
    protocol = {name: value for name, value in (record.get("protocol") or {}).items() if value is not None and name != "settings"}
    settings = (record.get("protocol") or {}).get("settings") or {}
    entries = record.get("scores")
    if not isinstance(entries, dict):
        name = str(record.get("metric", ""))
        entries = {name: {"value": record.get(name), "floor": (record.get("floor") or {}).get(name)}}
    found = []
    for name, entry in entries.items():
        if isinstance(entry, dict) and isinstance(entry.get("value"), int | float):
            own = protocol | ({"settings": settings[name]} if name in settings else {})
            found.append({"metric": name, "value": entry["value"], "error": entry.get("error"), "floor": entry.get("floor"), "protocol": own})
    return found


def card(about: dict[str, Any], found: list[dict[str, Any]], *, image: bool) -> str:
    """The model card: front matter that hubs read, then words and tables for people."""
    data = about["data"]
    task = "unconditional-image-generation"
    tags = ["gan", about["recipe"], *(["class-conditional"] if data["num_classes"] and about["config"].get("conditional", True) else [])]
    matter: dict[str, Any] = {"library_name": "saddlepoint", "tags": tags, **({"pipeline_tag": task} if image else {})}
    if found:
        metrics = [{"type": entry["metric"], "value": entry["value"], "name": entry["metric"]} for entry in found]
        dataset = {"name": data["name"], "type": data["name"]}
        matter["model-index"] = [{"name": about["recipe"], "results": [{"task": {"type": task}, "dataset": dataset, "metrics": metrics}]}]
    front = "\n".join(f"{name}: {json.dumps(value)}" for name, value in matter.items())  # JSON is YAML
    picture = "\n![samples](samples.png)\n" if image else ""
    shape, digest = " x ".join(map(str, data["shape"])), data["content_hash"] or "unknown"
    facts = {
        "paper": f"[{about['paper']}]({about['url']})",
        "recipe and preset": f"{about['recipe']}, {about['preset']}",
        "data": f"{data['name']}: {data['num_records']} of shape {shape}, content hash {digest}"
        if data["num_records"]
        else f"not here; shape {shape}",
        "licence of the data": licence(data["name"]),
        "trained": f"{about['round']} rounds of batch {about['batch']}, {about['images_seen']} images, seed {about['seed']}, {about['precision']}",
        "made with": f"saddlepoint {__version__}, commit {about['commit'] or 'unknown'}",
    }
    if "imported" in about and not about["round"]:
        facts["trained"] = "elsewhere"
    if "imported" in about:
        facts["imported"] = f"from {about['imported']['file']} of {about['imported']['family']}, SHA-256 {about['imported']['sha256']}"
    rows = "\n".join(f"| {name} | {' '.join(str(value).replace('|', '/').split())} |" for name, value in facts.items())
    return (
        f"---\n{front}\n---\n\n# {about['recipe']}: {about['title']}\n{picture}\n| | |\n| --- | --- |\n{rows}\n\n## Use\n\n"
        f"```console\n$ saddlepoint import FOLDER_OR_{PREFIX}USER/NAME --out runs/x\n$ saddlepoint sample runs/x --num 64 --out grid.png\n```\n\n"
        f"## Scores\n\n{_score_table(found)}"
    )


def licence(name: str) -> str:
    """What is known of the licence of data of this name."""
    source = SOURCES.get(name)
    return source[0].licence if source else "not known here: ask whoever made them, before samples or weights are passed on"


def _score_table(found: list[dict[str, Any]]) -> str:
    if not found:
        return "None were made. `saddlepoint evaluate` makes them.\n"
    lines = ["| metric | value | error | real against real | protocol |", "| --- | --- | --- | --- | --- |"]
    for entry in found:
        error, floor = ("" if entry[name] is None else f"{entry[name]:.4g}" for name in ("error", "floor"))
        protocol = "; ".join(f"{name} {value}" for name, value in entry["protocol"].items())
        lines.append(f"| {entry['metric']} | {entry['value']:.6g} | {error} | {floor} | {protocol.replace('|', '/')} |")
    return "\n".join(lines) + "\n\nScores with different protocols must not be compared.\n"


def push(folder: Path, name: str) -> str:
    """Upload a model folder to the Hugging Face hub; returns its address.

    Raises:
        UsageError: without the package, or when the hub refuses.
    """
    hub = package()
    try:
        address = hub.HfApi().create_repo(name, exist_ok=True)
        hub.HfApi().upload_folder(repo_id=name, folder_path=str(folder))
    except _refusals(hub) as error:
        raise UsageError(f"The hub did not take {name}: {_said(error)} Log in with `hf auth login`, or upload {folder} yourself.") from None
    return str(address)


def fetch(name: str) -> Path:
    """Download a model folder from the Hugging Face hub; only description and weights, which hold no code.

    Raises:
        UsageError: without the package, or when the hub has none such.
        CheckpointError: if it is not a model of this package.
    """
    hub = package()
    try:
        folder = Path(hub.snapshot_download(name, allow_patterns=[DESCRIPTION, WEIGHTS]))
    except _refusals(hub) as error:
        raise UsageError(f"The hub did not give {name}: {_said(error)}") from None
    if not (folder / WEIGHTS).is_file():
        raise CheckpointError(f"{PREFIX}{name} is not a model of saddlepoint: it lacks {WEIGHTS}.")
    return folder


def _refusals(hub: Any) -> tuple[type[Exception], ...]:
    """What the hub's package raises where the hub refuses, is not reached, or may not be: its own errors, and those of what it connects with."""
    connections = [getattr(sys.modules.get(name), "HTTPError", OSError) for name in ("httpx", "httpx2", "requests")]
    return hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError, *connections


def _said(error: Exception) -> str:
    """The first line of an error, as a sentence."""
    return brief((str(error).strip() or type(error).__name__).splitlines()[0], 200).rstrip(".") + "."


def package() -> Any:
    """The hub's own package.

    Raises:
        UsageError: if it is not installed.
    """
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise UsageError("The Hugging Face hub needs the extra hub: pip install 'saddlepoint[hub]'.") from None
    return huggingface_hub
