"""Checkpoints are whole or refused by name, with the last good one offered; nothing in them can run code; the right ones are kept."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import saddlepoint
from saddlepoint import api
from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.training.checkpoint import PARTS, Checkpoint, list_checkpoints, load_checkpoint, remove_checkpoint, save_checkpoint
from saddlepoint.training.observers import Watchers
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import Run
from saddlepoint.verbs import training as verbs

TINY: dict[str, Any] = {"data": "ring8", "width": 4, "batch": 8, "latent_dim": 4, "device": "cpu"}
PLAN = Plan(steps=6, log_every=2, preview_every=0, score_every=0, checkpoint_every=2)
FILES = (*PARTS, "manifest.json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return api.train("wgan-gp", out=tmp_path_factory.mktemp("checkpoints") / "run", plan=PLAN, **TINY).folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of a run with checkpoints 4 and 6."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def last(run: Path) -> Path:
    return run / "checkpoints" / "round-00000006"


def content(run: Path) -> dict[str, bytes]:
    return {name: (last(run) / name).read_bytes() for name in PARTS if name != "state.json"}


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def grow(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


def replace_by_text(file: Path) -> None:
    file.write_text("these are not the weights you are looking for")


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


class Hostile:
    """A pickle that makes a file where it is loaded."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.proof),)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [truncate, empty, grow, replace_by_text, Path.unlink, replace_by_folder])
def test_damage_is_refused_by_name_and_the_last_good_checkpoint_is_offered(run: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(last(run) / name)
    with pytest.raises(CheckpointError) as error:
        api.load(run)
    message = str(error.value)
    assert str(last(run)) in message
    assert name in message
    assert "The last good checkpoint is round-00000004: add --checkpoint 4." in message
    assert "\n" not in message


def means_the_same(manifest: bytes, whole: bytes) -> bool:
    """White space between the values of the manifest says nothing."""
    try:
        return bool(json.loads(manifest) == json.loads(whole))
    except ValueError:
        return False


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_bit_goes_unseen(run: Path, name: str) -> None:
    file, chance = last(run) / name, random.Random(name)
    whole = file.read_bytes()
    for _ in range(60):
        position, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        file.write_bytes(whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :])
        if name == "manifest.json" and means_the_same(file.read_bytes(), whole):
            continue
        with pytest.raises(CheckpointError, match="add --checkpoint 4"):
            load_checkpoint(last(run))
    file.write_bytes(whole)
    assert load_checkpoint(last(run)).state["round"] == 6


def test_the_offered_checkpoint_gives_the_same_end(run: Path) -> None:
    expected, log = content(run), (run / "log.jsonl").read_bytes()
    truncate(last(run) / "game.safetensors")
    with pytest.raises(CheckpointError, match="add --checkpoint 4"):
        api.resume(run)
    api.resume(run, checkpoint="4")
    assert content(run) == expected
    assert (run / "log.jsonl").read_bytes() == log


def test_a_damaged_one_is_never_offered(run: Path) -> None:
    for _, path in list_checkpoints(run / "checkpoints"):
        truncate(path / "game.safetensors")
    with pytest.raises(CheckpointError, match="There is no other good checkpoint beside it"):
        api.resume(run)


