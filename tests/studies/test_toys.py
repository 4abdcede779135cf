"""The toy study, on runs of a few rounds."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.errors import UsageError
from saddlepoint.games.player import Adam
from saddlepoint.studies import toyruns, toys
from saddlepoint.studies.pool import run_missing
from saddlepoint.studies.toyruns import Arm, Protocol, arms, configuration, jobs, measure, real_points, train_arm
from saddlepoint.training.storage import read_lines
from saddlepoint.zoo.catalogue import list_recipes

TINY = Protocol(updates=2, width=8, batch=16)


def double(job):
    return {"twice": 2 * job["value"]}


def test_two_commands_may_share_a_file(tmp_path):
    path = tmp_path / "runs.jsonl"

    def beside(job):
        run_missing(double, [{"value": 7}], path)  # another command begins and ends while this one works
        return double(job)

    run_missing(beside, [{"value": 1}, {"value": 2}], path)
    with path.open("a") as file:
        file.write('{"job": {"value": 3}, "tw')  # a crash
    run_missing(double, [{"value": 8}], path)
    assert [record["job"]["value"] for record in read_lines(path)] == [7, 1, 2, 8]


def test_finished_jobs_are_not_done_again(tmp_path):
    path, done = tmp_path / "runs.jsonl", []
    run_missing(double, [{"value": 1}, {"value": 2}], path)
    with path.open("a") as file:
        file.write('{"job": {"value": 3}, "tw')  # a crash
    wanted = [{"value": 3}, {"value": 1}, {"value": 2}]
    found = run_missing(double, wanted, path, show=lambda *shown: done.append(shown[:2]))
    assert [record["twice"] for record in found] == [6, 2, 4]
    assert done == [(3, 3)]
    assert [json.loads(line)["job"]["value"] for line in path.read_text().splitlines()] == [1, 2, 3]


@pytest.mark.slow
def test_jobs_run_in_other_processes(tmp_path):
    job = {"arm": "nsgan", "recipe": "nsgan", "settings": {}, "data": "ring8", "seed": 0, "protocol": dataclasses.asdict(TINY)}
    found = run_missing(train_arm, [job, job | {"seed": 1}], tmp_path / "runs.jsonl", processes=2)
    assert found[0]["looks"][-1] | {"cpu_sec": 0} == train_arm(job)["looks"][-1] | {"cpu_sec": 0}


def test_every_recipe_on_points_is_an_arm_under_one_protocol():
    names = [arm.name for arm in arms()]
    assert len(names) == len(set(names))
    assert {entry.name for entry in list_recipes() if "points" in entry.needs} == {arm.recipe for arm in arms()}
    for arm in arms():
        config = configuration(arm, TINY)
        assert (config.batch, config.latent_dim, config.width, config.rounds) == (16, 2, 8, 2)
        assert getattr(config, "architecture", "mlp") == "mlp"
    wgan_gp = configuration(Arm(recipe="wgan-gp"), TINY)
    assert wgan_gp.generator_optimizer == Adam(lr=1e-3, beta1=0.5, beta2=0.9)  # its own betas, the common rate
    ttur = configuration(Arm(recipe="ttur"), TINY)
    assert ttur.generator_optimizer.lr != ttur.discriminator_optimizer.lr  # what the method is about


@pytest.mark.parametrize("arm", arms(), ids=lambda arm: arm.name)
def test_every_arm_runs(arm, tmp_path):
    data = "ring8" if arm.recipe != "am-gan" else "grid25"
    job = next(job for job in jobs(TINY, 1, [data]) if job["arm"] == arm.name)
    assert job == json.loads(json.dumps(job))
    record = train_arm(job, tmp_path)
    assert record["rounds"] == 2 and record["stopped"] is None
    assert [look["round"] for look in record["looks"]] == [1, 2]
    assert np.load(tmp_path / toyruns.samples_name(job)).shape == (2500, 2)


def test_equal_seeds_give_equal_runs():
    job = jobs(TINY, 1, ["ring8"])[1]
    first, second = (train_arm(job)["looks"][-1] | {"cpu_sec": 0} for _ in range(2))
    assert first == second != train_arm(job | {"seed": 1})["looks"][-1] | {"cpu_sec": 0}


def test_real_points_are_the_ceiling_and_nonsense_the_floor():
    data = open_data("ring8")
    real = measure(real_points(data, 1), data)
    assert (real["modes"], real["strict_modes"]) == (8, 8)
    assert 0.98 < real["high_quality"] < 0.995 and 0 < real["sliced_w1"] < 0.05
    broken = real_points(data, 1).copy()
    broken[:250] = np.nan
    found = measure(broken, data)
    assert found["sliced_w1"] is None and abs(found["high_quality"] - 0.9 * real["high_quality"]) < 0.01


def fake_record(arm, seed, modes, quality, distance, stopped=None):
    look = {"modes": modes, "strict_modes": modes, "high_quality": quality, "sliced_w1": distance}
    job = {"arm": arm, "data": "ring8", "seed": seed}
    early = look | {"sliced_w1": (distance or 9) / 2, "modes": 8}
    return {"job": job, "looks": [early, look], "rounds": 10, "cpu_sec": 1.5, "stopped": stopped}


def test_the_table_is_sorted_and_says_best_and_last():
    records = [fake_record("bad", seed, 3, 0.5, 0.8) for seed in range(3)]
    records += [fake_record("good", seed, 8, 0.9 + seed / 100, 0.1) for seed in range(3)]
    records += [fake_record("broken", seed, 8, 0.9, None, "not finite" if seed else None) for seed in range(3)]
    lines = toys.table(records, "ring8").splitlines()
    assert [line.split("|")[1].strip() for line in lines[3:]] == ["`good`", "`bad`", "`broken`"]
    assert "| 8 | 8 | 0.91 (0.90 to 0.92) | 0.100 | 8 | 0.91 (0.90 to 0.92) | 0.050 |" in lines[3]
    assert "| 0 (0 to 8) | 0 (0 to 8) |" in lines[5] and lines[2].startswith("| *real points* | 8 | 8 | 0.99")
    assert toys.median_run(records[6:])["job"]["arm"] == "broken"


def test_the_command_leaves_a_table_numbers_and_a_picture(tmp_path, monkeypatch, capsys):
    chosen = [Arm(recipe="nsgan"), Arm(recipe="gan", settings={"generator_loss": "minimax"})]
    for module in (toyruns, toys):
        monkeypatch.setattr(module, "arms", lambda: chosen)
    command = ["--seeds", "2", "--updates", "2", "--data", "ring8", "--processes", "1", "--work", str(tmp_path / "work")]
    command += ["--out", str(tmp_path / "tables" / "toys.md"), "--picture", str(tmp_path / "toys.png")]
    toys.main(command)
    assert "4/4 ring8" in capsys.readouterr().err
    toys.main(command)
    assert capsys.readouterr().err == ""  # nothing was missing
    text = (tmp_path / "tables" / "toys.md").read_text()
    assert "`gan --generator-loss minimax`" in text and "Seeds a line: 2" in text
    numbers = json.loads((tmp_path / "tables" / "toys.json").read_text())
    assert len(numbers["runs"]) == 4 and numbers["protocol"]["updates"] == 2
    assert (tmp_path / "toys.png").stat().st_size > 1000
    assert torch.get_num_threads() >= 1


def test_some_arms_alone(tmp_path):
    places = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "toys.md"), "--picture", str(tmp_path / "toys.png")]
    toys.main(["--seeds", "1", "--updates", "2", "--data", "ring8", "--arms", "nsgan", "lsgan --coding pearson", "--processes", "1", *places])
    text = (tmp_path / "toys.md").read_text()
    assert '--seeds 1 --updates 2 --data ring8 --arms nsgan "lsgan --coding pearson"`' in text
    assert "| `nsgan` |" in text and "| `lsgan --coding pearson` |" in text and "| `lsgan` |" not in text
    with pytest.raises(UsageError, match="no arm 'nsgam'.*nsgan"):
        toys.main(["--arms", "nsgam", *places])
