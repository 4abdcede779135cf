"""The comparison of image recipes: its budget, its table, and that it goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.extractors import Extractor
from saddlepoint.studies import images
from saddlepoint.studies.images import image_run, main, table


@pytest.fixture(autouse=True)
def small_features(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(samples: Any) -> Any:
        return {"features": samples.float().flatten(1)[:, ::64]}

    monkeypatch.setattr(
        images, "open_extractor", lambda name: Extractor(name="few-pixels", weights_hash="0", dimension=48, preprocessing="none", look=look)
    )


def job(folder: Path, **changes: Any) -> dict[str, Any]:
    common = {"recipe": "dcgan", "preset": "small", "settings": {"width": 4, "batch": 8}, "seed": 0}
    return common | {"data": "emoji", "resolution": 32, "cpu_minutes": 0.01, "judged": 40, "folder": str(folder)} | changes


def test_a_run_uses_its_budget_and_keeps_last_and_best(tmp_path: Path) -> None:
    found = image_run(job(tmp_path))
    assert 0.1 <= found["cpu_sec"] < 6
    assert 1 <= len(found["looks"]) <= images.LOOKS
    assert found["images_seen"] == 8 * found["rounds"]
    assert found["best"]["rounds"] == min(found["looks"], key=lambda look: look["quick_frechet"])["rounds"]
    for which in ("last", "best"):
        assert (tmp_path / f"dcgan-width-4-batch-8-emoji-32-0.01-0-{which}.png").exists()
        assert found[which]["fd"] > found["floor"]["fd"]
    assert found["stopped"] is None


def test_schedules_are_as_long_as_the_budget_and_growing_ends_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    def play(game: Any, data: Any, **keywords: Any) -> None:
        lengths.append(keywords["rounds"])
        original(game, data, **keywords)

    original = images.play
    monkeypatch.setattr(images, "play", play)
    found = image_run(job(tmp_path, recipe="progan", settings={"channel_base": 32, "width": 8, "latent_dim": 8, "batch": 8}, cpu_minutes=0.05))
    assert abs(found["rounds"] - lengths[0]) <= 0.5 * lengths[0]


def test_a_run_that_was_killed_goes_on_from_its_last_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    save = images.Kept.save

    def stopping(kept: Any, **state: Any) -> None:
        save(kept, **state)
        calls.append(kept.state["looks"][-1]["rounds"])
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(images, "_rehearse", lambda job, data: calls.append(-1) or 10_000)  # more than the budget holds
    monkeypatch.setattr(images.Kept, "save", stopping)
    with pytest.raises(KeyboardInterrupt):
        image_run(job(tmp_path, cpu_minutes=0.03))
    found = image_run(job(tmp_path, cpu_minutes=0.03))
    assert calls.count(-1) == 1
    assert [look["rounds"] for look in found["looks"]] == [rounds for rounds in calls if rounds > 0]
    assert found["rounds"] > found["looks"][0]["rounds"]
    assert not (tmp_path / "dcgan-width-4-batch-8-emoji-32-0.03-0").exists()


def test_the_table_is_in_the_order_of_the_kernel_distance() -> None:
    def record(recipe: str, kd: float) -> dict[str, Any]:
        scores = {"fd": 100 * kd, "kd": kd, "precision": 0.5, "recall": 0.25}
        return {"job": {"recipe": recipe}, "last": scores, "best": scores, "floor": scores | {"kd": 0.0}, "rounds": 10, "images_seen": 640}

    lines = table([record("worse", 3.0), record("better", 1.0), record("worse", 1.5), record("worse", 2.0)]).splitlines()
    assert lines[2].startswith("| *real images* |")
    assert lines[3].startswith("| `better` | 100 | 1.0 |")
    assert "| 200 (150 to 300) | 2.0 (1.5 to 3.0) |" in lines[4]


def test_the_command_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []

    def run(each: dict[str, Any]) -> dict[str, Any]:
        played.append(f"{each['recipe']} {each['seed']}")
        return image_run(each | {"settings": {"width": 4, "batch": 8}} | {"cpu_minutes": 0.001})

    monkeypatch.setattr(images, "image_run", run)
    monkeypatch.setattr(images, "picture", lambda records, path: None)
    common = [
        "--data",
        "emoji",
        "--cpu-minutes",
        "0.001",
        "--recipes",
        "dcgan",
        "--judged",
        "40",
        "--work",
        str(tmp_path / "work"),
        "--out",
        str(tmp_path / "t.md"),
    ]
    main(common)
    main([*common, "--seeds", "2"])
    assert played == ["dcgan 0", "dcgan 1"]
    assert "seeds 0 to 1" in (tmp_path / "t.md").read_text()
    assert len(json.loads((tmp_path / "t.json").read_text())["runs"]) == 2


def test_without_data_everything_planned_is_compared_and_the_best_two_for_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []
    distances = {"dcgan": 3.0, "sngan": 1.0, "wgan-gp": 2.0}

    def run(each: dict[str, Any]) -> dict[str, Any]:
        played.append(f"{each['data']} {each['resolution']} {each['recipe']} {each['cpu_minutes']:g} {each['seed']}")
        scores = {"fd": 9.0, "kd": distances[each["recipe"]] + each["seed"] / 10, "precision": 0.5, "recall": 0.25}
        return {"last": scores, "best": scores, "floor": scores, "rounds": 10, "images_seen": 640, "stopped": None}

    monkeypatch.setattr(images, "image_run", run)
    monkeypatch.setattr(images, "picture", lambda records, path: None)
    monkeypatch.chdir(tmp_path)
    main(["--recipes", *distances])
    assert len(played) == 3 * len(distances) + 6 + 2
    assert played[:2] == ["emoji 32 dcgan 10 0", "emoji 32 sngan 10 0"]
    assert played[9:15] == [f"emoji 32 {recipe} 20 {seed}" for seed in range(3) for recipe in ("sngan", "wgan-gp")]
    assert played[15:] == ["emoji 32 sngan 60 0", "emoji 32 wgan-gp 60 0"]
    assert "60 minutes of the processor a run" in (tmp_path / "docs/tables/images-emoji-32-hour.md").read_text()
    finals = (tmp_path / "docs/tables/images-emoji-32-finalists.md").read_text()
    assert "20 minutes of the processor a run" in finals
    assert "Made by `python -m saddlepoint.studies.images` at" in finals
    main(["--recipes", *distances])
    main(["--data", "emoji", "--cpu-minutes", "10", "--recipes", *distances])
    assert len(played) == 17
    with pytest.raises(UsageError, match="--out is of one table"):
        main(["--out", "t.md"])