def signed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit the manifest as somebody would who knows how it is made."""
    manifest = json.loads((path / "manifest.json").read_text())
    manifest.pop("digest")
    change(manifest)
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest | {"digest": digest}))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: m.update(format="another 7"), "another format"),
        (lambda m: m["files"].pop("game.safetensors"), "is not of the format"),
        (lambda m: m.update(files=[]), "is not of the format"),
        (lambda m: m["files"].update({"state.json": 3}), "is not of the format"),
    ],
)
def test_an_edited_manifest_is_refused(run: Path, change: Callable[[dict[str, Any]], None], match: str) -> None:
    signed(last(run), change)
    with pytest.raises(CheckpointError, match=match):
        api.load(run)


def test_an_unsigned_edit_is_refused(run: Path) -> None:
    manifest = last(run) / "manifest.json"
    manifest.write_text(manifest.read_text().replace("checkpoint 1", "checkpoint 2"))
    with pytest.raises(CheckpointError, match=r"manifest\.json was altered"):
        api.load(run)


def test_a_hostile_pickle_is_not_loaded(run: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    hostile = pickle.dumps(Hostile(proof))
    file = last(run) / "game.safetensors"
    file.write_bytes(hostile)
    with pytest.raises(CheckpointError, match="game.safetensors"):
        api.load(run)
    entry = {"bytes": len(hostile), "sha256": hashlib.sha256(hostile).hexdigest()}
    signed(last(run), lambda manifest: manifest["files"].update({"game.safetensors": entry}))
    with pytest.raises(CheckpointError, match="is not of the format"):
        api.load(run)
    assert not proof.exists()


def test_nothing_in_the_package_unpickles() -> None:
    """No dill, joblib, shelve or marshal; of pickle its error only; torch.load of weights only, numpy's load never with allow_pickle."""
    for file in Path(saddlepoint.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not {module.split(".")[0] for module in modules} & {"dill", "joblib", "shelve", "marshal", "cloudpickle"}, file
                assert getattr(node, "module", None) != "pickle", file
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
                assert node.attr == "UnpicklingError", f"{file}:{node.lineno}"  # what torch raises where a file holds more than weights
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert "weights_only=True" in [ast.unparse(keyword) for keyword in node.keywords], f"{file}:{node.lineno}"
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, file


def test_another_architecture_is_refused(run: Path, tmp_path: Path) -> None:
    wide = api.train("wgan-gp", out=tmp_path / "wide", plan=PLAN, **TINY | {"width": 6}).folder
    shutil.rmtree(last(run))
    shutil.copytree(last(wide), last(run))
    with pytest.raises(CheckpointError, match=r"does not fit this recipe: .* has shape \[6.*\], expected \[4"):
        api.resume(run)
    other = api.train("lecam", out=tmp_path / "lecam", plan=PLAN, **TINY).folder
    shutil.rmtree(last(run))
    shutil.copytree(last(other), last(run))
    with pytest.raises(CheckpointError, match="does not fit this recipe: it (lacks|has the unknown)"):
        api.resume(run)


def test_a_state_that_lacks_something_is_refused(run: Path) -> None:
    loaded = load_checkpoint(last(run))
    del loaded.state["logbook"]
    save_checkpoint(run / "checkpoints", 6, loaded)
    with pytest.raises(CheckpointError, match=r"state\.json does not fit this version of saddlepoint: KeyError\('logbook'\)"):
        api.resume(run)


@pytest.mark.parametrize("which", ["5", "latest", "best"])
def test_a_checkpoint_that_is_not_there_is_refused(run: Path, which: str) -> None:
    with pytest.raises(CheckpointError, match=f"has no checkpoint '{which}'; there are 4, 6, and `last` and `best`"):
        api.load(run, checkpoint=which)


def test_no_checkpoint_yet(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        api.load(run)
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        api.resume(run, checkpoint="4")


@pytest.mark.parametrize(
    ("text", "match"), [('{"recipe": "wg', "it is not JSON"), ("[1]", "it lacks recipe"), ('{"recipe": "wgan-gp"}', "it lacks config")]
)
def test_a_damaged_description_is_refused(run: Path, text: str, match: str) -> None:
    (run / "run.json").write_text(text)
    with pytest.raises(CheckpointError, match=match):
        api.resume(run)


def test_what_is_written_aside_is_no_checkpoint(run: Path) -> None:
    for name in ("round-00000008.tmp", "round-00000009.old.tmp", "round-9", "notes"):
        (run / "checkpoints" / name).mkdir()
    assert [round for round, _ in list_checkpoints(run / "checkpoints")] == [4, 6]


def test_a_checkpoint_replaces_itself_and_goes_whole(tmp_path: Path) -> None:
    first = Checkpoint({"a": torch.zeros(2)}, {}, {"round": 3})
    path = save_checkpoint(tmp_path, 3, first)
    (tmp_path / "round-00000003.old.tmp").mkdir()
    (tmp_path / "round-00000003.old.tmp" / "left").write_text("by a crash")
    second = Checkpoint({"a": torch.ones(2)}, {"generator/a/step": torch.tensor(1.0)}, {"round": 3})
    assert save_checkpoint(tmp_path, 3, second) == path
    loaded = load_checkpoint(path)
    assert torch.equal(loaded.game["a"], torch.ones(2))
    assert loaded.optimizers.keys() == {"generator/a/step"}
    remove_checkpoint(path)
    assert not [*tmp_path.iterdir()]


def test_shared_and_strided_tensors_survive(tmp_path: Path) -> None:
    weight = torch.arange(24.0, dtype=torch.float64).view(2, 3, 2, 2).to(memory_format=torch.channels_last)
    game = {"a": weight, "tied": weight, "step": torch.tensor(3), "half": torch.arange(4.0)[:2], "none": torch.empty(0, 3)}
    loaded = load_checkpoint(save_checkpoint(tmp_path, 1, Checkpoint(game, {}, {})))
    assert all(torch.equal(loaded.game[name], game[name]) and loaded.game[name].dtype == game[name].dtype for name in game)


class PlantedScores:
    """Scores that are best at round 3 of 10."""

    metric = "quick_frechet"

    def score(self, round: int, images_seen: int) -> dict[str, Any]:
        return {"quick_frechet": float("nan") if round == 1 else float(abs(round - 3) + 1)}


def test_the_last_two_the_best_and_every_nth_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "make_watchers", lambda run, game, data, show: Watchers(scorer=PlantedScores()))
    plan = Plan(steps=11, log_every=2, preview_every=0, score_every=1, checkpoint_every=1, keep_every=5)
    run = api.train("wgan-gp", out=tmp_path / "run", plan=plan, **TINY)
    assert [round for round, _ in run.checkpoints()] == [3, 5, 10, 11]
    assert run.find_checkpoint("best").name == "round-00000003"
    assert run.find_checkpoint("last").name == "round-00000011"
    assert api.load(run.folder, checkpoint="best")[0].clock.round == 3
    api.resume(run.folder, checkpoint="best")
    assert [round for round, _ in Run.open(run.folder).checkpoints()] == [3, 5, 10, 11]


def test_an_occupied_folder_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already holds a run: `saddlepoint resume` continues it"):
        api.train("wgan-gp", out=run, plan=PLAN, **TINY)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_bytes(b"")
    for occupied in (tmp_path / "mine", tmp_path / "mine" / "photo.png"):
        with pytest.raises(UsageError, match="exists and is not an empty folder"):
            api.train("wgan-gp", out=occupied, plan=PLAN, **TINY)
    with pytest.raises(UsageError, match="one of the folders above it is a file"):
        api.train("wgan-gp", out=tmp_path / "mine" / "photo.png" / "run", plan=PLAN, **TINY)
    assert [*(tmp_path / "mine").iterdir()] == [tmp_path / "mine" / "photo.png"]
